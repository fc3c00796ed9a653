"""Documents, answers and labels as Haystack 1 had them."""

import json
from typing import Any

import numpy as np
import pytest

from polyspan import InputError
from polyspan.interop.farm import Answer, Document, Label, Span

RIGHT: dict[str, Any] = {"is_correct_answer": True, "is_correct_document": True}


def test_schema_ids_are_hashes_of_what_is_asked() -> None:
    assert Document("a text").id == Document("a text", meta={"name": "x"}).id != Document("another").id
    by_meta = [Document("a text", meta={"name": name}, id_hash_keys=["content", "meta.name"]).id for name in "xyx"]
    assert by_meta[0] == by_meta[2] != by_meta[1]
    assert Document("a text", id=17).id == "17"  # type: ignore[arg-type] # numbers were taken too
    with pytest.raises(InputError, match="id_hash_keys"):
        Document("a text", id_hash_keys=["nothing"])
    with pytest.raises(ValueError, match="needs content"):
        Document(None)


def test_schema_records_go_through_json() -> None:
    document = Document("Grüße", score=0.5, meta={"page": 2}, embedding=np.array([1.0, 2.0], np.float32))
    assert Document.from_json(document.to_json()) == document
    assert Document.from_dict(document.to_dict()) == document
    answer = Answer("Grüße", score=1.0, offsets_in_document=[Span(0, 5)], document_ids=[document.id])
    again = Answer.from_json(answer.to_json())
    assert again == answer
    assert again.offsets_in_document == [Span(0, 5)]
    label = Label("what", document, origin="gold-label", answer=answer, **RIGHT)
    assert Label.from_json(json.loads(label.to_json())) == label


def test_schema_further_fields_of_a_mapping_become_meta() -> None:
    document = Document.from_dict({"content": "x", "name": "a.txt", "meta": {"year": 1874}})
    assert document.meta == {"year": 1874, "name": "a.txt"}
    with pytest.raises(InputError, match="needs content, found text"):
        Document.from_dict({"text": "x"})
    with pytest.raises(InputError, match="unknown field 'anwser'"):
        Answer.from_dict({"anwser": "x"})


def test_schema_older_answers_have_one_document() -> None:
    assert Answer.from_dict({"answer": "x", "document_id": "7"}).document_ids == ["7"]
    assert Answer.from_dict({"answer": "x", "document_id": None}).document_id is None


def test_schema_sorts_by_score() -> None:
    assert [one.answer for one in sorted([Answer("b", score=0.9), Answer("a", score=0.1), Answer("c")])] == list("cab")
    assert max(Document("x", score=0.2), Document("y", score=0.4)).content == "y"
    assert Document("x") != Answer("x")
    assert Document("x", embedding=np.ones(2, np.float32)) != Document("x", embedding=np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("value", "inside"),
    [(5, True), (14, True), (15, False), (10.5, True), ("10", True), (Span(5, 14), True), (Span(5, 15), False)],
)
def test_schema_spans_hold_positions_and_spans(value: object, inside: bool) -> None:
    assert (value in Span(5, 15)) == inside


@pytest.mark.parametrize("value", [None, "ten", []])
def test_schema_spans_hold_nothing_else(value: object) -> None:
    with pytest.raises(ValueError, match="positions and Spans"):
        assert value in Span(5, 15)


def test_schema_label_knows_whether_there_is_an_answer() -> None:
    document = Document("x")
    found = [
        Label("q", document, origin="gold-label", answer=answer, **RIGHT).no_answer
        for answer in (None, Answer(" "), Answer("x"))
    ]
    assert found == [None, True, False]
