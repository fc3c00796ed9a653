"""Passages of an index in Haystack's pipelines."""

import asyncio
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fake_encoder import FakeEncoder
from polyspan import Document as OwnDocument
from polyspan import InputError, Reader
from polyspan.errors import MissingExtraError
from polyspan.pipeline import QAPipeline
from polyspan.retrieval import IndexRanking, index_documents

pytest.importorskip("polyspan.interop.haystack", exc_type=MissingExtraError)

from haystack import Document
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import FilterPolicy
from haystack.errors import FilterError

from polyspan.interop.haystack import PolyspanDocumentStore, PolyspanReader, PolyspanRetriever

PAGES = "Dogs sleep well. " * 5 + "\f" + "Bees dance well. " * 10
DOCUMENTS = [
    Document(id="en", content="The dog sleeps in the harbour.", meta={"lang": "en", "year": 1931}),
    Document(id="de", content="Der Hund schläft.", meta={"lang": "de"}),
    Document(id="bees", content="Bees dance. " * 30, meta={"lang": "en"}),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PolyspanDocumentStore:
    folder = tmp_path_factory.mktemp("index")
    store = PolyspanDocumentStore(folder, FakeEncoder(), passage_bytes=120, overlap_bytes=20)
    store.write_documents(DOCUMENTS)
    return store


def sources(documents: list[Document]) -> list[str]:
    return [one.meta["source_id"] for one in documents]


def only(lang: str) -> dict[str, Any]:
    return {"field": "meta.lang", "operator": "==", "value": lang}


def test_retriever_gives_passages_with_their_places(store: PolyspanDocumentStore) -> None:
    found = PolyspanRetriever(store).run("dog", top_k=2)["documents"]
    assert set(sources(found)) == {"en", "de"}
    assert [one.score for one in found] == [1.0, 0.5]
    (dog,) = [one for one in found if one.meta["lang"] == "en"]
    assert (dog.id, dog.content) == ("en:0", DOCUMENTS[0].content)
    assert {name: dog.meta[name] for name in ("year", "split_idx_start")} == {"year": 1931, "split_idx_start": 0}
    for bee in PolyspanRetriever(store, ranking="words").run("bees")["documents"]:
        start = bee.meta["split_idx_start"]
        assert (DOCUMENTS[2].content or "")[start:].startswith(bee.content)
        assert [copy["source_id"] for copy in bee.meta["copies"]] == ["bees"] * len(bee.meta["copies"])


@pytest.mark.parametrize(
    ("document", "source", "begin", "page"),
    [
        (OwnDocument(PAGES, "file", (0, 86), {"format": "pdf"}), "file", 0, 1),
        (Document(id="written", content=PAGES, meta={"page_number": 4}), "written", 0, 4),
        (Document(id="half", content=PAGES, meta={"source_id": "whole"}), "half", 0, None),
        (Document(id="part", content=PAGES, meta={"source_id": "whole", "split_idx_start": 900}), "whole", 900, None),
    ],
)
def test_retriever_names_pages_and_parts_of_parts(
    document: Document | OwnDocument, source: str, begin: int, page: int | None, tmp_path: Path
) -> None:
    store = PolyspanDocumentStore(tmp_path, FakeEncoder(), passage_bytes=300, overlap_bytes=0)
    if isinstance(document, Document):
        store.write_documents([document])
    else:
        index_documents(store.passages, store.text_encoder, [document])
    (found,) = PolyspanRetriever(store, top_k=1).run("dogs")["documents"]
    assert (found.meta["source_id"], found.meta["split_idx_start"]) == (source, begin)
    assert (found.id, found.content) == (f"{document.id}:0", PAGES[: len(found.content or "")])
    if page is None:
        assert "page_number" not in found.meta
    else:
        assert (found.meta["page_number"], found.meta["page_starts"]) == (page, [86])


@pytest.mark.parametrize(("ranking", "first"), [("words", ["en"]), ("vectors", None), ("hybrid", None)])
def test_retriever_ranking(ranking: Any, first: list[str] | None, store: PolyspanDocumentStore) -> None:
    found = sources(PolyspanRetriever(store, ranking=ranking).run("dog")["documents"])
    assert found == first if first else set(found[:2]) == {"en", "de"}


def test_retriever_by_words_needs_no_encoder(store: PolyspanDocumentStore) -> None:
    other = PolyspanDocumentStore(store.index, "no/such/encoder")
    retriever = PolyspanRetriever(other, ranking="words")
    retriever.warm_up()
    assert sources(retriever.run("dog")["documents"]) == ["en"]


def test_retriever_options(store: PolyspanDocumentStore) -> None:
    assert len(PolyspanRetriever(store, top_k=1).run("dog")["documents"]) == 1
    assert PolyspanRetriever(store).run("dog", top_k=0) == {"documents": []}
    weights = [
        [one.meta.get("handicap", 0) for one in PolyspanRetriever(store, rank_weight=weight).run("dog")["documents"]]
        for weight in (0.0, 2.0)
    ]
    assert not any(weights[0])
    assert weights[1] == sorted(weights[1])
    assert weights[1][1] > 0
    one = PolyspanRetriever(store, per_document=1).run("bees dance")["documents"]
    assert not any("copies" in found.meta for found in one)
    narrow = PolyspanRetriever(store, pool=1, top_k=1, ranking="words").run("bees dance")["documents"]
    assert not any("copies" in found.meta for found in narrow)


def test_retriever_filters(store: PolyspanDocumentStore) -> None:
    retriever = PolyspanRetriever(store, filters=only("de"))
    assert sources(retriever.run("dog")["documents"]) == ["de"]
    assert set(sources(retriever.run("dog", filters=only("en"))["documents"])) == {"en", "bees"}
    year = {"field": "meta.year", "operator": "==", "value": 1931}
    merged = PolyspanRetriever(store, filters=only("en"), filter_policy=FilterPolicy.MERGE)
    assert sources(merged.run("dog", filters=year)["documents"]) == ["en"]
    with pytest.raises(FilterError, match="only for equality"):
        retriever.run("dog", filters={**year, "operator": ">"})


def test_retriever_asynchronously(store: PolyspanDocumentStore) -> None:
    retriever = PolyspanRetriever(store)
    found = asyncio.run(retriever.run_async("dog", filters=only("en"), top_k=1))
    assert found == retriever.run("dog", filters=only("en"), top_k=1)


def test_retriever_dictionary_has_every_argument(tmp_path: Path) -> None:
    store = PolyspanDocumentStore(tmp_path / "index", create=False)
    given = {
        "document_store": store.to_dict(),
        "filters": only("en"),
        "top_k": 3,
        "ranking": "words",
        "pool": 20,
        "per_document": 2,
        "rank_weight": 0.0,
        "filter_policy": "merge",
    }
    data = {"type": "polyspan.interop.haystack.retriever.PolyspanRetriever", "init_parameters": given}
    retriever = PolyspanRetriever(store, only("en"), 3, "words", 20, 2, 0.0, FilterPolicy.MERGE)
    assert retriever.to_dict() == data
    assert PolyspanRetriever.from_dict(json.loads(json.dumps(data))).to_dict() == data
    assert set(given) == {one.name for one in fields(PolyspanRetriever)}


def test_retriever_refuses_bad_arguments(store: PolyspanDocumentStore) -> None:
    for arguments in ({"top_k": 0}, {"ranking": "magic"}, {"pool": 0}, {"rank_weight": -1}):
        with pytest.raises(InputError, match=next(iter(arguments))):
            PolyspanRetriever(store, **arguments)
    with pytest.raises(InputError, match="must be a PolyspanDocumentStore, not a InMemory"):
        PolyspanRetriever(InMemoryDocumentStore())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 or more"):
        PolyspanRetriever(store).run("dog", top_k=-1)


def test_retriever_and_reader_answer_as_the_library_does(tmp_path: Path, words: Reader) -> None:
    store = PolyspanDocumentStore(tmp_path, FakeEncoder(), passage_bytes=100, overlap_bytes=0)
    pages = OwnDocument("x is the head. " * 8 + "Carla is the head.", "pages", (0, 60, 110))
    index_documents(store.passages, store.text_encoder, [pages, OwnDocument("Jerry was the chancellor.", "other")])
    pipeline = QAPipeline(words, IndexRanking(store.passages, store.text_encoder))
    for question in ("find carla", "find jerry", "find oslo"):
        expected = pipeline.ask(question)
        best = (*expected.answers, *expected.candidates)[0]
        answers = PolyspanReader(words).run(question, PolyspanRetriever(store).run(question)["documents"])["answers"]
        assert (answers[0].data is None) == expected.no_answer.chosen
        found = next(one for one in answers if one.data is not None)
        start = found.document.meta["split_idx_start"] + found.document_offset.start
        assert (found.document.meta["source_id"], start, found.data) == (best.document, best.start, best.text)
        assert found.score == pytest.approx(best.score, abs=1e-9)
        assert found.meta.get("answer_page_number") == best.page
