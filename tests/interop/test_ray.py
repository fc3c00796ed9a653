"""A real cluster of two worker processes on this machine."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fake_encoder import FakeEncoder
from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.errors import InputError
from polyspan.interop.ray import ClusterOptions, ask_on_cluster, prepare_on_cluster
from polyspan.pipeline import QAPipeline
from polyspan.retrieval import IndexRanking, IndexSettings, PassageStore, index_paths
from polyspan.types import FloatArray

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")  # Ray's own

DOCUMENTS, PASSAGES = 200, 50
CLUSTER = ClusterOptions("local", workers=2, batch=8)


class NotingEncoder(FakeEncoder):
    """Writes down which process is at work, and takes its time."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self._notes = notes

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        (self._notes / str(os.getpid())).touch()
        time.sleep(0.2)
        return super().encode_passages(texts)


class NotingScorer(FakeScorer):
    """Likewise."""

    def __init__(self, notes: Path) -> None:
        super().__init__("number word")
        self._notes = notes

    def score(self, batch: Any) -> tuple[FloatArray, FloatArray]:
        (self._notes / str(os.getpid())).touch()
        time.sleep(0.05)
        return super().score(batch)


def open_pipeline(index: str, notes: Path) -> QAPipeline:
    reader = Reader(NotingScorer(notes), NativeSettings(no_answer=True))
    return QAPipeline(reader, IndexRanking(PassageStore.open(index), FakeEncoder()))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    here = Path(__file__).parents[1]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here), *sys.path])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    for number in range(DOCUMENTS):
        text = "\n\n".join(f"Paragraph {i} of number {number} . " + "word " * 16 for i in range(PASSAGES))
        (folder / f"{number:03}.txt").write_text(text)
    return folder


@pytest.fixture(scope="module")
def local(docs: Path, tmp_path_factory: pytest.TempPathFactory) -> PassageStore:
    """The index that one process makes."""
    store = make_store(tmp_path_factory.mktemp("local"))
    index_paths(store, FakeEncoder(), [docs])
    assert store.passages == DOCUMENTS * PASSAGES
    return store


def make_store(folder: Path) -> PassageStore:
    return PassageStore.create(folder / "index", IndexSettings("", "fake0", 64, 150, 0))


def killing(notes: Path) -> threading.Thread:
    """Kills the first worker that notes itself, while it holds a task."""

    def kill() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            for note in notes.iterdir():
                os.kill(int(note.name), signal.SIGKILL)
                (notes.parent / "killed").touch()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.mark.usefixtures("cluster")
def test_ray_indexes_ten_thousand_passages_as_one_process_does(
    docs: Path, local: PassageStore, notes: Path, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    (docs / "000.pdf").write_bytes(b"%PDF-1.7 broken")
    thread = killing(notes)
    prepare = prepare_on_cluster(partial(NotingEncoder, notes), store.settings, CLUSTER)
    report = index_paths(store, FakeEncoder(), [docs], prepare=prepare)
    (docs / "000.pdf").unlink()
    thread.join()
    assert (tmp_path / "killed").exists()
    assert (report.added, report.passages, len(report.errors)) == (DOCUMENTS, 10_000, 1)
    assert "not a readable PDF" in str(report.errors[0])
    assert store.documents() == local.documents()
    for one in store.documents()[::20]:
        assert store.document_rows(one.id) == local.document_rows(one.id)
    again = index_paths(store, FakeEncoder(), [docs], prepare=prepare_on_cluster(FakeEncoder, store.settings, CLUSTER))
    assert (again.added, again.unchanged) == (0, DOCUMENTS)


@pytest.mark.usefixtures("cluster")
def test_ray_answers_as_one_process_does(local: PassageStore, notes: Path, tmp_path: Path) -> None:
    questions = [f"paragraph {number % 7} find number" for number in range(120)]
    thread = killing(notes)
    found = list(ask_on_cluster(questions, partial(open_pipeline, local.uri, notes), None, CLUSTER))
    thread.join()
    assert (tmp_path / "killed").exists()
    here = open_pipeline(local.uri, notes).ask_stream(questions)
    assert found == [{**json.loads(json.dumps(reading.to_json())), "model": "fake"} for _, reading in here]
    assert len(found) == 120
    assert list(ask_on_cluster([], partial(open_pipeline, local.uri, notes), None, CLUSTER)) == []


@pytest.mark.parametrize("name", ["workers", "cpus", "batch"])
def test_cluster_options_refuse_fewer_than_one(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1"):
        ClusterOptions(**{name: 0})  # type: ignore[arg-type]
