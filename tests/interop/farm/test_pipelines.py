"""Haystack 1's first tutorial, line by line but for its import lines, and the helpers that it takes."""

import gzip
import os
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from pprint import pformat
from threading import Thread
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan import DocumentError, InputError, Reader
from polyspan.interop.farm import (
    Answer,
    BM25Retriever,
    Document,
    EmbeddingRetriever,
    ExtractiveQAPipeline,
    FARMReader,
    InMemoryDocumentStore,
    TextIndexingPipeline,
    clean_wiki_text,
    convert_files_to_docs,
    fetch_archive_from_http,
    print_answers,
)

EXAMPLES = Path(__file__).parents[3] / "examples" / "documents"
PAGES = {"a.txt": "Eddard is the father of Arya.\n\n" + "Winter is coming. " * 30, "b.txt": "Paul lives in New York"}


@pytest.fixture
def address() -> Iterator[str]:
    """A server of archives."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in PAGES.items():
            archive.writestr(name, text)
        archive.writestr("../outside.txt", "x")
    files = {"/pages.zip": packed.getvalue(), "/a.txt.gz": gzip.compress(b"one"), "/broken.zip": b"x", "/x.tar": b"x"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pipelines_tutorial_runs(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document_store = InMemoryDocumentStore(use_bm25=True)
    doc_dir = str(tmp_path / "data" / "tutorial")
    fetch_archive_from_http(url=f"{address}/pages.zip", output_dir=doc_dir)
    files_to_index = [doc_dir + "/" + f for f in os.listdir(doc_dir)]  # noqa: PTH208 -- the tutorial's line
    indexing_pipeline = TextIndexingPipeline(document_store)
    indexing_pipeline.run_batch(file_paths=[file for file in files_to_index if "outside" not in file])
    retriever = BM25Retriever(document_store=document_store)
    reader = FARMReader(model_name_or_path="default", use_gpu=True)
    pipe = ExtractiveQAPipeline(reader, retriever)
    prediction = pipe.run(
        query="Who is the father of Arya?", params={"Retriever": {"top_k": 10}, "Reader": {"top_k": 5}}
    )
    print_answers(prediction, details="minimum")  ## Choose from `minimum`, `medium`, and `all`
    assert prediction["query"] == "Who is the father of Arya?"
    assert prediction["answers"][0].answer == "Eddard"
    assert prediction["answers"][0].meta["name"] == "a.txt"
    assert len(prediction["answers"]) <= 5
    assert 0 < len(prediction["documents"]) <= 10
    printed = capsys.readouterr().out
    assert printed.startswith("'Query: Who is the father of Arya?'\n'Answers:'\n[   {   'answer': 'Eddard'")
    assert "score" not in printed
    assert not (tmp_path / "data" / "outside.txt").exists()


def test_pipelines_params_are_for_nodes_or_for_all(words: Reader, docs: list[Document]) -> None:
    store = InMemoryDocumentStore()
    store.write_documents(docs)
    pipe = ExtractiveQAPipeline(FARMReader(words), BM25Retriever(store))
    assert len(pipe.run("find carla", params={"top_k": 2})["documents"]) == 2
    found = pipe.run("find carla", params={"top_k": 2, "Reader": {"top_k": 1}})
    assert (len(found["documents"]), len(found["answers"])) == (2, 1)
    assert found["params"] == {"top_k": 2, "Reader": {"top_k": 1}}
    assert (found["root_node"], found["node_id"]) == ("Query", "Reader")
    only = pipe.run("find paul", params={"filters": {"name": ["4.txt"]}}, debug=True)
    assert [one.meta["name"] for one in only["documents"]] == ["4.txt"]
    faults: list[dict[str, Any]] = [{"Retreiver": {"top_k": 2}}, {"Reader": {"topk": 2}}]
    for fault in faults:
        with pytest.raises(ValueError, match="params"):
            pipe.run("find carla", params=fault)
    assert pipe.get_node("Reader") is not pipe.get_node("Retriever")
    assert pipe.get_node("Ranker") is None
    assert pipe.get_document_store() is store


def test_pipelines_batch_equals_single_runs(words: Reader, docs: list[Document]) -> None:
    store = InMemoryDocumentStore()
    store.write_documents(docs)
    pipe = ExtractiveQAPipeline(FARMReader(words), BM25Retriever(store))
    queries = ["find carla", "find paul"]
    found = pipe.run_batch(queries, params={"Retriever": {"top_k": 3}})
    singles = [pipe.run(query, params={"Retriever": {"top_k": 3}}) for query in queries]
    assert found["answers"] == [one["answers"] for one in singles]
    assert found["documents"] == [one["documents"] for one in singles]


def test_pipelines_indexing_keeps_names_and_pages(tmp_path: Path) -> None:
    store = InMemoryDocumentStore()
    written = TextIndexingPipeline(store).run_batch([EXAMPLES / "bridge-history.txt"])["documents"]
    assert len(written) > 1
    assert {one.meta["name"] for one in written} == {"bridge-history.txt"}
    assert [one.meta["_split_id"] for one in written] == list(range(len(written)))
    TextIndexingPipeline(store).run(file_path=next(EXAMPLES.glob("*.pdf")))
    assert any(one.meta.get("page_number") for one in store.get_all_documents())
    with pytest.raises(DocumentError, match="absent"):
        TextIndexingPipeline(store).run(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="leave them out"):
        TextIndexingPipeline(store, preprocessor=object())


def test_pipelines_embedding_retriever(words: Reader, docs: list[Document], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    folder = tmp_path / "encoder"
    tiny.make_encoder_folder(folder, "bert", "mean", {})
    tiny.export_encoder_onnx(folder)
    store = InMemoryDocumentStore()
    store.write_documents(docs)
    retriever = EmbeddingRetriever(
        document_store=store, embedding_model=str(folder), model_format="sentence_transformers", batch_size=2
    )
    store.update_embeddings(retriever)
    vectors = retriever.embed_documents(docs)
    assert vectors.shape == (5, retriever.encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    found = retriever.retrieve(docs[2].content, top_k=2, scale_score=False)
    assert (found[0].content, len(found)) == (docs[2].content, 2)
    answers = ExtractiveQAPipeline(FARMReader(words), retriever).run("find carla", params={"top_k": 5})["answers"]
    assert answers[0].answer == "Carla"
    prompted = EmbeddingRetriever(
        folder, query_prompt="Who ", passage_prompt="The ", embed_meta_fields=["name"], use_gpu=False
    )
    assert not np.allclose(prompted.embed_documents(docs), vectors)
    assert not np.allclose(prompted.embed_queries(["x"]), retriever.embed_queries(["x"]))
    store.write_documents([Document("new")])
    store.update_embeddings(prompted, update_existing_embeddings=False)
    assert store.get_embedding_count() == 6
    kept = store.get_document_by_id(docs[0].id)
    assert kept is not None
    assert kept.embedding is not None
    np.testing.assert_allclose(kept.embedding, vectors[0], atol=1e-6)


def test_pipelines_embedding_retriever_refuses_services() -> None:
    faults: list[dict[str, Any]] = [{"model_format": "openai"}, {"api_key": "x"}, {"use_auth_token": "x"}]
    for fault in faults:
        with pytest.raises(InputError, match=r"model_format|HF_TOKEN"):
            EmbeddingRetriever("x/y", **fault)


def test_pipelines_print_answers_in_three_details(capsys: pytest.CaptureFixture[str]) -> None:
    answers = [Answer("Eddard", score=0.5, context="Eddard is the father")]
    print_answers({"query": "who", "answers": answers}, details="medium", max_text_len=6)
    expected = pformat([{"answer": "Eddard", "context": "Eddard...", "score": 0.5}], indent=4)
    assert capsys.readouterr().out == f"'Query: who'\n'Answers:'\n{expected}\n"
    print_answers({"queries": ["who", "what"], "answers": [answers, []]})
    printed = capsys.readouterr().out
    assert printed.count("Query") == 2
    assert "offsets_in_document" in printed
    assert answers[0].context == "Eddard is the father"
    with pytest.raises(ValueError, match="minimum, medium, all"):
        print_answers({"query": "x", "answers": []}, details="some")
    with pytest.raises(ValueError, match="hold no answers, but documents"):
        print_answers({"documents": []})


def test_pipelines_files_to_documents(tmp_path: Path) -> None:
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "c.csv").write_text("x")
    whole = convert_files_to_docs(dir_path=str(tmp_path))
    assert [(one.meta["name"], len(one.content) > 100) for one in whole] == [("a.txt", True), ("b.txt", False)]
    parts = convert_files_to_docs(dir_path=tmp_path, clean_func=str.upper, split_paragraphs=True)
    assert [one.content[:6] for one in parts] == ["EDDARD", "WINTER", "PAUL L"]
    one = convert_files_to_docs(file_paths=[tmp_path / "b.txt"], id_hash_keys=["meta.name"])
    assert one[0].id != whole[1].id
    with pytest.raises(InputError, match="dir_path or file_paths"):
        convert_files_to_docs()


def test_pipelines_wiki_text_is_cleaned() -> None:
    long = "This line has more than thirty characters in it."
    text = f"short\n\n\n{long}\n==Empty==\n==History==\n\n{long}\n"
    assert clean_wiki_text(text) == f"{long}\n\n\n==History==\n{long}"


def test_pipelines_fetches_archives_once(address: str, tmp_path: Path) -> None:
    assert fetch_archive_from_http(f"{address}/a.txt.gz", tmp_path / "one")
    assert (tmp_path / "one" / "a.txt").read_text() == "one"
    assert not fetch_archive_from_http(f"{address}/a.txt.gz", str(tmp_path / "one"))
    for name in ("broken.zip", "x.tar", "absent.zip"):
        with pytest.raises(DocumentError, match=name):
            fetch_archive_from_http(f"{address}/{name}", tmp_path / name)
    with pytest.raises(InputError, match="begins with http"):
        fetch_archive_from_http(f"file://{tmp_path}/one/a.txt.gz", tmp_path / "two")
    with pytest.raises(InputError, match="HTTPS_PROXY"):
        fetch_archive_from_http(f"{address}/a.txt.gz", tmp_path / "two", proxies={"http": "x"})
