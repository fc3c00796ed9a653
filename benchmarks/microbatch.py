"""What do single questions of many threads gain when they are read together?

    python benchmarks/microbatch.py MODEL DEV.json

Each of the threads asks one question after another, each of its own context: of the reader itself, of a reader that
only one thread uses at a time, and of a micro-batcher. Questions and contexts are those of the data, of any length.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np

from measure import interleaved, machine, medians, write_result
from polyspan import Reader, Reading
from polyspan.datasets import file_signature, read_squad
from polyspan.microbatch import MicroBatcher

RESULT = Path(__file__).parent / "results" / "microbatch.json"


def main() -> None:
    """Ask in turn, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--questions", type=int, default=96)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    examples = read_squad(given.dataset)
    chosen = [examples[i] for i in np.random.default_rng(0).permutation(len(examples))[: given.questions]]
    reader, lock = Reader.from_pretrained(given.model), Lock()

    def one_by_one(question: str, context: str) -> Reading:
        with lock:
            return reader.read(question, context)

    def all_with(read: Callable[[str, str], Reading]) -> Callable[[], None]:
        def run() -> None:
            with ThreadPoolExecutor(given.threads) as pool:
                list(pool.map(lambda one: read(one.question, one.context), chosen))

        return run

    with MicroBatcher(reader) as batcher:
        ways: dict[str, Callable[[str, str], Reading]] = {
            "reader": reader.read,
            "one by one": one_by_one,
            "micro-batches": batcher.read,
        }
        seconds = interleaved({name: all_with(read) for name, read in ways.items()}, given.runs)
    middle = medians(seconds)
    write_result(
        given.out,
        {
            "what": f"{given.questions} single questions of {given.threads} threads, seconds",
            "model": reader.scorer.name,
            **file_signature(given.dataset),
            "seconds": seconds,
            "medians": middle,
            "ratios": {name: round(value / middle["micro-batches"], 3) for name, value in middle.items()},
            **machine(("polyspan", "onnxruntime", "tokenizers", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
