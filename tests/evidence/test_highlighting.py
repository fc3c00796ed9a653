from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_scorer import FakeScorer
from polyspan import Document, InputError, Reader
from polyspan.backends import NativeSettings
from polyspan.evidence import HighlightOptions, highlight, highlight_all

WORDS = "rome oslo lima . ! - one two three"
TEXT = "Rome is old. One two Rome three. Oslo! is not Rome.\n\n- oslo\n- rome two\n"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(FakeScorer(WORDS), NativeSettings(no_answer=True))


def test_highlight_finds_the_same_text_at_every_place(reader: Reader) -> None:
    found = highlight("find rome", TEXT, reader)
    assert [one.start for one in found] == [0, 21, 46, 62]
    assert [one.text for one in found] == ["Rome", "Rome", "Rome", "rome"]
    assert [one.sentence for one in found] == ["Rome is old.", "One two Rome three.", "is not Rome.", "- rome two"]
    assert all(TEXT[one.start : one.end] == one.text for one in found)
    assert all(TEXT[one.sentence_start :].startswith(one.sentence) for one in found)
    assert all(one.probability > 0.99 for one in found)


def test_highlight_finds_nothing_where_nothing_is(reader: Reader) -> None:
    assert highlight("find lima", TEXT, reader) == []
    assert highlight("find lima", " \n", reader) == []


def test_highlight_marks_sentences(reader: Reader) -> None:
    found = highlight("find rome", TEXT, reader, HighlightOptions("sentence"))
    assert [one.text for one in found] == [one.sentence for one in found]
    assert found[1].text == "One two Rome three."
    assert all(TEXT[one.start : one.end] == one.text for one in found)


def test_highlight_stops_at_so_many_places(reader: Reader) -> None:
    assert len(highlight("find rome", TEXT, reader, HighlightOptions(places=2))) == 2


def test_highlight_least_probability_replaces_the_readers_own_decision(reader: Reader) -> None:
    assert highlight("find lima", TEXT, reader, HighlightOptions(min_probability=0.5)) == []
    assert highlight("find lima", TEXT, reader, HighlightOptions(min_probability=0))
    strict = Reader(reader.scorer, replace(reader.settings, options={"no_answer_threshold": -100.0}))
    assert highlight("find rome", TEXT, strict) == []
    assert len(highlight("find rome", TEXT, strict, HighlightOptions(min_probability=0.0, places=1))) == 1


def test_highlight_of_a_reader_that_always_answers_is_its_best_answer() -> None:
    always = Reader(FakeScorer(WORDS), NativeSettings(no_answer=False))
    assert [one.start for one in highlight("find rome", TEXT, always)] == [0]


def test_highlight_all_keeps_documents_apart(reader: Reader) -> None:
    pages = Document("Rome.\nOslo.\fRome is old.", "b", page_starts=(0, 12))
    found = highlight_all("find rome", [{"text": "Two Rome", "id": "a"}, "", pages], reader)
    assert [(one.document, one.start, one.page) for one in found] == [("a", 4, None), ("b", 0, 1), ("b", 12, 2)]


def test_highlight_reads_long_texts_in_passages(reader: Reader) -> None:
    text = "One two three. " * 400 + "Oslo is here. " + "One two three. " * 400 + "Oslo is there."
    found = highlight("find oslo", text, reader)
    assert [one.start for one in found] == [text.index("Oslo"), text.rindex("Oslo")]
    assert max(size for batch in reader.scorer.batches for size in batch[1:]) <= 384  # type: ignore[attr-defined]


def test_highlight_refuses_nonsense(reader: Reader) -> None:
    with pytest.raises(InputError, match="a question must be a text"):
        highlight(" ", TEXT, reader)
    for bad in ({"level": "word"}, {"min_probability": 1.5}, {"places": 0}):
        with pytest.raises(InputError, match=next(iter(bad))):
            HighlightOptions(**bad)


@given(st.lists(st.sampled_from(["Rome", "oslo", ".", "!", "\n", "\n\n- ", " ", "one.", "ω"]), max_size=30))
def test_highlights_are_exact_and_apart(pieces: list[str]) -> None:
    text = " ".join(pieces)
    found = highlight("find rome", text, Reader(FakeScorer(WORDS), NativeSettings(no_answer=True)))
    assert bool(found) == ("Rome" in text)
    assert [one.start for one in found] == sorted({one.start for one in found})
    for one, following in pairwise(found):
        assert one.end <= following.start
    assert all(text[one.start : one.end] == one.text == "Rome" for one in found)
