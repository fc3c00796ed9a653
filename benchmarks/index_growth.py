"""How an index's size, and the time and memory of asking it, grow with its passages.

    python benchmarks/index_growth.py TEXTS.json --sizes 1000 10000 50000 500000

Passages are shuffled words of real texts with random vectors, so that only retrieval is measured, neither encoder nor
reader; each size is asked in a process of its own. Real vectors lie closer together; that changes what is found, not
how many are compared.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Document, Passage, Span
from polyspan.bench.footprint import peak_bytes
from polyspan.bench.timing import growth_exponent
from polyspan.datasets import read_squad
from polyspan.evaluation.figures import draw_png
from polyspan.retrieval import IndexSettings, PassageStore, StoredDocument
from polyspan.retrieval.options import Ranking
from polyspan.retrieval.rows import to_rows

RESULT = Path(__file__).parent / "results" / "index-growth.json"
DIMENSION, WORDS, OF_DOCUMENT, OF_WRITE = 384, 150, 20, 100
WAYS: tuple[Ranking, ...] = ("words", "vectors", "hybrid")


def documents(words: np.ndarray[Any, Any], passages: int, seed: int) -> Iterator[tuple[StoredDocument, list[Passage]]]:
    """So many passages of random words, 20 a document."""
    chance = np.random.default_rng(seed)
    for number in range(passages // OF_DOCUMENT):
        pieces = [" ".join(chance.choice(words, WORDS)) + "\n" for _ in range(OF_DOCUMENT)]
        document, begin, found = Document("".join(pieces), str(number)), 0, []
        for piece in pieces:
            found.append(Passage(document, Span(begin, begin + len(piece))))
            begin += len(piece)
        yield StoredDocument(document.id, "0"), found


def vectors(count: int, chance: np.random.Generator) -> np.ndarray[Any, Any]:
    """Random ones of length 1, float32 [count, dimension]."""
    found: np.ndarray[Any, Any] = chance.standard_normal((count, DIMENSION), np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def filled(uri: str, words: np.ndarray[Any, Any], size: int, seed: int) -> dict[str, Any]:
    """Make an index of that many passages; what that took."""
    store = PassageStore.create(uri, IndexSettings("", "random", DIMENSION))
    chance, rows, began = np.random.default_rng(seed), [], time.perf_counter()
    writing = 0.0
    for stored, passages in tqdm(documents(words, size, seed), total=size // OF_DOCUMENT, unit="document"):
        rows.append(to_rows(passages, stored, vectors(len(passages), chance)))
        if len(rows) == OF_WRITE:
            began = time.perf_counter()
            store.write(rows, [])
            writing, rows = writing + time.perf_counter() - began, []
    began = time.perf_counter()
    if rows:
        store.write(rows, [])
    store.optimise()
    writing += time.perf_counter() - began
    size_on_disk = sum(file.stat().st_size for file in Path(uri).rglob("*") if file.is_file())
    return {
        "seconds of writing and indexing": round(writing, 1),
        "bytes on disk": size_on_disk,
        "bytes a passage": round(size_on_disk / size),
    }


def ask(uri: str, asked: int, seed: int) -> dict[str, Any]:
    """Milliseconds of a question each way, and the most memory that this process held."""
    store, chance = PassageStore.open(uri), np.random.default_rng(seed + 1)
    texts = [row["text"].split() for row in store.document_rows("0")]
    result: dict[str, Any] = {}
    for way in WAYS:
        seconds = []
        for number in range(asked + 3):  # the first ones read files that later ones find in memory
            question = " ".join(chance.choice(texts[number % len(texts)], 8))
            vector = vectors(1, chance)[0]
            began = time.perf_counter()
            store.search("" if way == "vectors" else question, None if way == "words" else vector, 50)
            seconds.append(1000 * (time.perf_counter() - began))
        p50, p95 = np.percentile(seconds[3:], (50, 95))
        result[way] = {"p50 ms": round(float(p50), 2), "p95 ms": round(float(p95), 2)}
    return {**result, "peak MiB": round((peak_bytes() or 0) / 2**20)}


def asked_apart(uri: str, asked: int, seed: int) -> dict[str, Any]:
    """``ask`` in a process of its own."""
    command = [sys.executable, __file__, uri, "--ask", str(asked), "--seed", str(seed)]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def draw(sizes: dict[int, dict[str, Any]]) -> bytes:
    """Time and size over passages as a PNG file."""

    def fill(figure: Any) -> None:
        times, space = figure.subplots(1, 2)
        for way in WAYS:
            times.loglog(list(sizes), [one[way]["p50 ms"] for one in sizes.values()], "o-", label=way)
        times.set(xlabel="passages", ylabel="milliseconds of a question, median")
        space.loglog(list(sizes), [one["bytes on disk"] / 2**20 for one in sizes.values()], "o-", label="on disk")
        space.loglog(list(sizes), [one["peak MiB"] for one in sizes.values()], "o-", label="memory of asking, at most")
        space.set(xlabel="passages", ylabel="MiB")
        for axes in (times, space):
            axes.legend()

    return draw_png(9.6, 4.0, fill)


def main() -> None:
    """Fill, ask, and write the result with its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", help="SQuAD JSON whose words are used")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 50_000, 500_000])
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.ask is not None:
        print(json.dumps(ask(given.texts, given.ask, given.seed)))
        return
    words = np.array([word for one in read_squad(Path(given.texts)) for word in one.context.split()])
    sizes: dict[int, dict[str, Any]] = {}
    for size in given.sizes:
        with TemporaryDirectory() as scratch:
            uri = str(Path(scratch) / "index")
            sizes[size] = {**filled(uri, words, size, given.seed), **asked_apart(uri, given.questions, given.seed)}
        print(size, sizes[size])
    given.out.with_suffix(".png").write_bytes(draw(sizes))
    growth = {way: round(growth_exponent({n: one[way]["p50 ms"] for n, one in sizes.items()}), 2) for way in WAYS}
    write_result(
        given.out,
        {
            "what": "an index of random passages of 150 words: size, time and memory of asking for 50 of them",
            "questions": given.questions,
            "passages": sizes,
            "time grows with the power": growth,
            "seed": given.seed,
            **machine(("polyspan", "lancedb", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
