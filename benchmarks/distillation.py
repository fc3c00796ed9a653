"""Whether a teacher pays: the same student on the same questions with and without one, over several seeds.

    python benchmarks/distillation.py STUDENT TEACHER --data TRAIN.json --dev DEV.json

Each seed draws its own questions. Both contestants learn from them in the same order with the same settings; the
teacher, a reader with another tokenizer perhaps, was trained before. With ``--answerable`` it does not speak about
windows that are labelled as unanswerable.
"""

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from measure import machine, write_result
from polyspan.datasets import read_squad, write_squad
from polyspan.features import WindowSettings
from polyspan.training import Recipe, RunSettings, train
from polyspan.training.batches import BatchSettings
from polyspan.training.development import dev_mean, dev_reports
from polyspan.training.recipe import DataFile, Distillation, Optimisation, TeacherSpec
from polyspan.types import QAExample

RESULT = Path(__file__).parent / "results" / "distillation.json"


def sample(paths: list[Path], questions: int, longest: int, seed: int) -> list[QAExample]:
    """Some questions of all files together, with contexts of so many characters at most."""
    whole = [example for path in paths for example in read_squad(path) if len(example.context) <= longest]
    chosen = np.random.default_rng(seed).permutation(len(whole))[:questions]
    return [whole[number] for number in sorted(chosen)]


def mean_f1(recipe: Recipe, dev: list[Path], folder: Path, cache: Path) -> dict[str, float]:
    """What the run's last weights reach on each development file, and on average."""
    train(recipe, folder, RunSettings(cache=cache))
    reports = dev_reports(folder, [DataFile(str(path)) for path in dev], recipe.windows)
    scores = {Path(path).name: one.scores.get("best_f1", one.scores["f1"]) for path, one in reports.items()}
    return {**scores, "mean": dev_mean(reports)}


def main() -> None:
    """Train, compare and write the result."""
    given = arguments()
    alone = Recipe(
        model=str(given.student),
        data=(DataFile("", "en"),),
        epochs=given.epochs,
        precision="bfloat16",
        windows=WindowSettings(max_seq_len=256),
        batch=BatchSettings(tokens=2048),
        optimisation=Optimisation(learning_rate=1.5e-4, head_rate=5.0, freeze=("word_embeddings",)),
    )
    teacher = TeacherSpec(str(given.teacher), precision="bfloat16")
    settings = Distillation((teacher,), "kl", 2.0, 0.75, unanswerable=not given.answerable)
    taught = replace(alone, distillation=settings)
    found: dict[str, list[Mapping[str, float]]] = {"alone": [], "taught": []}
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            data = Path(scratch) / "train.json"
            write_squad(data, sample(given.data, given.questions, given.longest, seed))
            for name, recipe in (("alone", alone), ("taught", taught)):
                own = replace(recipe, seed=seed, data=(DataFile(str(data), "en"),))
                found[name].append(mean_f1(own, given.dev, Path(scratch) / name, Path(scratch) / "cache"))
                print(f"seed {seed}, {name}: {found[name][-1]}", flush=True)
    gains = [b["mean"] - a["mean"] for a, b in zip(found["alone"], found["taught"], strict=True)]
    write_result(
        given.out,
        {
            "what": f"F1 (best F1 with unanswerable ones), {given.epochs} epochs of {given.questions} questions",
            "medians": {name: statistics.median(one["mean"] for one in scores) for name, scores in found.items()},
            "gain": {"each seed": [round(one, 2) for one in gains], "mean": round(statistics.mean(gains), 2)},
            "f1": found,
            "seeds": given.seeds,
            **machine(("polyspan", "torch", "transformers")),
        },
    )


def arguments() -> argparse.Namespace:
    """What to compare on what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--longest", type=int, default=500, help="characters of a context at most")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--answerable", action="store_true", help="the teacher speaks about answerable windows only")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
