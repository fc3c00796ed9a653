import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.retrieval import cut_passages
from polyspan.types import Document

texts = st.text(st.characters() | st.sampled_from("ab橋ไ .!?\n\r\t\x0c。！」\u00a0\u3000\"'”)।\ud800👩"), max_size=300)


def cut(text: str, size: int = 1_200) -> list[str]:
    return [passage.text for passage in cut_passages(Document(text), size)]


@given(text=texts, size=st.integers(1, 60))
def test_passages_hold_every_text_once_in_order(text: str, size: int) -> None:
    document = Document(text)
    place = 0
    for passage in cut_passages(document, size):
        assert passage.document is document
        assert not text[place : passage.span.start].strip()
        assert passage.text.strip()
        assert len(passage.text) == 1 or len(passage.text.encode("utf-8", "replace")) <= size
        place = passage.span.end
    assert not text[place:].strip()


def test_passages_of_a_short_text() -> None:
    assert cut("One sentence. Two.") == ["One sentence. Two."]
    assert cut("") == cut(" \n\u3000") == []


def test_passages_end_with_sentences() -> None:
    text = "The first one is here. The second follows! Is there a third? Yes."
    assert cut(text, 45) == ["The first one is here. The second follows! ", "Is there a third? Yes."]
    assert cut('He said "Stop." And "Go!" Then he left us.', 30) == ['He said "Stop." And "Go!" ', "Then he left us."]
    assert cut("橋は開いた。「次へ。」川は広い。", 40) == ["橋は開いた。「次へ。」", "川は広い。"]
    assert cut("पहला वाक्य। दूसरा वाक्य। ", 50) == ["पहला वाक्य। ", "दूसरा वाक्य। "]


def test_passages_do_not_end_inside_a_number() -> None:
    assert cut("It weighs 3.14159265 grams.", 16) == ["It weighs ", "3.14159265 ", "grams."]


def test_passages_end_with_lines() -> None:
    assert cut("- first item\n- second item\n- third item", 30) == ["- first item\n- second item\n", "- third item"]


@pytest.mark.parametrize("gap", ["\n\n", "\r\n\r\n", "\n \n"])
def test_passages_end_with_a_paragraph_when_half_full(gap: str) -> None:
    text = f"A whole paragraph of text stands here.{gap}Then another one."
    assert cut(text, 70) == [f"A whole paragraph of text stands here.{gap}", "Then another one."]
    assert cut(text, 1_200) == [text]
    assert cut(f"Heading{gap}Then another one.", 70) == [f"Heading{gap}Then another one."]


def test_passages_cut_long_sentences_between_words() -> None:
    text = "word " * 1000
    pieces = cut(text, 100)
    assert pieces == ["word " * 20] * 50


@pytest.mark.parametrize(("character", "fits"), [("x", 1200), ("é", 600), ("橋", 400), ("👩", 300)])
def test_passages_cut_anywhere_where_they_must(character: str, fits: int) -> None:
    assert [len(piece) for piece in cut(character * 1500)] == [fits] * (1500 // fits) + [1500 % fits] * (
        1500 % fits > 0
    )


@pytest.mark.parametrize(
    "unit",
    [
        "Lorem ipsum dolor sit amet. ",
        "字",
        "a",
        ".",
        '."',
        "\n",
        "a\n",
        "\n \n",
        " ",
        "\r\n\t",
        "!”",
        "。」",
        "\u3000\x0c",
    ],
)
def test_passages_of_a_large_text_are_quick(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    begun = time.perf_counter()
    pieces = cut(text)
    assert time.perf_counter() - begun < 5  # 0.3 s where nothing else runs
    assert all(len(piece.encode()) <= 1_200 for piece in pieces)
