import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from polyspan import Document, InputError, Span
from polyspan.errors import PassageIndexError
from polyspan.retrieval import IndexSettings, PassageStore, cut_passages
from polyspan.retrieval import store as store_module
from polyspan.retrieval.rows import StoredDocument, schema, to_passage, to_rows
from polyspan.retrieval.store import FORMAT_VERSION, HEADER, TABLE

SETTINGS = IndexSettings("", "fake0", 4, 100, 20)


def rows(name: str, text: str, vector: tuple[float, ...] = (1, 0, 0, 0)) -> pa.Table:
    passages = cut_passages(Document(text, name), 100)
    return to_rows(passages, StoredDocument(name, f"digest of {text}"), np.array([vector] * len(passages), np.float32))


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    return PassageStore.create(tmp_path / "index", SETTINGS)


def names(found: pa.Table) -> list[str]:
    return [str(name) for name in found["document"].to_pylist()]


def test_store_keeps_passages_with_their_places(store: PassageStore) -> None:
    text = "First page, with a sentence. " * 4 + "\f" + "Second page, with another one. " * 4
    document = Document(text, "a", (0, text.index("\f") + 1), {"format": "pdf"})
    passages = cut_passages(document, 100)
    store.write([to_rows(passages, StoredDocument("a", "0"), np.ones((len(passages), 4), np.float32))], [])
    for row, passage in zip(store.document_rows("a"), passages, strict=True):
        kept = to_passage({**row})
        assert (kept.text, kept.span, kept.document.meta) == (passage.text, passage.span, {"format": "pdf"})
        for place in range(kept.span.start, kept.span.end):
            assert kept.document.page_at(place) == document.page_at(place)
            assert kept.document.quote(Span(place, place + 1)) == text[place]


def test_store_keeps_documents_without_pages(store: PassageStore) -> None:
    store.write([rows("a", "One text.")], [])
    (row,) = store.document_rows("a")
    assert to_passage(row).document.page_at(3) is None
    assert store.document_rows("it's not there") == []


def test_store_replaces_documents_whole(store: PassageStore) -> None:
    store.write([rows("a", "old words here. " * 30), rows("b", "other")], [])
    store.write([rows("a", "new"), rows("c", "more")], ["a"])
    assert [(one.id, one.digest) for one in store.documents()] == [
        ("a", "digest of new"),
        ("b", "digest of other"),
        ("c", "digest of more"),
    ]
    assert store.passages == 3
    assert names(store.search("old", None, 10)) == []
    assert names(store.search("new", None, 10)) == ["a"]


def test_store_removes_and_touches_documents(store: PassageStore) -> None:
    store.write([rows("it's", "one"), rows("b", "two")], [])
    store.touch([StoredDocument("it's", "", 7, 8)])
    assert [(one.id, one.size, one.modified) for one in store.documents()] == [("b", 0, 0), ("it's", 7, 8)]
    store.remove(["it's", "unknown"])
    store.remove([])
    assert [one.id for one in store.documents()] == ["b"]


def test_store_searches_words_vectors_and_both(store: PassageStore) -> None:
    store.write(
        [
            rows("words", "The harbour of Tessin."),
            rows("vector", "Der Hafen.", (0, 1, 0, 0)),
            rows("both", "A harbour.", (0, 0.9, 0.1, 0)),
        ],
        [],
    )
    vector = np.array([0, 1, 0, 0], np.float32)
    assert set(names(store.search("harbour", None, 10))) == {"words", "both"}
    assert names(store.search("", vector, 2)) == ["vector", "both"]
    assert names(store.search("harbour", vector, 3))[0] == "both"
    assert names(store.search("harbour", None, 10, "document = 'words'")) == ["words"]
    store.optimise()
    assert names(store.search("harbour", vector, 3))[0] == "both"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("東京都は日本の首都です", "首都"),
        ("ภาษาไทยเป็นภาษาราชการ", "ราชการ"),
        ("Der Müller wohnt hier", "muller"),
        ("ПРИВЕТ, мир", "привет"),
        ("العربية لغة جميلة", "لغة"),
    ],
)
def test_store_finds_words_in_any_script(store: PassageStore, text: str, question: str) -> None:
    store.write([rows("a", text), rows("b", "something else")], [])
    assert names(store.search(question, None, 10)) == ["a"]


def test_store_takes_any_question(store: PassageStore) -> None:
    store.write([rows("a", "What is here?")], [])
    for question in ('"', "a AND (b OR", "x:y^2~", "\0", "?", "what " * 2000, "'; drop"):
        assert store.search(question, np.ones(4, np.float32), 3).num_rows <= 1


def test_store_is_safe_with_a_reader_beside_a_writer(store: PassageStore) -> None:
    reader = PassageStore.open(store.uri)
    store.write([rows("a", "one")], [])
    assert [one.id for one in PassageStore.open(store.uri).documents()] == ["a"]
    store.write([rows("a", "two")], ["a"])
    assert reader.passages <= 1


def test_store_lets_one_writer_in(store: PassageStore) -> None:
    other = PassageStore.open(store.uri)
    with store.exclusive(), pytest.raises(PassageIndexError, match="another process writes"), other.exclusive():
        pass
    with other.exclusive():
        pass


def test_store_is_not_made_over_another_nor_among_other_files(tmp_path: Path, store: PassageStore) -> None:
    with pytest.raises(PassageIndexError, match="there is an index already"):
        PassageStore.create(store.uri, SETTINGS)
    store.write([rows("a", "one")], [])
    assert PassageStore.create(store.uri, SETTINGS, replace=True).passages == 0
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "letter.txt").write_text("Dear Ada")
    for replace in (False, True):
        with pytest.raises(PassageIndexError, match="holds other files"):
            PassageStore.create(tmp_path / "docs", SETTINGS, replace=replace)


def test_store_refuses_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(PassageIndexError, match="no index there; make one with polyspan index"):
        PassageStore.open(tmp_path / "absent")
    with pytest.raises(PassageIndexError, match="holds no index of polyspan"):
        PassageStore.open(tmp_path)
    import lancedb

    lancedb.connect(tmp_path).create_table(TABLE, data=[{"x": 1}])
    with pytest.raises(PassageIndexError, match="holds a table that polyspan did not make"):
        PassageStore.open(tmp_path)


def test_store_refuses_another_version(tmp_path: Path) -> None:
    import lancedb

    header = json.dumps({"format_version": FORMAT_VERSION + 1})
    lancedb.connect(tmp_path).create_table(TABLE, schema=schema(4).with_metadata({HEADER: header}))
    with pytest.raises(PassageIndexError, match=r"of version 2, this polyspan makes version 1; .* --rebuild"):
        PassageStore.open(tmp_path)


@pytest.mark.parametrize("part", ["_versions", "data"])
def test_store_refuses_a_truncated_folder(store: PassageStore, part: str) -> None:
    store.write([rows("a", "one")], [])
    for file in (Path(store.uri) / f"{TABLE}.lance" / part).rglob("*"):
        os.truncate(file, 5)
    with pytest.raises(PassageIndexError, match="if files are missing or cut off, index anew"):
        PassageStore.open(store.uri)


def test_store_refuses_a_folder_without_its_data(store: PassageStore) -> None:
    store.write([rows("a", "one")], [])
    shutil.rmtree(Path(store.uri) / f"{TABLE}.lance" / "data")
    with pytest.raises(PassageIndexError, match="--rebuild"):
        PassageStore.open(store.uri)


@pytest.mark.parametrize("sizes", [(99, 0), (200, 100), (200, -1)])
def test_settings_refuse_sizes_that_make_no_passages(sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="passages need 100 bytes"):
        IndexSettings("", "0", 4, *sizes)


def test_store_rows_come_by_document_and_in_order(store: PassageStore) -> None:
    store.write([rows(name, f"{name} says something. " * 10) for name in ("b", "a")], [])
    found = [(row["document"], row["number"]) for row in store.rows()]
    assert found == sorted(found)
    assert {name for name, _ in found} == {"a", "b"}
    assert store.rows("document = 'b'") == store.document_rows("b")
    assert store.rows("number < 0") == []


def test_store_of_many_passages_finds_the_nearest_vectors_by_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "VECTOR_INDEX_ROWS", 600)
    store = PassageStore.create(tmp_path / "index", IndexSettings("", "fake0", 128, 100, 20))
    chance = np.random.default_rng(7)
    vectors = chance.standard_normal((60, 128)).astype(np.float32).repeat(10, axis=0)  # ten near each other
    vectors += 0.3 * chance.standard_normal((600, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.write(
        [
            to_rows(cut_passages(Document("Some text.", f"{number:03}"), 100), StoredDocument(f"{number:03}", "0"), one)
            for number, one in enumerate(vectors[:, None])
        ],
        [],
    )
    before = [names(store.search("", one, 5)) for one in vectors[:20]]
    store.optimise()
    after = [names(store.search("", one, 5)) for one in vectors[:20]]
    assert [found[0] for found in after] == [f"{number:03}" for number in range(20)]
    shared = [len(set(one) & set(other)) / 5 for one, other in zip(before, after, strict=True)]
    assert np.mean(shared) > 0.99
    assert any("vector" in index.columns for index in store._table.list_indices())
    assert names(store.search("text", vectors[3], 10))[0] == "003"
