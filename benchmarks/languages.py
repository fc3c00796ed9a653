"""What readers are worth in each language: F1 on samples of development files, side by side.

    python benchmarks/languages.py MODEL... --dev FOLDER

Answerable questions alone, never abstaining; where a file has unanswerable ones too, also the best F1 over all
thresholds. Languages without spaces between words are counted by characters.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np

from measure import machine, write_result
from polyspan.datasets import read_squad, write_squad
from polyspan.features import WindowSettings
from polyspan.training.development import dev_reports
from polyspan.training.recipe import DataFile
from polyspan.types import QAExample

RESULT = Path(__file__).parent / "results" / "languages.json"


def sample(examples: list[QAExample], size: int) -> list[QAExample]:
    """So many of them at most, the same for every reader."""
    chosen = np.random.default_rng(0).permutation(len(examples))[:size]
    return [examples[number] for number in sorted(chosen)]


def write_samples(dev: Path, folder: Path, size: int) -> list[DataFile]:
    """A file of answerable questions for each development file, and perhaps one with unanswerable ones beside them."""
    files = []
    for path in sorted(dev.glob("*.json*")):
        name, examples = path.name.partition(".")[0], read_squad(path)
        answerable = sample([one for one in examples if one.answers], size)
        absent = sample([one for one in examples if not one.answers], size)
        for kind, chosen in (("answerable", answerable), ("all", [*answerable, *absent] if absent else [])):
            if chosen:
                files.append(DataFile(str(folder / f"{name}, {kind}")))
                write_squad(Path(files[-1].path), chosen)
    return files


def main() -> None:
    """Read, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=200, help="questions of each kind of a file at most")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        files = write_samples(given.dev, Path(scratch), given.sample)
        for model in given.models:
            reports = dev_reports(model, files, WindowSettings())
            scores = {Path(path).name: report.scores for path, report in reports.items()}
            found[model.name] = {name: round(one.get("best_f1", one["f1"]), 2) for name, one in scores.items()}
    means = {
        kind: {
            model: round(mean(value for name, value in scores.items() if name.endswith(kind)), 2)
            for model, scores in found.items()
        }
        for kind in ("answerable", "all")
    }
    write_result(
        given.out,
        {
            "what": f"F1 of up to {given.sample} answerable questions a file; all: best F1 with unanswerable ones",
            "mean": means,
            "f1": found,
            **machine(("polyspan", "torch", "transformers")),
        },
    )


if __name__ == "__main__":
    main()
