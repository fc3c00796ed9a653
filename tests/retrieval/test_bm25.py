import random
import subprocess
import sys
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.retrieval import PassageRanking
from polyspan.retrieval.bm25 import terms
from polyspan.types import Document, Passage, Span


def passages_of(texts: Iterable[str]) -> list[Passage]:
    return [Passage(Document(text, str(number)), Span(0, len(text))) for number, text in enumerate(texts)]


def best(texts: list[str], question: str, count: int = 1) -> list[str]:
    return [passage.text for passage in PassageRanking(passages_of(texts)).best(question, count)]


LANGUAGES = {
    "english": (
        "When were the bridges opened?",
        ["The harbour was closed when the storm came.", "The bridge was opening slowly.", "The mayor was at home."],
    ),
    "german": (
        "Wann wurde mit dem Brückenbau begonnen?",
        ["Die Müllerin wurde alt.", "Die Brücken wurden 1874 eröffnet.", "Wann kommt der Zug aus Bremen an?"],
    ),
    "german inflected": (
        "Wer schrieb des Hauses Geschichte?",
        ["Wer kommt, der geht.", "Das Haus ist alt.", "Der Hafen ist neu."],
    ),
    "russian": (
        "Когда построили обсерваторию?",
        ["Когда идёт дождь, музей закрыт.", "Здание обсерватории было закончено в 1912 году.", "Река широкая."],
    ),
    "hindi": (
        "दिल्ली में पुल कब बना?",
        ["मुंबई में बारिश कब हुई।", "दिल्ली का पुराना पुल 1874 में बना।", "वह घर में है।"],
    ),
    "thai": (
        "สะพานพระรามเปิดเมื่อไร",
        ["ตลาดน้ำเปิดทุกวันอาทิตย์", "สะพานพระรามแปดสร้างเสร็จในปีพ.ศ. 2545", "อาหารไทยอร่อยมาก"],
    ),
    "japanese": (
        "瀬戸大橋はいつ開通しましたか。",
        ["東京は日本の首都です。", "瀬戸大橋は1988年に開通しました。", "この川はとても広いです。"],
    ),
    "chinese": ("长江大桥是什么时候建成的?", ["北京是中国的首都。", "武汉长江大桥于1957年建成。", "他是什么时候来的?"]),
    "korean": (
        "한강대교는 언제 개통되었습니까?",
        ["서울은 대한민국의 수도입니다.", "한강대교가 1917년에 개통되었다.", "언제 비가 옵니까?"],
    ),
    "arabic": (
        "متى افتتح الجسر القديم؟",
        ["متى يأتي القطار؟", "افتتح العمدة الجسر، القديم في المدينة، عام 1874.", "النهر واسع جدا."],
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_bm25_finds_the_passage_with_the_rare_word(language: str) -> None:
    question, (before, right, after) = LANGUAGES[language]
    texts = [before, after] * 4 + [right]
    assert best(texts, question) == best(texts[::-1], question) == [right]


def test_bm25_terms_are_words_and_their_beginnings() -> None:
    assert terms("The BRIDGES, (opened)") == ["the", "bridges", "brid…", "opened", "open…"]
    assert terms("Straße ﬁne ＡＢＣ") == ["strasse", "stra…", "fine", "fine…", "abc"]
    assert terms("") == terms("… — ¿!?") == []


def test_bm25_terms_keep_vowel_signs_in_words() -> None:
    assert terms("दिल्ली में।") == ["दिल्ली", "दिल्…", "में"]
    assert terms("שָׁלוֹם־עוֹלָם")[0] == "שָׁלוֹם"


def test_bm25_terms_skip_what_is_invisible() -> None:
    assert terms("Donau\u00addampf") == terms("Donaudampf")
    assert terms("\ufeffक\u094d\u200dष") == terms("क\u094dष")


def test_bm25_terms_of_unspaced_scripts_are_pairs() -> None:
    assert terms("東京、佐々木") == ["東京", "佐々", "々木"]
    assert terms("水") == ["水"]
    assert terms("ไทย") == ["ไท", "ทย"]


@given(texts=st.lists(st.text(max_size=30), max_size=6), question=st.text(max_size=20), count=st.integers(1, 7))
def test_bm25_returns_so_many_of_any_passages(texts: list[str], question: str, count: int) -> None:
    passages = passages_of(texts)
    found = PassageRanking(passages).best(question, count)
    assert len(found) == min(count, len(texts))
    assert len({passage.document.id for passage in found}) == len(found)
    if count >= len(texts):
        assert found == passages


def test_bm25_returns_passages_for_a_question_without_a_known_term() -> None:
    texts = ["alpha", "beta", "gamma"]
    assert best(texts, "unknown", 2) == best(texts, "?!", 2) == ["alpha", "beta"]


def test_bm25_ranks_nothing_and_passages_without_words() -> None:
    assert best([], "anything", 3) == []
    assert best(["…", "---", "!"], "anything", 2) == ["…", "---"]
    assert best(["…", "alpha", "beta"], "beta", 1) == ["beta"]


def test_bm25_keeps_document_order_where_scores_are_equal() -> None:
    assert best(["same text", "other", "same text", "same text"], "same", 3) == ["same text"] * 3
    ranking = PassageRanking(passages_of(["same text", "other", "same text", "same text"]))
    assert [passage.document.id for passage in ranking.best("same", 3)] == ["0", "2", "3"]


def test_bm25_reads_the_passage_and_not_its_document() -> None:
    document = Document("alpha beta. gamma delta.")
    passages = [Passage(document, Span(0, 11)), Passage(document, Span(12, 24))]
    assert PassageRanking(passages).best("delta", 1) == [passages[1]]


def test_bm25_is_silent() -> None:
    program = (
        "from polyspan.retrieval import PassageRanking; from polyspan.types import *\n"
        "PassageRanking([Passage(Document(text), Span(0, 4)) for text in ('alpha', 'beta')] * 9).best('beta', 3)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_bm25_is_imported_only_when_there_is_something_to_rank() -> None:
    program = (
        "import sys; from polyspan.retrieval import PassageRanking; from polyspan.types import *\n"
        "passage = Passage(Document('a'), Span(0, 1))\n"
        "PassageRanking([passage]).best('a', 1); assert 'bm25s' not in sys.modules\n"
        "PassageRanking([passage] * 2).best('a', 1); assert 'bm25s' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_bm25_ranks_ten_thousand_passages_quickly() -> None:
    generator = random.Random(0)  # noqa: S311
    words = ["".join(generator.choices("abcdefghijklmnop", k=generator.randint(2, 9))) for _ in range(5000)]
    passages = passages_of(" ".join(generator.choices(words, k=50)) for _ in range(10_000))
    passages[7_777] = Passage(Document("a needle in " + passages[7_777].text), Span(0, 300))
    ranking = PassageRanking(passages)
    assert ranking.best("needle", 1) == [passages[7_777]]
    begun = time.perf_counter()
    assert ranking.best("where is the needle?", 20)[0] == passages[7_777]
    assert time.perf_counter() - begun < 1
