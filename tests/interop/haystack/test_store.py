"""Haystack's own tests of document stores, and what an index does besides, or refuses."""

import asyncio
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fake_encoder import FakeEncoder
from polyspan import InputError, types
from polyspan.errors import MissingExtraError, PassageIndexError
from polyspan.retrieval import IndexSettings, PassageStore, index_documents

pytest.importorskip("polyspan.interop.haystack", exc_type=MissingExtraError)

from haystack import Document
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing.document_store import CountDocumentsTest, DeleteDocumentsTest, WriteDocumentsTest

from polyspan.interop.haystack import PolyspanDocumentStore

DOCUMENTS = [
    Document(id="a", content="The dog sleeps.", meta={"lang": "en", "year": 1931, "tags": ["x"], "odd=key": "v"}),
    Document(id="b", content="Der Hund schläft.", meta={"lang": "de", "year": 1931}),
    Document(id="c", content="Bees dance.", meta={"lang": "en"}),
]


@pytest.fixture
def document_store(tmp_path: Path) -> PolyspanDocumentStore:
    return PolyspanDocumentStore(tmp_path / "index", FakeEncoder())


@pytest.fixture
def filled(document_store: PolyspanDocumentStore) -> PolyspanDocumentStore:
    assert document_store.write_documents(DOCUMENTS) == 3
    return document_store


class TestStore(CountDocumentsTest, DeleteDocumentsTest, WriteDocumentsTest):
    """What Haystack wants of every store."""

    def test_write_documents(self, document_store: Any) -> None:
        """Without a policy known ids are refused, as in Haystack's own store."""
        document_store.write_documents(DOCUMENTS)
        with pytest.raises(DuplicateDocumentError, match="a: there is such a document"):
            document_store.write_documents(DOCUMENTS[:1])


def test_store_gives_back_what_was_written(filled: PolyspanDocumentStore) -> None:
    assert filled.filter_documents() == DOCUMENTS
    assert PolyspanDocumentStore(filled.index, FakeEncoder()).filter_documents() == DOCUMENTS


def test_store_cuts_long_documents_and_gives_them_back_whole(tmp_path: Path) -> None:
    text = "One sentence. " * 20 + "\f" + " " * 300 + "Another sentence. " * 20
    document = Document(id="long", content=text, meta={"page_number": 3})
    few, many = (
        PolyspanDocumentStore(tmp_path / str(size), FakeEncoder(), passage_bytes=size, overlap_bytes=overlap)
        for size, overlap in ((1200, 0), (120, 30))
    )
    for store in (few, many):
        store.write_documents([document])
        assert (store.count_documents(), store.filter_documents()) == (1, [document])
    assert few.passages.passages == 1 < many.passages.passages
    rows = many.passages.rows()
    assert any(row["start"] < before["end"] for before, row in pairwise(rows))


def test_store_opens_what_polyspan_made(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    made = PassageStore.create(tmp_path / "index", IndexSettings("", encoder.digest, encoder.dimension))
    pages = types.Document("First page.Second page.Fourth page.", "a.pdf", (0, 11, 23, 23), {"format": "pdf"})
    index_documents(made, encoder, [pages])
    (document,) = PolyspanDocumentStore(tmp_path / "index", encoder, create=False).filter_documents()
    assert (document.id, document.content) == ("a.pdf", pages.text)
    assert document.meta == {"format": "pdf", "page_number": 1, "page_starts": [11, 23, 23]}


def test_store_is_made_when_it_is_needed_and_only_if_wanted(tmp_path: Path) -> None:
    store = PolyspanDocumentStore(str(tmp_path / "new"), FakeEncoder(), create=False)
    assert not (tmp_path / "new").exists()
    with pytest.raises(PassageIndexError, match="no index there"):
        store.count_documents()
    store.create = True
    assert store.count_documents() == 0


def test_store_refuses_another_encoder(filled: PolyspanDocumentStore) -> None:
    with pytest.raises(PassageIndexError, match="another encoder"):
        PolyspanDocumentStore(filled.index, FakeEncoder("other")).write_documents([Document(content="x")])


def test_store_policies(filled: PolyspanDocumentStore) -> None:
    changed, new = Document(id="a", content="The cat sleeps."), Document(id="d", content="New.")
    for policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL):
        with pytest.raises(DuplicateDocumentError):
            filled.write_documents([new, changed], policy)
    with pytest.raises(DuplicateDocumentError):
        filled.write_documents([new, new], DuplicatePolicy.FAIL)
    assert filled.count_documents() == 3  # nothing of it was written
    assert filled.write_documents([changed, new], DuplicatePolicy.SKIP) == 1
    assert filled.filter_documents()[0] == DOCUMENTS[0]
    assert filled.write_documents([changed], DuplicatePolicy.OVERWRITE) == 1
    assert filled.filter_documents()[0] == changed


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document(id="n", content=None), "holds no text"),
        (Document(id="n", content=" \n"), "holds no text"),
        (Document(id="n", content="x", embedding=[0.1]), "embedding is not kept"),
        (Document(id="n", content="x", blob=ByteStream(b"x")), "blob is not kept"),
        (Document(id="n", content="x", sparse_embedding=SparseEmbedding([1], [0.5])), "sparse_embedding is not kept"),
        (Document(id="n", content="x", meta={"seen": {1}}), "cannot be written as JSON"),
    ],
)
def test_store_refuses_what_an_index_does_not_keep(
    document: Document, message: str, filled: PolyspanDocumentStore
) -> None:
    with pytest.raises(InputError, match=f"document n: .*{message}"):
        filled.write_documents([Document(content="fine"), document])
    assert filled.count_documents() == 3


def equal(field: str, value: Any, operator: str = "==") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, "abc"),
        (equal("meta.lang", "en"), "ac"),
        (equal("lang", "en"), "ac"),
        (equal("meta.lang", "en", "!="), "b"),
        (equal("meta.year", 1931), "ab"),
        (equal("meta.year", 1931, "!="), "c"),
        (equal("meta.lang", ["de", "fr"], "in"), "b"),
        (equal("meta.lang", [], "in"), ""),
        (equal("meta.lang", ["de", "fr"], "not in"), "ac"),
        (equal("meta.lang", [], "not in"), "abc"),
        (equal("id", "b"), "b"),
        (equal("id", ["b", "it's"], "not in"), "ac"),
        ({"operator": "AND", "conditions": [equal("meta.lang", "en"), equal("meta.year", 1931)]}, "a"),
        ({"operator": "OR", "conditions": [equal("meta.lang", "de"), equal("id", "c")]}, "bc"),
        ({"operator": "NOT", "conditions": [equal("meta.lang", "en"), equal("meta.year", 1931)]}, "bc"),
        (
            {
                "operator": "AND",
                "conditions": [
                    equal("meta.lang", "en"),
                    {"operator": "OR", "conditions": [equal("id", "b"), equal("id", "c")]},
                ],
            },
            "c",
        ),
    ],
)
def test_store_filters(filters: dict[str, Any], ids: str, filled: PolyspanDocumentStore) -> None:
    assert [one.id for one in filled.filter_documents(filters)] == list(ids)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (equal("meta.year", 1900, ">"), "compares texts, and only for equality"),
        (equal("meta.lang", None), "does not compare with None"),
        (equal("content", "x"), "does not filter by it"),
        (equal("meta.lang", "en", "in"), "wants a list"),
        ({"field": "meta.lang", "operator": "=="}, "no 'value'"),
        ({"operator": "XOR", "conditions": [equal("id", "a")]}, "one of AND, OR, NOT"),
        ({"operator": "AND", "conditions": []}, "one of AND, OR, NOT"),
        ({"lang": "en"}, "expected a filter"),
        ({"operator": "AND", "conditions": ["x"]}, "expected a filter"),
    ],
)
def test_store_refuses_filters_that_an_index_cannot_follow(
    filters: dict[str, Any], message: str, document_store: PolyspanDocumentStore
) -> None:
    with pytest.raises(FilterError, match=message):
        document_store.filter_documents(filters)


def test_store_asynchronously(document_store: PolyspanDocumentStore) -> None:
    async def work() -> tuple[Any, ...]:
        written = await DocumentWriter(document_store).run_async(DOCUMENTS)
        found = await document_store.filter_documents_async(equal("id", "c"))
        await document_store.delete_documents_async(["a"])
        return written, found, await document_store.count_documents_async()

    assert asyncio.run(work()) == ({"documents_written": 3}, DOCUMENTS[2:], 2)


def test_store_dictionary_has_every_argument(tmp_path: Path) -> None:
    given = {"index": str(tmp_path), "encoder": "default", "passage_bytes": 500, "overlap_bytes": 0, "create": False}
    data = {"type": "polyspan.interop.haystack.store.PolyspanDocumentStore", "init_parameters": given}
    assert PolyspanDocumentStore(tmp_path, "default", 500, 0, create=False).to_dict() == data
    assert PolyspanDocumentStore.from_dict(data).to_dict() == data
    assert set(given) == {one.name for one in fields(PolyspanDocumentStore) if one.init}
    with pytest.raises(InputError, match="open already"):
        PolyspanDocumentStore(tmp_path, FakeEncoder()).to_dict()
    with pytest.raises(InputError, match="100 bytes or more"):
        PolyspanDocumentStore(tmp_path, passage_bytes=10)
