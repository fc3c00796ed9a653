"""What a reader makes of questions in another language than the text: spans, and whether it abstains.

    python benchmarks/across_languages.py MODEL... --pair SAME CROSS ...

Each pair are two files of answerable questions on texts of one language: those of SAME are asked in that language,
those of CROSS in another. Measured is F1 without abstaining; how many of CROSS a threshold withholds that withholds a
fifth of SAME; and how well the null margin tells the questions from the same ones asked of another text, as the area
under the ROC curve, 0.5 being chance.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from languages import sample
from measure import machine, write_result
from polyspan import Reader
from polyspan.datasets import read_squad
from polyspan.metrics import space_characters, token_f1
from polyspan.metrics.arrays import Floats
from polyspan.types import QAExample
from unanswerable_kinds import area, uncalibrated

RESULT = Path(__file__).parent / "results" / "across-languages.json"
WITHHELD = 0.2


def main() -> None:
    """Read, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--pair", metavar=("SAME", "CROSS"), nargs=2, type=Path, action="append")
    parser.add_argument("--sample", type=int, default=150, help="questions of a file at most")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    pairs = {
        f"{same.name} and {cross.name}": [sample(read_squad(path), given.sample) for path in (same, cross)]
        for same, cross in given.pair
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for model in given.models:
        reader = uncalibrated(model)
        found[model] = {name: compared(reader, same, cross) for name, (same, cross) in pairs.items()}
    lines = table(found)
    print("\n".join(lines))
    write_result(
        given.out,
        {
            "what": __doc__.partition("\n")[0],
            "table": lines,
            "sample": given.sample,
            "seed": 0,
            "found": found,
            **machine(("polyspan", "onnxruntime")),
        },
    )


def compared(reader: Reader, same: Sequence[QAExample], cross: Sequence[QAExample]) -> dict[str, float]:
    """Figures of both files, 0 to 1."""
    f1, margins, elsewhere = read(reader, same)
    cross_f1, cross_margins, cross_elsewhere = read(reader, cross)
    return {
        "f1": f1,
        "cross_f1": cross_f1,
        "withheld": float((cross_margins > np.quantile(margins, 1 - WITHHELD)).mean()),
        "area": area(margins, elsewhere),
        "cross_area": area(cross_margins, cross_elsewhere),
    }


def read(reader: Reader, asked: Sequence[QAExample]) -> tuple[float, Floats, Floats]:
    """Mean F1 without abstaining, null margins, and those of the same questions asked of the next one's text."""
    options = replace(reader.defaults, top_k=1, return_no_answer=True)
    own = list(reader.read_stream(((one.question, one.context) for one in asked), options))
    others = [
        next(two.context for two in (*asked[n + 1 :], *asked) if two.title != one.title) for n, one in enumerate(asked)
    ]
    elsewhere = reader.read_stream(((one.question, text) for one, text in zip(asked, others, strict=True)), options)
    f1 = [
        token_f1([space_characters(answer.text) for answer in one.answers], space_characters(first.text))
        for one, found in zip(asked, own, strict=True)
        for first in (*found.answers, *found.candidates)[:1]
    ]
    margins, other_margins = (np.array([one.no_answer.null_margin for one in those]) for those in (own, elsewhere))
    return float(np.mean(f1)), margins, other_margins


def table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Markdown: a row for each pair and model."""
    heads = ("files", "model", "F1", "across", f"withheld across, {WITHHELD:.0%} else", "area", "across")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for model, pairs in found.items():
        for name, one in pairs.items():
            values = f"{100 * one['f1']:.1f} | {100 * one['cross_f1']:.1f} | {one['withheld']:.0%}"
            lines.append(f"| {name} | {Path(model).name} | {values} | {one['area']:.3f} | {one['cross_area']:.3f} |")
    return lines


if __name__ == "__main__":
    main()
