"""What a reader is worth on all development files at several marks of its training, and what each mark gained.

    python benchmarks/dev_curve.py FILE:LANG... --mark 0=MODEL --mark 5=MODEL --mark 10=MODEL --out FOLDER

A mark is the millions of tokens that a model has learnt from. polyspan evaluate reads the files, keeps what each model
says in FOLDER, and goes on there after an interruption.

F1, over characters where a script has no spaces, at the threshold that is best for the questions it is the mean of, so
that models without a calibration can be compared: over all questions, over those of files with unanswerable ones, and
over the answerable ones, never abstaining. Gains are over the mark before, with paired bootstrap intervals.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from language_thresholds import estimates, file_and_language, keep_predictions
from measure import machine, write_result
from polyspan.datasets import read_squad
from polyspan.evaluation import predictions_file, read_kept
from polyspan.evaluation.calibrate import best_threshold
from polyspan.evaluation.figures import draw_png
from polyspan.evaluation.observe import Observations, observe_kept
from polyspan.metrics.arrays import Flags, Floats
from polyspan.metrics.bootstrap import Estimate

RESULT = Path(__file__).parent / "results" / "dev-curve.json"


def main() -> None:
    """Read, compare, write the result and its plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE:LANG", nargs="+", type=file_and_language)
    parser.add_argument("--mark", metavar="TOKENS=MODEL", action="append", required=True, type=tokens_and_model)
    parser.add_argument("--out", type=Path, required=True, help="folder for what the models say")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    languages, marks = dict(given.files), dict(sorted(given.mark))
    said: dict[float, Observations] = {}
    for tokens, model in marks.items():
        folder = given.out / f"{tokens:g}"
        keep_predictions(model, languages, folder)
        said[tokens] = observed_in(folder, [path for path, _ in given.files])
    curve = {tokens: scores(one) for tokens, one in said.items()}
    gained = {f"{before:g} to {after:g}": gains(said[before], said[after]) for before, after in pairwise(said)}
    lines = table(curve)
    print("\n".join(lines))
    given.result.with_suffix(".png").write_bytes(plot(curve))
    write_result(
        given.result,
        {
            "what": "F1, 0 to 100, by millions of tokens learnt from; gains over the mark before, 95 % intervals",
            "table": lines,
            "marks": {f"{tokens:g}": model for tokens, model in marks.items()},
            "f1": {f"{tokens:g}": one for tokens, one in curve.items()},
            "gain": gained,
            **machine(("polyspan", "onnxruntime")),
        },
    )


def tokens_and_model(text: str) -> tuple[float, str]:
    """The parts of TOKENS=MODEL, the first in millions."""
    tokens, _, model = text.partition("=")
    if not model or not tokens.replace(".", "", 1).isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: expected TOKENS=MODEL, such as 5.1=runs/student")
    return float(tokens), model


def observed_in(folder: Path, files: Sequence[Path]) -> Observations:
    """What a model said of all files."""
    datasets = {path.name: read_squad(path) for path in files}
    return observe_kept(datasets, {name: read_kept(predictions_file(folder, name)).predictions for name in datasets})


def parts(observed: Observations) -> dict[str, Flags]:
    """The questions, [n], that figures are means of."""
    absent = observed.unanswerable
    mixed = np.isin(observed.dataset, np.unique(observed.dataset[absent]))
    files = {name.partition(".")[0]: observed.dataset == name for name in np.unique(observed.dataset)}
    return {"all": np.ones(absent.size, np.bool_), "mixed files": mixed, "answerable": ~absent, **files}


def graded(observed: Observations) -> Floats:
    """F1 of each question, [n], 0 to 100, at the threshold that is best for them all."""
    absent = observed.unanswerable
    threshold = best_threshold(observed, float(absent.mean())) if absent.any() else math.inf
    return 100 * np.where(observed.null_margin > threshold, absent, observed.f1)


def scores(observed: Observations) -> dict[str, float]:
    """The mean F1 of each part."""
    return {name: float(graded(observed.at(rows)).mean()) for name, rows in parts(observed).items()}


def gains(before: Observations, after: Observations) -> dict[str, Any]:
    """What each part gained, with its interval; both models were asked the same questions."""
    found: dict[str, Estimate] = {}
    for name, rows in parts(before).items():
        difference = graded(after.at(rows)) - graded(before.at(rows))
        found |= estimates({name: difference}, np.ones(difference.size), least=-100)
    return {name: asdict(one) for name, one in found.items()}


def table(curve: Mapping[float, Mapping[str, float]]) -> list[str]:
    """Markdown: a row for each part, a column for each mark."""
    lines = ["| tokens | " + " | ".join(f"{tokens:g} M" for tokens in curve) + " |", "|---" * (1 + len(curve)) + "|"]
    for name in next(iter(curve.values())):
        lines.append(f"| {name} | " + " | ".join(f"{one[name]:.1f}" for one in curve.values()) + " |")
    return lines


def plot(curve: Mapping[float, Mapping[str, float]]) -> bytes:
    """A PNG: the three means over the tokens, and thin lines for the files."""

    def fill(figure: Any) -> None:
        axes = figure.subplots()
        for name in next(iter(curve.values())):
            is_mean = name in ("all", "mixed files", "answerable")
            axes.plot(
                list(curve),
                [one[name] for one in curve.values()],
                marker="o" if is_mean else None,
                linewidth=2.0 if is_mean else 0.6,
                color=None if is_mean else "#bbbbbb",
                label=name if is_mean else None,
                zorder=3 if is_mean else 2,
            )
        axes.set(xlabel="training tokens (millions)", ylabel="F1 at the best threshold", xscale="symlog")
        axes.set_xticks(list(curve), [f"{tokens:g}" for tokens in curve])
        axes.minorticks_off()
        axes.legend()

    return draw_png(7.0, 4.5, fill)


if __name__ == "__main__":
    main()
