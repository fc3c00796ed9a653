"""What a reader is worth on questions that it has learnt from and on unseen ones of the same dataset.

    python benchmarks/seen_unseen.py MODEL --pair TRAINING_FILE DEVELOPMENT_FILE LANG... --out FOLDER

A reader that knows its training questions well and their unseen likes badly wants more data; one that does not even
know the former is too small, or has not seen them often enough. Measured are F1 of answerable questions, never
abstaining, and where there are real unanswerable ones, the area under the ROC curve of the null margin.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean

import numpy as np

from language_thresholds import keep_predictions, write_sample
from measure import machine, write_result
from polyspan.datasets import read_squad
from polyspan.evaluation import predictions_file, read_kept
from polyspan.evaluation.observe import Observations, observe_kept
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
    keep_predictions(given.model, languages, given.out)
    found = {name: compare(*(observed_in(path, given.out) for path in pair)) for name, pair in pairs.items()}
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


def observed_in(path: Path, folder: Path) -> Observations:
    """What the reader said of one file."""
    return observe_kept(
        {path.name: read_squad(path)}, {path.name: read_kept(predictions_file(folder, path.name)).predictions}
    )


def compare(seen: Observations, unseen: Observations) -> dict[str, Estimate]:
    """F1 and area on both, with the differences, seen minus unseen."""
    f1 = [100 * one.f1[~one.unanswerable] for one in (seen, unseen)]
    found = differing("F1", *(resampled_means(values, seed) for seed, values in enumerate(f1)))
    if seen.unanswerable.any() and unseen.unanswerable.any():
        found |= differing("area", *(resampled_areas(one, seed) for seed, one in enumerate((seen, unseen))))
    return found


def resampled_means(values: Floats, seed: int) -> Floats:
    """The mean, then those of draws with replacement, [1 + draws]."""
    rows = np.random.default_rng(seed).integers(values.size, size=(DRAWS, values.size))
    return np.append(values.mean(), values[rows].mean(axis=1))


def resampled_areas(observed: Observations, seed: int) -> Floats:
    """The area, then those of draws with replacement of each kind of question, [1 + draws]."""
    random = np.random.default_rng(seed)
    low, high = (observed.null_margin[observed.unanswerable == kind] for kind in (False, True))
    drawn = [area(random.choice(low, low.size), random.choice(high, high.size)) for _ in range(DRAWS)]
    return np.array([area(low, high), *drawn])


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
    means = {
        head: mean(one[head].value for one in found.values() if head in one) for head in heads if present(head, found)
    }
    return [*lines, row("mean", [number(means[head], head) if head in means else "" for head in heads])]


def present(head: str, found: Mapping[str, Mapping[str, Estimate]]) -> bool:
    """Whether any pair has that score."""
    return any(head in one for one in found.values())


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
