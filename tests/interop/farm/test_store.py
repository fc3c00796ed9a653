"""The document store in memory, its filters and its two rankings."""

from typing import Any

import numpy as np
import pytest

from polyspan import InputError
from polyspan.interop.farm import Answer, BM25Retriever, Document, InMemoryDocumentStore, Label, Span
from polyspan.interop.farm.filters import matches

META = {"type": "article", "year": 2019, "tags": ["a", "b"]}

RIGHT: dict[str, Any] = {"is_correct_answer": True, "is_correct_document": True}


@pytest.fixture
def store() -> InMemoryDocumentStore:
    store = InMemoryDocumentStore(use_bm25=True)
    store.write_documents(
        [
            {"content": "The ferry lands in Elm Bay", "meta": {"name": "ferry", "year": 1901}},
            {"content": "The bridge was opened in May", "name": "bridge", "year": 1931},
            Document("Bees dance in the meadow", meta={"name": "bees"}),
        ]
    )
    return store


def test_store_counts_and_gives_back(store: InMemoryDocumentStore) -> None:
    assert store.get_document_count() == 3
    assert {one.meta["name"] for one in store.get_all_documents()} == {"ferry", "bridge", "bees"}
    first = store.get_all_documents(filters={"name": "ferry"})[0]
    assert store.get_document_by_id(first.id) == first
    assert store.get_documents_by_id([first.id, "none"]) == [first]
    assert store.get_document_by_id("none") is None
    assert store.get_document_count(index="other") == 0
    store.update_document_meta(first.id, {"year": 1902})
    assert store.get_document_count(filters={"year": 1902}) == 1
    with pytest.raises(InputError, match="none"):
        store.update_document_meta("none", {})


def test_store_indexes_are_apart(store: InMemoryDocumentStore) -> None:
    store.write_documents([Document("elsewhere")], index="other")
    assert (store.get_document_count(), store.get_document_count(index="other")) == (3, 1)
    assert store.query("elsewhere", index="other")[0].content == "elsewhere"


@pytest.mark.parametrize(("mode", "year"), [("overwrite", 2), ("skip", 1)])
def test_store_known_ids(mode: str, year: int) -> None:
    store = InMemoryDocumentStore(duplicate_documents=mode)
    for number in (1, 2):
        store.write_documents([Document("x", id="a", meta={"year": number})])
    assert [one.meta for one in store.get_all_documents()] == [{"year": year}]
    with pytest.raises(InputError, match="stands in index 'document' already"):
        store.write_documents([Document("x", id="a")], duplicate_documents="fail")
    with pytest.raises(InputError, match="overwrite, skip, fail"):
        InMemoryDocumentStore(duplicate_documents="shrug")


def test_store_deletes(store: InMemoryDocumentStore) -> None:
    store.delete_documents(filters={"name": "bees"})
    assert store.get_document_count() == 2
    assert "Bees dance in the meadow" not in [one.content for one in store.query("bees")]
    store.delete_documents(ids=[store.get_all_documents()[0].id])
    assert store.get_document_count() == 1
    store.delete_documents()
    assert store.get_all_documents() == store.query("bees") == []


def test_store_ranks_by_words(store: InMemoryDocumentStore) -> None:
    found = store.query("Where does the ferry land?")
    assert found[0].meta["name"] == "ferry"
    assert len(found) == 3
    assert all(0 <= one.score <= 1 for one in found if one.score is not None)
    assert [one.score for one in found] == sorted((one.score or 0 for one in found), reverse=True)
    raw = store.query("Where does the ferry land?", scale_score=False)
    assert raw[0].score != found[0].score
    assert len(store.query("ferry", top_k=1)) == 1
    (only,) = store.query("ferry", filters={"year": {"$gt": 1920}})
    assert only.meta["name"] == "bridge"
    assert [one.meta["name"] for one in store.query("bees meadow", all_terms_must_match=True)] == ["bees"]
    assert store.get_all_documents()[0].score is None


def test_store_words_and_weights_are_options() -> None:
    texts = [Document("Ferry ferry ferry"), Document("ferries of the bay ferry xyzzy"), Document("nothing")]
    scores = {}
    choices: dict[str, dict[str, Any]] = {
        "usual": {},
        "plus": {"bm25_algorithm": "BM25Plus", "bm25_parameters": {"delta": 1.5}},
        "flat": {"bm25_parameters": {"b": 0.0, "k1": 0.1, "epsilon": 0.25}},
        "whole words": {"bm25_tokenization_regex": r"(?u)\b\w\w+\b"},
    }
    for name, options in choices.items():
        store = InMemoryDocumentStore(**options)
        store.write_documents(texts)
        scores[name] = tuple(round(one.score or 0, 6) for one in store.query("ferry", scale_score=False))
    assert len(set(scores.values())) == len(scores)
    faults: list[dict[str, Any]] = [{"bm25_algorithm": "BM26"}, {"bm25_parameters": {"k9": 1}}]
    for fault in faults:
        store = InMemoryDocumentStore(**fault)
        store.write_documents(texts)
        with pytest.raises(InputError, match="bm25_algorithm must be one of BM25Okapi"):
            store.query("ferry")


def test_store_ranks_by_vectors() -> None:
    vectors = np.eye(3, dtype=np.float32) * [[1], [2], [3]]
    documents = [Document(str(i), embedding=vector) for i, vector in enumerate(vectors)]
    store = InMemoryDocumentStore(return_embedding=True)
    store.write_documents([*documents, Document("without a vector")])
    asked = np.array([1.0, 0.9, 0.0], np.float32)
    found = store.query_by_embedding(asked)
    assert [one.content for one in found] == ["1", "0", "2"]
    assert np.array_equal(found[0].embedding, vectors[1])  # type: ignore[arg-type] # there is one
    alike = InMemoryDocumentStore(similarity="cosine")
    alike.write_documents(documents)
    found = alike.query_by_embedding(asked, scale_score=False, top_k=2)
    assert [one.content for one in found] == ["0", "1"]
    assert found[0].score == pytest.approx(1 / np.hypot(1, 0.9))
    assert found[0].embedding is None
    assert store.get_embedding_count() == 3
    with pytest.raises(InputError, match="has 2 numbers and documents' have 3"):
        store.query_by_embedding(np.ones(2, np.float32))
    with pytest.raises(InputError, match="expected embedding_dim 5"):
        InMemoryDocumentStore(embedding_dim=5).write_documents(documents)
    with pytest.raises(InputError, match="dot_product, cosine"):
        InMemoryDocumentStore(similarity="l2")


def test_store_takes_vectors_by_their_own_name() -> None:
    store = InMemoryDocumentStore(embedding_field="vector", embedding_dim=2)
    store.write_documents([{"content": "x", "vector": [1, 2]}])
    assert store.get_embedding_count() == 1


def test_store_holds_labels() -> None:
    store = InMemoryDocumentStore()
    document = Document("The ferry lands in Elm Bay")
    label = Label(
        "where", document, origin="gold-label", **RIGHT, answer=Answer("Elm Bay", offsets_in_document=[Span(19, 26)])
    )
    store.write_labels([label, {**label.to_dict(), "id": "2", "origin": "user-feedback"}])
    assert store.get_label_count() == 2
    assert store.get_all_labels(filters={"origin": ["gold-label"]}) == [label]
    assert store.get_all_labels("other") == []


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (None, True),
        ({}, True),
        ({"type": "article"}, True),
        ({"type": ["article", "note"]}, True),
        ({"type": "note"}, False),
        ({"missing": "x"}, False),
        ({"year": {"$gte": 2019, "$lt": 2020}}, True),
        ({"year": {"$gt": 2019}}, False),
        ({"year": {"$lte": 2018}}, False),
        ({"missing": {"$gt": 1}}, False),
        ({"type": {"$eq": "article"}, "year": {"$ne": 2019}}, False),
        ({"type": {"$in": ["note"]}}, False),
        ({"type": {"$nin": ["note"]}}, True),
        ({"$or": {"type": "note", "year": 2019}}, True),
        ({"$or": [{"type": "note"}, {"$and": {"type": "article", "year": 2019}}]}, True),
        ({"$and": [{"type": "article"}, {"year": 2018}]}, False),
        ({"$not": {"type": "note"}}, True),
        ({"$not": {"type": "article"}}, False),
        ({"year": {"$not": {"$eq": 2019}}}, False),
    ],
)
def test_store_filters(filters: Any, passes: bool) -> None:
    assert matches(META, filters) == passes


@pytest.mark.parametrize("filters", ["type", {"$xor": {}}, {"year": {"$about": 2019}}, {"year": {"$gt": "x"}}])
def test_store_filters_refuse_nonsense(filters: Any) -> None:
    with pytest.raises(InputError, match="filters"):
        matches(META, filters)


def test_store_retriever_needs_a_store(store: InMemoryDocumentStore) -> None:
    with pytest.raises(InputError, match="needs a document_store"):
        BM25Retriever().retrieve("ferry")
    assert BM25Retriever(top_k=1).retrieve("ferry", document_store=store)[0].meta["name"] == "ferry"
    with pytest.raises(InputError, match="custom_query"):
        BM25Retriever(store, custom_query="{}")
    strict = BM25Retriever(store, all_terms_must_match=True)
    assert [len(found) for found in strict.retrieve_batch(["bees meadow", "bees ferry"])] == [1, 0]
    assert BM25Retriever(store, scale_score=False).run("ferry")[0]["documents"] == store.query(
        "ferry", scale_score=False
    )
