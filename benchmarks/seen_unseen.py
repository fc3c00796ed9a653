"""What a reader is worth on questions that it has learnt from and on unseen ones of the same dataset.

    python benchmarks/seen_unseen.py MODEL --pair TRAINING_FILE DEVELOPMENT_FILE LANG... --out FOLDER

A reader that knows its training questions well and their unseen likes badly wants more data; one that does not even
know the former is too small, or has not seen them often enough. Measured are F1 of answerable questions, never
abstaining, and where there are real unanswerable ones, the area under the ROC curve of the null margin.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from dev_curve import observed_in
from language_thresholds import keep_predictions, write_sample
from measure import machine, write_result
from polyspan.evaluation.observe import Observations
from polyspan.metrics.arrays import Floats
from polyspan.metrics.bootstrap import Estimate
from unanswerable_kinds import area

RESULT = Path(__file__).parent / "results" / "seen-unseen.json"
DRAWS = 2000


def main() -> None:
    """Read, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, a hub id, or default")
    parser.add_argument("--pair", metavar=("SEEN", "UNSEEN", "LANG"), nargs=3, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for what the reader says")
    parser.add_argument("--sample", type=int, default=300, help="questions of each kind of a file at most")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    languages: dict[Path, str] = {}
    pairs: dict[str, tuple[Path, Path]] = {}
    for seen, unseen, language in given.pair:
        paths = [write_sample(Path(path), given.out, given.sample) for path in (seen, unseen)]
        languages |= dict.fromkeys(paths, language)
        pairs[f"{paths[1].name.partition('.')[0]} ({language})"] = paths[0], paths[1]
    if len({path.name for path in languages}) < 2 * len(pairs):
        parser.error("--pair: two files have the same name; rename one, as what the reader says is kept by names")
    keep_predictions(given.model, languages, given.out)
    found = {name: compare(*(observed_in(given.out, [path]) for path in pair)) for name, pair in pairs.items()}
    lines = table(found)
    print("\n".join(lines))
    write_result(
        given.result,
        {
            "what": "F1, 0 to 100, and area, 0 to 1, on questions learnt from and on unseen ones; 95 % intervals",
            "model": given.model,
            "sample": given.sample,
            "seed": 0,
            "table": lines,
            "pairs": {name: {part: asdict(one) for part, one in parts.items()} for name, parts in found.items()},
            **machine(("polyspan", "onnxruntime")),
        },
    )


def compare(seen: Observations, unseen: Observations) -> dict[str, Estimate]:
    """F1 and area on both, with the differences, seen minus unseen."""
    groups = [[one.null_margin[one.unanswerable == kind] for kind in (False, True)] for one in (seen, unseen)]
    f1 = [[100 * one.f1[~one.unanswerable]] for one in (seen, unseen)]
    random = np.random.default_rng(0)
    found = differing("F1", *(resampled(random, np.mean, *values) for values in f1))
    if seen.unanswerable.any() and unseen.unanswerable.any():
        found |= differing("area", *(resampled(random, area, *margins) for margins in groups))
    return found


def resampled(random: np.random.Generator, statistic: Callable[..., Any], *groups: Floats) -> Floats:
    """Of groups of values: the statistic, then those of draws with replacement from each group, [1 + draws]."""
    drawn = [statistic(*(random.choice(group, group.size) for group in groups)) for _ in range(DRAWS)]
    return np.array([statistic(*groups), *drawn])


def differing(name: str, seen: Floats, unseen: Floats) -> dict[str, Estimate]:
    """A score of both and its difference, from the value and its draws, [1 + draws] each."""
    columns = {f"{name}, seen": seen, f"{name}, unseen": unseen, f"{name}, difference": seen - unseen}
    return {
        title: Estimate(float(values[0]), *np.quantile(values[1:], [0.025, 0.975]).tolist())
        for title, values in columns.items()
    }


def table(found: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    """Markdown: a row for each pair, and the means over those that have the score."""
    heads = [f"{score}, {part}" for score in ("F1", "area") for part in ("seen", "unseen", "difference")]
    lines = [f"| file | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for name, parts in found.items():
        lines.append(row(name, [written(parts[head], head) if head in parts else "" for head in heads]))
    values = {head: [one[head].value for one in found.values() if head in one] for head in heads}
    return [*lines, row("mean", [number(mean(those), head) if those else "" for head, those in values.items()])]


def row(name: str, cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {name} | {' | '.join(cells)} |"


def written(one: Estimate, head: str) -> str:
    """A value; of a difference, with its interval."""
    value = number(one.value, head)
    return f"{value} ({number(one.low, head)} to {number(one.high, head)})" if head.endswith("difference") else value


def number(value: float, head: str) -> str:
    """As many digits as a score is worth."""
    return f"{value:.2f}" if head.startswith("area") else f"{value:.1f}"


if __name__ == "__main__":
    main()
