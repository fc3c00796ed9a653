"""Processes that are killed while they index, and others that ask meanwhile."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fake_encoder import FakeEncoder
from polyspan.retrieval import IndexRanking, IndexSettings, PassageStore, index_paths

KILLS = 10
CHILD = """
import sys, time
from pathlib import Path
from fake_encoder import FakeEncoder
from polyspan.retrieval import IndexRanking, PassageStore, index_paths, indexing
indexing.COMMIT_PASSAGES = 6
role, uri, folder = sys.argv[1:]
store = PassageStore.open(uri)
print("ready", flush=True)
if role == "write":
    print(index_paths(store, FakeEncoder(), [Path(folder)]).added, flush=True)
else:
    ranking, asked, end = IndexRanking(store, FakeEncoder()), 0, time.monotonic() + 600
    while len(store.documents()) < 240 and time.monotonic() < end:
        for passage in ranking.best("words of number 7", 5):
            assert passage.text.startswith("Sentence"), passage
        asked += 1
    print(asked, flush=True)
"""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(240):
        (folder / f"{number}.txt").write_text("".join(f"Sentence {i} of number {number}. " for i in range(20)))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    return PassageStore.create(tmp_path / "index", IndexSettings("", "fake0", 64, 200, 40))


def start(role: str, store: PassageStore, docs: Path) -> "subprocess.Popen[str]":
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}){CHILD}"
    process = subprocess.Popen(
        [sys.executable, "-c", code, role, store.uri, str(docs)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def whole_texts(store: PassageStore) -> Iterator[tuple[str, str]]:
    """Each document's text, put together from its passages, which must be whole and there once."""
    for document in store.documents():
        text, rows = "", store.document_rows(document.id)
        assert [row["number"] for row in rows] == list(range(len(rows)))
        for row in rows:
            text += row["text"][len(text) - row["start"] :]
        yield document.id, text


def test_indexing_survives_kills_at_random_moments(store: PassageStore, docs: Path) -> None:
    chance = np.random.default_rng(7)
    held, partly = 0, 0
    for _ in range(KILLS):
        process = start("write", store, docs)
        time.sleep(chance.uniform(0, 0.25))
        process.kill()
        process.communicate()
        opened = PassageStore.open(store.uri)
        texts = dict(whole_texts(opened))
        assert all(Path(name).read_text() == text for name, text in texts.items())
        assert len(texts) >= held
        held = len(texts)
        partly += 0 < held < 240
        if held:
            assert IndexRanking(opened, FakeEncoder()).best("words of number 7", 3)
    assert partly  # else the kills came before or after it all
    report = index_paths(PassageStore.open(store.uri), FakeEncoder(), [docs])
    assert (report.added + report.unchanged, report.changed, report.errors) == (240, 0, [])
    assert report.unchanged == held
    assert len(dict(whole_texts(PassageStore.open(store.uri)))) == 240


def test_two_processes_ask_while_one_indexes(store: PassageStore, docs: Path) -> None:
    readers = [start("read", store, docs) for _ in range(2)]
    writer = start("write", store, docs)
    assert writer.communicate()[0] == "240\n"
    for reader in readers:
        assert int(reader.communicate()[0]) > 0
        assert reader.returncode == 0
