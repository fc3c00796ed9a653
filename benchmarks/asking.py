"""What a question of a large index costs: finding passages and reading them apart, memory, and what indexing takes.

    python benchmarks/asking.py DIR QUESTIONS.json --model default

The index is one that polyspan index or retrieval.py made. Peak memory is that of this process, which only asks;
indexing is measured in a second one, on the dataset's own contexts, with one thread.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Passage
from polyspan.backends import BackendOptions, open_encoder
from polyspan.bench.footprint import peak_bytes
from polyspan.evaluation import read_questions
from polyspan.evaluation.opendomain import choose, context_documents
from polyspan.pipeline import PassageRanker, QAPipeline
from polyspan.reader import Reader
from polyspan.retrieval import IndexRanking, IndexSettings, PassageStore, index_documents

RESULT = Path(__file__).parent / "results" / "asking.json"


class Clock:
    """A ranker that counts the milliseconds of each question."""

    def __init__(self, ranker: PassageRanker) -> None:
        self._ranker = ranker
        self.milliseconds: list[float] = []

    def best(self, question: str, count: int) -> list[Passage]:
        """What the ranker finds."""
        began = time.perf_counter()
        found = self._ranker.best(question, count)
        self.milliseconds.append(1000 * (time.perf_counter() - began))
        return found


def percentiles(values: list[float]) -> dict[str, float]:
    """p50 and p95 in milliseconds."""
    return {f"p{share} ms": round(float(np.percentile(values, share)), 1) for share in (50, 95)}


def indexed(dataset: Path, count: int) -> dict[str, Any]:
    """Indexing so many contexts of a dataset, with one thread: passages a second of processor time, and memory."""
    documents = context_documents(read_questions(dataset))[:count]
    encoder = open_encoder(options=BackendOptions(threads=1))
    with TemporaryDirectory() as scratch:
        store = PassageStore.create(str(Path(scratch) / "index"), IndexSettings("", encoder.digest, encoder.dimension))
        before = time.process_time()
        index_documents(store, encoder, documents)
        seconds, passages = time.process_time() - before, store.passages
    return {
        "passages": passages,
        "characters a passage": round(sum(len(one.text) for one in documents) / passages),
        "passages a second and core": round(passages / seconds, 2),
        "peak MiB": round((peak_bytes() or 0) / 2**20),
    }


def indexed_apart(dataset: Path, count: int) -> dict[str, Any]:
    """``indexed`` in a process of its own."""
    command = [sys.executable, __file__, "-", str(dataset), "--documents", str(count), "--only-index"]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def asked(given: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of each question, after five that do not count."""
    store, encoder = PassageStore.open(given.index), open_encoder()
    clock = Clock(IndexRanking(store, encoder))
    pipeline = QAPipeline(Reader.from_pretrained(given.model), clock)
    examples = choose(read_questions(given.dataset), unanswerable=False, sample=given.questions + 5).examples
    whole = []
    for one in tqdm(examples, unit="q"):
        began = time.perf_counter()
        pipeline.ask(one.question)
        whole.append(1000 * (time.perf_counter() - began))
    found = clock.milliseconds
    reading = [both - finding for both, finding in zip(whole, found, strict=True)]
    size = sum(file.stat().st_size for file in Path(given.index).rglob("*") if file.is_file())
    return {
        "passages": store.passages,
        "questions": given.questions,
        "finding": percentiles(found[5:]),
        "reading": percentiles(reading[5:]),
        "both": percentiles(whole[5:]),
        "peak MiB": round((peak_bytes() or 0) / 2**20),
        "bytes on disk": size,
        "bytes a passage": round(size / store.passages),
    }


def main() -> None:
    """Ask, index, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--documents", type=int, default=600, help="how many contexts are indexed")
    parser.add_argument("--only-index", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.only_index:
        print(json.dumps(indexed(given.dataset, given.documents)))
        return
    asking = asked(given)
    write_result(
        given.out,
        {
            "what": "a question of an index, by words and vectors, ten passages read; and indexing",
            "asking": asking,
            "indexing, one thread": indexed_apart(given.dataset, given.documents),
            **machine(("polyspan", "lancedb", "onnxruntime", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
