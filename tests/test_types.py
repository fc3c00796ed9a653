import dataclasses
import json

import pytest

from polyspan.types import Answer, Document, NoAnswer, Passage, Reading, Span


def test_types_document_pages_count_from_one() -> None:
    document = Document("one\n\ntwo\n\n", id="a", page_starts=(0, 5, 10))
    assert [document.page_at(character) for character in (0, 4, 5, 9, 10)] == [1, 1, 2, 2, 3]
    assert Document("one").page_at(0) is None


def test_types_passage_text() -> None:
    assert Passage(Document("one two"), Span(4, 7)).text == "two"


def test_types_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Span(0, 1).start = 2  # type: ignore[misc]


def test_types_reading_becomes_json() -> None:
    answer = Answer("two", 4, 7, 0.5, 3.0, -1.0, "a", None, "one two", 0)
    reading = Reading("which?", (answer,), NoAnswer(0.25, chosen=False, null_margin=-1.0))
    content = json.loads(json.dumps(reading.to_json()))
    assert content["answers"][0]["text"] == "two"
    assert content["no_answer"] == {"score": 0.25, "chosen": False}
    assert content["candidates"] == []
