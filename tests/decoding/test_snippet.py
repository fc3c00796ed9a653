import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import snippet_span
from polyspan.types import Span

TEXT = (
    "The river is wide. The old bridge over the river was opened by the mayor in 1874! "
    "Two hundred people came to see it, and they stayed until the evening. Nobody knows why."
)


def span_of(text: str, part: str) -> Span:
    return Span(text.index(part), text.index(part) + len(part))


def around(text: str, part: str, size: int) -> str:
    span = snippet_span(text, span_of(text, part), size)
    return text[span.start : span.end]


texts = st.text(st.characters() | st.sampled_from("ab .!?\n\r\t。！橋\u00a0\u3000\"'”)"), min_size=1, max_size=120)


@given(text=texts, size=st.integers(0, 150), data=st.data())
def test_snippet_holds_the_answer(text: str, size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    answer = Span(start, end)
    span = snippet_span(text, answer, size)
    assert 0 <= span.start <= start < end <= span.end <= len(text)
    assert span.end - span.start <= max(size, end - start)
    if not text[start].isspace():
        assert not text[span.start].isspace()
    if not text[end - 1].isspace():
        assert not text[span.end - 1].isspace()


@given(text=texts, size=st.integers(0, 60), data=st.data())
def test_snippet_looks_at_the_neighbourhood_only(text: str, size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    shift = 2 * size + 10
    inside = "x" * shift + text + "x" * shift
    before = snippet_span(inside, Span(start + shift, end + shift), size)
    longer = snippet_span("yz. " * 50 + inside + " yz. " * 50, Span(start + shift + 200, end + shift + 200), size)
    assert (before.start + 200, before.end + 200) == (longer.start, longer.end)


@pytest.mark.parametrize("part", ["The old", "bridge", "1874", "mayor in 1874!"])
def test_snippet_takes_the_sentence_where_it_fits(part: str) -> None:
    sentence = "The old bridge over the river was opened by the mayor in 1874!"
    assert around(TEXT, part, len(sentence) + 1) == sentence
    assert around(TEXT, part, 140) == sentence


def test_snippet_takes_first_and_last_sentence() -> None:
    assert around(TEXT, "wide", 60) == "The river is wide."
    assert around(TEXT, "why", 60) == "Nobody knows why."
    assert around("one word", "one", 60) == "one word"


@pytest.mark.parametrize("part", ["Two", "people", "until", "evening"])
def test_snippet_cuts_a_long_sentence_between_words(part: str) -> None:
    sentence = "Two hundred people came to see it, and they stayed until the evening."
    found = around(TEXT, part, 40)
    assert 25 <= len(found) <= 40
    assert part in found
    assert set(found.split()) <= set(sentence.split())
    assert found in sentence


def test_snippet_gives_one_side_what_the_other_does_not_need() -> None:
    assert around("a " * 100 + "end", "end", 43) == "a " * 20 + "end"
    assert around("start" + " a" * 100, "start", 45) == "start" + " a" * 20


def test_snippet_of_text_without_spaces() -> None:
    text = "東京は日本の首都です。橋は千八百七十四年に開通しました。川は広いです。"
    assert around(text, "千八百七十四年", 20) == "橋は千八百七十四年に開通しました。"
    assert around(text, "千八百七十四年", 11) == "橋は千八百七十四年に開"
    assert len(around("字" * 1000 + "答" + "字" * 1000, "答", 101)) == 101


def test_snippet_ends_sentences_behind_closing_quotes() -> None:
    text = 'He said "the bridge is open." Then he left. ' * 2
    assert around(text, "he left", 30) == "Then he left."
    text = "彼は「橋が開いた。」と言った。次へ。"
    assert around(text, "次", 30) == "次へ。"


def test_snippet_does_not_end_a_sentence_inside_a_number() -> None:
    assert around("It is 3.14 metres wide. So.", "14", 60) == "It is 3.14 metres wide."


def test_snippet_stays_in_its_paragraph() -> None:
    assert around("A heading\n\nThe answer stands here\r\n\r\nAnother", "answer", 100) == "The answer stands here"


def test_snippet_of_an_answer_longer_than_the_size() -> None:
    assert around(TEXT, "The old bridge over the river", 10) == "The old bridge over the river"
    assert around(TEXT, "bridge", 0) == "bridge"


@pytest.mark.parametrize("unit", ["word ", "字", "\n", "."])
def test_snippet_of_a_huge_text_is_quick(unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    begun = time.perf_counter()
    for place in (0, 5_000_000, 9_999_990):
        span = snippet_span(text, Span(place, place + 4), 240)
        assert span.end - span.start <= 240
    assert time.perf_counter() - begun < 0.5
