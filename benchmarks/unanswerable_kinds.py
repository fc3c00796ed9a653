"""How well a reader tells unanswerable questions from answerable ones: real ones, and each kind that training can make.

    python benchmarks/unanswerable_kinds.py MODEL... --file FILE:LANG

A kind that a reader tells apart far better than real ones has little left to teach it. Measured is the area under the
ROC curve of the null margin: how often an unanswerable question has the higher one of two, 0.5 being chance. Questions
are made from the file's own answerable ones; where the file was not learnt from, both are new to the reader.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from language_thresholds import file_and_language
from languages import sample
from measure import machine, write_result
from polyspan import Reader
from polyspan.datasets import read_squad
from polyspan.decoding import Calibration
from polyspan.metrics.arrays import Floats
from polyspan.training.unanswerable import Unanswerables, make_unanswerable
from polyspan.types import QAExample

RESULT = Path(__file__).parent / "results" / "unanswerable-kinds.json"
ANSWERABLE, REAL = "answerable", "real"


def main() -> None:
    """Make, read, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--file", metavar="FILE:LANG", type=file_and_language, action="append", required=True)
    parser.add_argument("--sample", type=int, default=150, help="questions of a kind of a file at most")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    kinds = {path.name.partition(".")[0]: questions(path, language, given.sample) for path, language in given.file}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for model in given.models:
        reader = uncalibrated(model)
        found[model] = {name: areas(reader, asked) for name, asked in kinds.items()}
    lines = table(found, kinds)
    print("\n".join(lines))
    write_result(
        given.out,
        {
            "what": "area under the ROC curve of the null margin, each kind against the answerable questions",
            "table": lines,
            "sample": given.sample,
            "seed": 0,
            "questions": {name: {kind: len(those) for kind, those in asked.items()} for name, asked in kinds.items()},
            "area": found,
            **machine(("polyspan", "onnxruntime")),
        },
    )


def questions(path: Path, language: str, size: int) -> dict[str, list[QAExample]]:
    """Of each kind, so many at most."""
    examples = read_squad(path)
    kinds = defaultdict(list)
    for one in examples:
        kinds[ANSWERABLE if one.answers else REAL].append(one)
    shares = Unanswerables(*[1.0] * len(fields(Unanswerables)))
    for one in make_unanswerable(examples, shares, 0, language):
        kinds[one.id.rpartition("#")[2]].append(one)
    return {kind: sample(those, size) for kind, those in kinds.items()}


def uncalibrated(model: str) -> Reader:
    """A reader whose null margins are the model's own."""
    reader = Reader.from_pretrained(model)
    return Reader(reader.scorer, replace(reader.settings, calibration=Calibration()))


def areas(reader: Reader, asked: Mapping[str, Sequence[QAExample]]) -> dict[str, float]:
    """The area of each kind but the answerable one, 0 to 1."""
    options = replace(reader.defaults, top_k=1, return_no_answer=True)
    margins = {
        kind: np.array(
            [one.no_answer.null_margin for one in reader.read_stream(((q.question, q.context) for q in those), options)]
        )
        for kind, those in asked.items()
    }
    answerable = margins.pop(ANSWERABLE)
    return {kind: area(answerable, those) for kind, those in margins.items()}


def area(low: Floats, high: Floats) -> float:
    """How often one of ``high`` [n] is above one of ``low`` [m], ties by half (Hanley and McNeil, 1982)."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.mean() / (2 * ordered.size))


def table(
    found: Mapping[str, Mapping[str, Mapping[str, float]]], kinds: Mapping[str, Mapping[str, Sequence[QAExample]]]
) -> list[str]:
    """Markdown: a row for each kind of each file, a column for each model."""
    heads = ("file", "kind", "questions", *(Path(model).name for model in found))
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, asked in kinds.items():
        for kind, those in asked.items():
            if kind != ANSWERABLE:
                values = " | ".join(f"{one[name][kind]:.3f}" for one in found.values())
                lines.append(f"| {name} | {kind} | {len(those)} | {values} |")
    return lines


if __name__ == "__main__":
    main()
