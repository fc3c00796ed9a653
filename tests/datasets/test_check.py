import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.datasets.check import DatasetCheck, check_squad, write_corrected
from polyspan.datasets.squad import read_squad
from polyspan.errors import DatasetError, InputError

Record = dict[str, Any]
CONTEXT = "Ein Kätzchen 🐱 schläft.\nEin Hund bellt. Das Kätzchen nicht."


def question(name: str = "q1", **changes: Any) -> Record:
    """A sound question after some changes."""
    answers = [{"text": "Kätzchen", "answer_start": 4}]
    record = {"id": name, "question": f"Wer ist {name}?", "answers": answers, "is_impossible": False}
    return {**record, **changes}


def answered(text: Any, start: Any, name: str = "q1") -> Record:
    return question(name, answers=[{"text": text, "answer_start": start}])


def dataset(*questions: Any, context: Any = CONTEXT) -> Record:
    return {"data": [{"title": "Cats", "paragraphs": [{"context": context, "qas": list(questions)}]}]}


def check(folder: Path, content: Any, against: Any = None) -> DatasetCheck:
    path, evaluation = folder / "train.json", folder / "dev.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    if against is None:
        return check_squad(path)
    evaluation.write_text(json.dumps(against), encoding="utf-8")
    return check_squad(path, [evaluation])


def questions_of(result: DatasetCheck) -> list[Record]:
    return [
        record
        for article in result.corrected["data"]
        for paragraph in article["paragraphs"]
        for record in paragraph["qas"]
    ]


def told(result: DatasetCheck) -> list[tuple[str, str]]:
    return [(finding.kind, finding.message) for finding in result.findings]


def test_check_sound_file_stays_as_it_is(tmp_path: Path) -> None:
    impossible = question(
        "q2", answers=[], is_impossible=True, plausible_answers=[{"text": "Hund", "answer_start": 28}]
    )
    content = {"version": "Katzen 3", "licence": "CC0", **dataset(question(meta=7), impossible)}
    content["data"][0] |= {"url": None, "paragraphs": [{**content["data"][0]["paragraphs"][0], "page": 2}]}
    result = check(tmp_path, content)
    assert (result.questions, result.kept, result.findings, result.changes) == (2, 2, (), {})
    assert result.corrected == content


@pytest.mark.parametrize(("given", "corrected"), [("1.1", "v2.0"), ("v2.0", "v2.0"), (7, 7)])
def test_check_version_of_squad_1_becomes_that_of_2(tmp_path: Path, given: Any, corrected: Any) -> None:
    assert check(tmp_path, {"version": given, **dataset(question())}).corrected["version"] == corrected


def test_check_plausible_answers_like_answers(tmp_path: Path) -> None:
    given = [{"text": "Hund", "answer_start": 29, "by": "ada"}, {"text": "Maus", "answer_start": 0}]
    impossible = question(answers=[], is_impossible=True, plausible_answers=given)
    result = check(tmp_path, dataset(impossible, question("q2", plausible_answers=None)))
    assert told(result) == [
        ("crlf-shift", "plausible_answers[0]: 'Hund' stands at 28; 29 was counted with other line ends"),
        ("absent-answer", "plausible_answers[1]: 'Maus' does not occur in the context"),
        ("malformed", "plausible_answers: expected a list, got None"),
    ]
    mended = {**impossible, "plausible_answers": [{"text": "Hund", "answer_start": 28, "by": "ada"}]}
    assert questions_of(result) == [mended, question("q2", plausible_answers=[])]
    assert result.changes == {"offsets moved": 1, "answers dropped": 1}


def test_check_squad_1_gets_its_flag(tmp_path: Path) -> None:
    records = [question(), question("q2", answers=[])]
    for record in records:
        del record["is_impossible"]
    result = check(tmp_path, dataset(*records))
    assert result.findings == ()
    assert [record["is_impossible"] for record in questions_of(result)] == [False, True]


def test_check_names_place_and_id(tmp_path: Path) -> None:
    content = dataset(question())
    content["data"].append(dataset(question("a"), answered("Maus", 0, "b"))["data"][0])
    (finding,) = check(tmp_path, content).findings
    assert (finding.kind, finding.place, finding.id) == ("absent-answer", "data[1].paragraphs[0].qas[1]", "b")
    assert finding.message == "answers[0]: 'Maus' does not occur in the context"


@pytest.mark.parametrize(
    ("text", "start", "kinds", "corrected"),
    [
        ("Kätzchen", 4, [], ("Kätzchen", 4)),
        ("Kätzchen", 5, ["wrong-offset"], ("Kätzchen", 4)),
        ("Kätzchen", 30, ["wrong-offset"], ("Kätzchen", 44)),
        ("Kätzchen", -1, ["wrong-offset"], ("Kätzchen", 4)),
        ("Kätzchen", 10**30, ["wrong-offset"], ("Kätzchen", 44)),
        ("schläft.", 999, ["wrong-offset"], ("schläft.", 15)),
        ("Hund", 29, ["crlf-shift"], ("Hund", 28)),
        ("schläft.\r\nEin", 15, ["crlf-shift"], ("schläft.\nEin", 15)),
        (" Hund ", 27, ["outer-whitespace"], ("Hund", 28)),
        (" Hund ", 28, ["outer-whitespace"], ("Hund", 28)),
        ("\tHund", 3, ["outer-whitespace", "wrong-offset"], ("Hund", 28)),
        ("Kätzchen", "4", ["malformed"], ("Kätzchen", 4)),
        ("Hund", None, ["malformed"], ("Hund", 28)),
        ("Kätzchen", True, ["malformed"], ("Kätzchen", 4)),
        ("kätzchen", 4, ["absent-answer"], None),
        (" ", 3, ["empty-answer", "impossible-mismatch"], None),
        ("", 0, ["empty-answer", "impossible-mismatch"], None),
        (7, 0, ["malformed"], None),
        (None, 0, ["malformed"], None),
    ],
)
def test_check_answers(
    tmp_path: Path, text: Any, start: Any, kinds: list[str], corrected: tuple[str, int] | None
) -> None:
    result = check(tmp_path, dataset(answered(text, start), question("q2")))
    assert [finding.kind for finding in result.findings] == kinds
    answers = [record["answers"] for record in questions_of(result) if record["id"] == "q1"]
    assert answers == ([] if corrected is None else [[{"text": corrected[0], "answer_start": corrected[1]}]])
    assert result.kept == 2 - (corrected is None)


def test_check_says_where_answers_stand(tmp_path: Path) -> None:
    result = check(tmp_path, dataset(answered("Kätzchen", 5), answered("Hund", 29, "q2")))
    assert told(result) == [
        ("wrong-offset", "answers[0]: 'Kätzchen' stands at 4, not at 5"),
        ("crlf-shift", "answers[0]: 'Hund' stands at 28; 29 was counted with other line ends"),
    ]
    assert result.changes == {"offsets moved": 2}


def test_check_crlf_shift_goes_both_ways(tmp_path: Path) -> None:
    windows = CONTEXT.replace("\n", "\r\n")
    for context, start, right in ((CONTEXT, 29, 28), (windows, 28, 29)):
        result = check(tmp_path, dataset(answered("Hund", start), context=context))
        assert [finding.kind for finding in result.findings] == ["crlf-shift"]
        assert questions_of(result)[0]["answers"] == [{"text": "Hund", "answer_start": right}]


@given(st.text(alphabet="ab\n", min_size=1, max_size=40), st.data())
def test_check_crlf_shift_leads_back(
    tmp_path_factory: pytest.TempPathFactory, context: str, data: st.DataObject
) -> None:
    # The answer is unique, so that the shifted offset cannot hit another by chance.
    cut = data.draw(st.integers(0, len(context)))
    unix = f"{context[:cut]}#{context[cut:]}"
    windows = unix.replace("\n", "\r\n")
    folder = tmp_path_factory.mktemp("check")
    for text, other in ((unix, windows), (windows, unix)):
        result = check(folder, dataset(answered("#", other.index("#")), context=text))
        assert [finding.kind for finding in result.findings] == ["crlf-shift"] * ("\n" in unix[:cut])
        assert questions_of(result)[0]["answers"][0]["answer_start"] == text.index("#")


def test_check_keeps_the_answers_that_stand(tmp_path: Path) -> None:
    answers = [{"text": "Maus", "answer_start": 0}, {"text": "Hund", "answer_start": 28, "by": "ada"}]
    result = check(tmp_path, dataset(question(answers=answers)))
    assert questions_of(result)[0]["answers"] == [answers[1]]
    assert result.changes == {"answers dropped": 1}


def test_check_impossible_with_answers_become_plausible(tmp_path: Path) -> None:
    result = check(tmp_path, dataset(question(is_impossible=True)))
    assert told(result) == [("impossible-mismatch", "is_impossible is true with 1 answers")]
    (record,) = questions_of(result)
    assert (record["answers"], record["is_impossible"]) == ([], True)
    assert record["plausible_answers"] == [{"text": "Kätzchen", "answer_start": 4}]
    hund, cat = {"text": "Hund", "answer_start": 28}, {"text": "Kätzchen", "answer_start": 4}
    has_some = question(is_impossible=True, answers=[hund, cat], plausible_answers=[hund])
    (record,) = questions_of(check(tmp_path, dataset(has_some)))
    assert record == {**has_some, "answers": [], "plausible_answers": [hund, cat]}


def test_check_impossible_with_an_empty_text_has_no_answer(tmp_path: Path) -> None:
    record = question(is_impossible=True, answers=[{"text": "", "answer_start": 0}])
    result = check(tmp_path, dataset(record))
    assert [finding.kind for finding in result.findings] == ["empty-answer"]
    assert questions_of(result) == [{**record, "answers": []}]


def test_check_answerable_without_answers_goes(tmp_path: Path) -> None:
    result = check(tmp_path, dataset(question(answers=[]), question("q2")))
    assert told(result) == [("impossible-mismatch", "is_impossible is false with no answers")]
    assert result.changes == {"questions dropped": 1}


def test_check_question_that_nobody_labelled_goes(tmp_path: Path) -> None:
    record = question()
    del record["answers"], record["is_impossible"]
    result = check(tmp_path, dataset(record, question("q2")))
    assert told(result) == [("malformed", "answers: expected a list, got None")]
    assert [record["id"] for record in questions_of(result)] == ["q2"]


def test_check_same_question_on_the_same_context_goes(tmp_path: Path) -> None:
    content = dataset(question(), question("q2", question="WER  ist q1?"))
    content["data"].append(dataset(question("q3", question="Wer ist q1?"), context=f"{CONTEXT} ")["data"][0])
    result = check(tmp_path, content)
    message = "the same question on the same context stands already at data[0].paragraphs[0].qas[0]"
    assert told(result) == [("duplicate-question", message)] * 2
    assert [record["id"] for record in questions_of(result)] == ["q1"]
    assert len(result.corrected["data"]) == 1
    assert result.changes == {"questions dropped": 2, "paragraphs dropped": 1}


def test_check_same_id_of_another_question_is_replaced(tmp_path: Path) -> None:
    result = check(tmp_path, dataset(question(), question(question="Wo?"), question("q1-2"), question(question="Was?")))
    assert [finding.kind for finding in result.findings] == ["duplicate-id"] * 2
    assert [record["id"] for record in questions_of(result)] == ["q1", "q1-3", "q1-2", "q1-4"]
    assert result.changes == {"ids replaced": 2}


def test_check_duplicate_of_what_goes_stays(tmp_path: Path) -> None:
    result = check(tmp_path, dataset(answered("Maus", 0), question()))
    assert [finding.kind for finding in result.findings] == ["absent-answer", "duplicate-question", "duplicate-id"]
    assert questions_of(result) == [question()]
    twice = check(tmp_path, dataset(answered("Maus", 0), question(), question("q2", question="Wer ist q1?")))
    assert twice.findings[-1].message.endswith("stands already at data[0].paragraphs[0].qas[1]")
    assert questions_of(twice) == [question()]


def test_check_context_of_an_evaluation_file_goes(tmp_path: Path) -> None:
    content = dataset(question())
    content["data"].append(dataset(answered("Abend", 3, "q2"), context=f"Am Abend: {CONTEXT}")["data"][0])
    result = check(tmp_path, content, against=dataset("broken", context=CONTEXT.upper()))
    (finding,) = result.findings
    assert (finding.kind, finding.place, finding.id) == ("shared-context", "data[0].paragraphs[0]", "")
    assert finding.message == f"the context is that of {tmp_path / 'dev.json'}: data[0].paragraphs[0]"
    assert [record["id"] for record in questions_of(result)] == ["q2"]


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (lambda d, _a, _p, _q: d["data"].append(3), "data[1]", "expected an object, got 3"),
        (lambda _d, a, _p, _q: a.update(title=3), "data[0]", "title: expected a string, got 3"),
        (lambda d, _a, _p, _q: d["data"].append({}), "data[1]", "paragraphs: expected a list, got None"),
        (lambda _d, a, _p, _q: a["paragraphs"].append(None), "data[0].paragraphs[1]", "expected an object, got None"),
        (lambda _d, a, _p, _q: a["paragraphs"].append({"qas": []}), "data[0].paragraphs[1]", "context: expected a str"),
        (lambda _d, _a, p, _q: p["qas"].append("q"), "data[0].paragraphs[0].qas[2]", "expected an object, got 'q'"),
        (lambda _d, _a, _p, q: q.update(id=7), "data[0].paragraphs[0].qas[0]", "id: expected a string, got 7"),
        (lambda _d, _a, _p, q: q.pop("id"), "data[0].paragraphs[0].qas[0]", "id: expected a string, got None"),
        (lambda _d, _a, _p, q: q.pop("question"), "data[0].paragraphs[0].qas[0]", "question: expected a string, got N"),
        (lambda _d, _a, _p, q: q.update(is_impossible="no"), "data[0].paragraphs[0].qas[0]", "is_impossible: expected"),
        (lambda _d, _a, _p, q: q.update(answers=["x"]), "data[0].paragraphs[0].qas[0]", "answers[0]: expected an obj"),
    ],
)
def test_check_reports_what_is_malformed(
    tmp_path: Path, change: Callable[[Record, Record, Record, Record], object], place: str, message: str
) -> None:
    content = dataset(question(), question("q2"))
    article = content["data"][0]
    paragraph = article["paragraphs"][0]
    change(content, article, paragraph, paragraph["qas"][0])
    finding = check(tmp_path, content).findings[0]
    assert (finding.kind, finding.place) == ("malformed", place)
    assert finding.message.startswith(message)


def test_check_a_number_as_id_becomes_a_string(tmp_path: Path) -> None:
    assert questions_of(check(tmp_path, dataset(question(id=7))))[0]["id"] == "7"


def test_check_empty_texts(tmp_path: Path) -> None:
    content = dataset(question(question=" \n"), question("q2"), question("q3", question=""))
    content["data"].append(dataset(question("q4"), context="\t")["data"][0])
    result = check(tmp_path, content)
    assert [finding.kind for finding in result.findings] == ["empty-question", "empty-question", "empty-context"]
    assert [record["id"] for record in questions_of(result)] == ["q2"]


def test_check_keeps_paragraphs_that_wait_for_questions(tmp_path: Path) -> None:
    content = dataset(question())
    content["data"] += [dataset()["data"][0], {"title": "none yet", "paragraphs": []}]
    assert check(tmp_path, content).corrected == {**content, "version": "v2.0"}


@pytest.mark.parametrize("content", [[], {}, {"data": 1}, "data"])
def test_check_refuses_other_json(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DatasetError, match=r"train\.json: expected SQuAD JSON"):
        check(tmp_path, content)
    with pytest.raises(DatasetError, match=r"dev\.json: expected SQuAD JSON"):
        check(tmp_path, dataset(question()), against=content)


def test_check_writes_nothing_where_nothing_is_left(tmp_path: Path) -> None:
    for content in (dataset(), dataset(answered("Maus", 0))):
        result = check(tmp_path, content)
        assert result.findings
        with pytest.raises(DatasetError, match=r"fixed\.json: not written, for no question would be left"):
            write_corrected(tmp_path / "fixed.json", result)
    with pytest.raises(InputError, match="cannot be written"):
        write_corrected(tmp_path / "none" / "fixed.json", check(tmp_path, dataset(question())))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.json"]


TEXTS = st.sampled_from(["a", "A", " a", "b\n", "a b", "a\nb", "a\r\nb", "a b a\r\nb", "aa\nb\nab", "a\ud83d", "", " "])
JUNK: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 7, 1.5, "", "x", [], {}])


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Junk once in a while, so that most files hold something that is worth mending."""
    return st.integers(0, 9).flatmap(lambda number: usual if number else JUNK)


ANSWERS = st.fixed_dictionaries({"text": mostly(TEXTS)}, optional={"answer_start": mostly(st.integers(-3, 20))})
QUESTIONS = st.fixed_dictionaries(
    {
        "id": mostly(st.sampled_from(["a", "b", "a-2"])),
        "question": mostly(TEXTS),
        "answers": mostly(st.lists(mostly(ANSWERS), max_size=3)),
    },
    optional={
        "is_impossible": mostly(st.booleans()),
        "plausible_answers": mostly(st.lists(mostly(ANSWERS), max_size=2)),
    },
)
PARAGRAPHS = st.fixed_dictionaries({"context": mostly(TEXTS), "qas": mostly(st.lists(mostly(QUESTIONS), max_size=5))})
ARTICLES = st.fixed_dictionaries(
    {"paragraphs": mostly(st.lists(mostly(PARAGRAPHS), max_size=3))}, optional={"title": mostly(TEXTS)}
)
FILES = st.fixed_dictionaries({"data": st.lists(mostly(ARTICLES), min_size=1, max_size=3)})


@given(FILES, FILES)
def test_check_corrected_is_clean_and_strictly_readable(
    tmp_path_factory: pytest.TempPathFactory, content: Record, evaluation: Record
) -> None:
    folder = tmp_path_factory.mktemp("check")
    before = copy.deepcopy(content)
    result = check(folder, content, against=evaluation)
    assert content == before
    if result.kept:
        fixed = folder / "fixed.json"
        write_corrected(fixed, result)
        assert len(read_squad(fixed)) == result.kept
        again = check_squad(fixed, [folder / "dev.json"])
        assert again.findings == ()
        assert again.corrected == result.corrected
        context_of = {example.id: example.context for example in read_squad(fixed)}
        for record in questions_of(result):
            for answer in [*record["answers"], *record.get("plausible_answers", [])]:
                assert context_of[record["id"]].startswith(answer["text"], answer["answer_start"])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["dev/heq-val-part30.json.gz", "train/clear/idk-mrc-train.json.gz"])
def test_check_finds_nothing_in_clean_files(shared: Path, name: str) -> None:
    assert check_squad(shared / "data" / name).findings == ()


@pytest.mark.shared
def test_check_finds_the_contexts_of_squad(shared: Path) -> None:
    squad = shared / "data/squad/dev-v1.1.json"
    result = check_squad(shared / "data/train/clear/squad11-dev-13articles.json.gz", [squad])
    assert {finding.kind for finding in result.findings} == {"shared-context"}
    assert result.kept == 0
