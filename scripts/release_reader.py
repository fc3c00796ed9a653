#!/usr/bin/env python3
"""Makes the reader that ships, and the golden answers of its tests, from a model folder.

    python scripts/release_reader.py shrink MODEL_FOLDER NEW --name NAME --dev DEVELOPMENT_FILES
    polyspan calibrate NEW DEVELOPMENT_FILES/*.json.gz --json > calibration.json
    polyspan evaluate NEW dev-v2.0.json --out KEPT
    python scripts/release_reader.py install NEW --calibration calibration.json --squad dev-v2.0.json --kept KEPT

MODEL_FOLDER holds an extractive reader for torch. The shrunk model is measured beside it on every file of the
development folder; it is refused if it loses more than --max-loss points of F1, or in one file more than that beyond
chance.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from tqdm import tqdm

from polyspan import Reader
from polyspan.backends import BackendOptions, ModelFolder, NativeSettings, open_scorer
from polyspan.datasets import write_json
from polyspan.evaluation import (
    SELECTIVE,
    Questions,
    answered_by,
    predictions_file,
    read_kept,
    read_questions,
    score_predictions,
)
from polyspan.export import Gate, export_small_reader
from polyspan.metrics import signature_text
from polyspan.types import Report

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = REPOSITORY / "src" / "polyspan" / "assets" / "reader"
GOLDEN = REPOSITORY / "tests" / "golden"
SHRINKING = REPOSITORY / "benchmarks" / "results" / "shrinking.json"
LEGEND = (
    'The loss has a paired 95 % interval; "same span" says how often both models\' best spans are the same; the logits '
    "are those of starts and ends, of all tokens."
)


def main() -> int:
    """Do as the command line says; the exit code."""
    given = _arguments()
    return shrink(given) if given.step == "shrink" else install(given)


def shrink(given: argparse.Namespace) -> int:
    """Write the small model, and what it lost to ``SHRINKING``; 1 where that is too much."""
    export_small_reader(given.model, given.new)
    uncalibrated = NativeSettings(name=given.name, no_answer=True)
    ModelFolder(given.new).write_settings(uncalibrated)
    exact = Reader(open_scorer(ModelFolder(given.model), BackendOptions(backend="torch")), uncalibrated)
    files = [_answerable(path, given.sample) for path in sorted(given.dev.glob("*.json.gz"))]
    gate = Gate(exact, files, lambda items, total, what: tqdm(items, total=total, desc=what))
    report = gate.measure(Reader.from_pretrained(given.new))
    print(report.table())
    failures = report.failures(given.max_loss)
    for failure in failures:
        print(f"refused: {failure}", file=sys.stderr)
    if failures:
        return 1
    result = {"legend": LEGEND, "loss": report.whole.loss.difference, "table": report.table().splitlines()}
    write_json(SHRINKING, {"model": given.name, "sample": given.sample, **result})
    return 0


def install(given: argparse.Namespace) -> int:
    """Put the calibrated model with its card in the place of what ships, and write the golden answers."""
    folder = ModelFolder(given.new)
    fitted = json.loads(given.calibration.read_text(encoding="utf-8"))["report"]
    answered = answered_by(read_kept(predictions_file(given.kept, given.squad.name)), read_questions(given.squad))
    prior = fitted["signature"]["prior"]
    squad = [score_predictions("squad", answered), score_predictions(SELECTIVE, answered, prior=prior)]
    card = Template((REPOSITORY / "scripts" / "reader_card.md").read_text(encoding="utf-8"))
    (given.new / "README.md").write_text(card.substitute(card_values(folder, fitted, squad)), encoding="utf-8")
    _install(given.new, ASSETS)
    write_golden_answers(Reader.from_pretrained())
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    shrinking = steps.add_parser("shrink", help="write the small model and measure what it loses")
    shrinking.add_argument("model", type=Path)
    shrinking.add_argument("new", type=Path)
    shrinking.add_argument("--dev", type=Path, required=True, help="folder of SQuAD files (.json.gz) to compare on")
    shrinking.add_argument("--name", required=True, help="the model's name in its card and in --json output")
    shrinking.add_argument("--sample", type=int, default=0, help="questions of a dev file at most; 0: all")
    shrinking.add_argument("--max-loss", type=float, default=0.5, help="points of F1 that shrinking may cost")
    installing = steps.add_parser("install", help="ship the calibrated model")
    installing.add_argument("new", type=Path)
    installing.add_argument("--calibration", type=Path, required=True, help="what polyspan calibrate --json printed")
    installing.add_argument("--squad", type=Path, required=True, help="SQuAD 2.0 dev set, for reporting only")
    installing.add_argument("--kept", type=Path, required=True, help="folder that holds the predictions on it")
    return parser.parse_args()


def _answerable(path: Path, sample: int) -> Questions:
    questions = read_questions(path).those(lambda example: bool(example.answers))
    return questions.sample(sample) if sample else questions


def card_values(folder: ModelFolder, fitted: dict[str, Any], squad: Sequence[Report]) -> dict[str, Any]:
    """What the card's template has places for; ``fitted`` is the cross-fitted report of the calibration."""
    shrinking = json.loads(SHRINKING.read_text(encoding="utf-8"))
    sample, scores, settings = shrinking["sample"], fitted["scores"], folder.settings
    return {
        "name": settings.name,
        "onnxruntime": ".".join(version("onnxruntime").split(".")[:2]),
        "table": "\n".join(shrinking["table"]),
        "legend": shrinking["legend"],
        "sample": f"a random sample of up to {sample:,}" if sample else "all",
        "loss": f"{shrinking['loss']:.2f}",
        "squad": "\n\n".join(f"{report_table(one)}\n\nSignature: `{signature_text(one)}`" for one in squad),
        "prior": f"{fitted['signature']['prior']:g}",
        "size": f"{sum(path.stat().st_size for path in folder.path.rglob('*') if path.is_file()) / 1e6:.1f}",
        "threshold": f"{settings.calibration.no_answer_threshold:.2f}",
        "questions": f"{scores['total']:,}",
        **{
            name: f"{scores[name]:.3f}"
            for name in ("ece", "brier", "aurc", "softmax_ece", "softmax_brier", "softmax_aurc")
        },
    }


def report_table(report: Report) -> str:
    """Scores as Markdown."""
    lines = ["| key | value | 95 % interval |", "|---|---|---|"]
    for key, value in report.scores.items():
        interval = "{:.4g} to {:.4g}".format(*report.intervals[key]) if key in report.intervals else ""
        lines.append(f"| {key} | {f'{value:.4g}' if isinstance(value, float) else value} | {interval} |")
    return "\n".join(lines)


def _install(source: Path, target: Path) -> None:
    """Put the new files in the old ones' place; files that did not change keep their bytes."""
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for path in [path for path in target.rglob("*") if path.is_file() and path.relative_to(target) not in wanted]:
        path.unlink()
    for name in wanted:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def write_golden_answers(reader: Reader) -> None:
    """What the shipped reader says about fixed texts, for the tests to hold."""
    cases = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    answers = [reader.read(case["question"], case["context"]).to_json() for case in cases]
    (GOLDEN / "answers.json").write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
