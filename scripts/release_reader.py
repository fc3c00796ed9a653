#!/usr/bin/env python3
"""Makes the reader that ships, and the golden answers of its tests, from a model folder.

    python scripts/release_reader.py MODEL_FOLDER --dev DEVELOPMENT_FILES --squad dev-v2.0.json

MODEL_FOLDER holds an extractive reader for torch. The shrunk model is measured beside it on every file of the
development folder; it is refused if it loses more than --max-loss points of F1. Threshold and temperatures are fitted
there too, weighted as if the share --prior of all questions were unanswerable. The file given as --squad is only
reported on.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from string import Template

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from tqdm import tqdm

from polyspan import Reader, Reading, ReadOptions
from polyspan.backends import BackendOptions, ModelFolder, NativeSettings, SpanScorer
from polyspan.datasets import file_signature, read_squad
from polyspan.decoding import Calibration
from polyspan.evaluation import evaluate, predict, reading_options
from polyspan.export import export_small_reader
from polyspan.features import Batch
from polyspan.metrics import exact_match, signature_text, space_characters, token_f1
from polyspan.types import FloatArray, QAExample, Report

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = REPOSITORY / "src" / "polyspan" / "assets" / "reader"
GOLDEN = REPOSITORY / "tests" / "golden"
ONE_ANSWER = ReadOptions(top_k=1, return_no_answer=False)
FITTED_QUESTIONS = 2_000
UNANSWERABLE_FACTOR = 5


@dataclass(frozen=True, slots=True)
class DevFile:
    """One development file: what the small model said about it, and the float model about the answerable questions.

    The answerable questions come first.
    """

    name: str
    examples: list[QAExample]
    exact: list[Reading]
    small: list[Reading]


class RememberingScorer:
    """A scorer that runs the model once for each window, so that decoding can be tried again and again."""

    def __init__(self, scorer: SpanScorer) -> None:
        self.name, self.tokenizer, self.max_seq_len = scorer.name, scorer.tokenizer, scorer.max_seq_len
        self._scorer = scorer
        self._known: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Logits, each [windows, tokens]."""
        keys = [row[mask == 1].tobytes() for row, mask in zip(batch.input_ids, batch.attention_mask, strict=True)]
        if not all(key in self._known for key in keys):
            for key, *logits in zip(keys, *self._scorer.score(batch), strict=True):
                self._known[key] = logits[0], logits[1]
        start, end = np.zeros(batch.input_ids.shape, np.float32), np.zeros(batch.input_ids.shape, np.float32)
        for row, key in enumerate(keys):
            size = len(key) // batch.input_ids.itemsize
            start[row, :size], end[row, :size] = (logits[:size] for logits in self._known[key])
        return start, end

    def save(self, folder: Path) -> None:
        """Nothing but what the scorer itself saves."""
        self._scorer.save(folder)


def main() -> int:
    """Export, compare, calibrate, report, write."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        small_folder = Path(scratch) / "reader"
        export_small_reader(given.model, small_folder)
        uncalibrated = NativeSettings(name=given.name, no_answer=True)
        ModelFolder(small_folder).write_settings(uncalibrated)
        float_reader = Reader(Reader.from_pretrained(given.model, BackendOptions(backend="torch")).scorer, uncalibrated)
        small_reader = Reader(Reader.from_pretrained(small_folder).scorer, uncalibrated)
        files = [
            _compare(path, float_reader, small_reader, given.sample) for path in sorted(given.dev.glob("*.json.gz"))
        ]
        table, loss = dev_table(files)
        print(table)
        if loss > given.max_loss:
            print(
                f"refused: the small model loses {loss:.2f} points of F1, more than {given.max_loss}", file=sys.stderr
            )
            return 1
        calibration = fit(files, small_reader.scorer, given.prior)
        settings = replace(uncalibrated, calibration=calibration)
        ModelFolder(small_folder).write_settings(settings)
        reader = Reader(small_reader.scorer, settings)
        report = squad_report(given.squad, reader)
        card = Template((REPOSITORY / "scripts" / "reader_card.md").read_text(encoding="utf-8"))
        values = {
            "name": given.name,
            "onnxruntime": ".".join(version("onnxruntime").split(".")[:2]),
            "table": table,
            "sample": f"a random sample of up to {given.sample:,}" if given.sample else "all",
            "loss": f"{loss:.2f}",
            "squad": report_table(report),
            "signature": signature_text(report),
            "prior": f"{given.prior:g}",
            "size": f"{sum(path.stat().st_size for path in small_folder.rglob('*') if path.is_file()) / 1e6:.1f}",
            **{key: f"{value:.3f}" for key, value in calibration.to_json().items()},
        }
        (small_folder / "README.md").write_text(card.substitute(values), encoding="utf-8")
        _install(small_folder, ASSETS)
    write_golden_answers(Reader.from_pretrained())
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--dev", type=Path, required=True, help="folder of SQuAD files (.json.gz) to compare and fit on"
    )
    parser.add_argument("--squad", type=Path, required=True, help="SQuAD 2.0 dev set, for reporting only")
    parser.add_argument("--name", default="polyspan-reader", help="the model's name in its card and in --json output")
    parser.add_argument(
        "--sample",
        type=int,
        default=0,
        help="answerable questions of a dev file at most; 0: all",
    )
    parser.add_argument("--prior", type=float, default=0.5, help="share of unanswerable questions to fit for")
    parser.add_argument("--max-loss", type=float, default=0.5, help="points of F1 that shrinking may cost")
    return parser.parse_args()


def _compare(path: Path, float_reader: Reader, small_reader: Reader, sample: int) -> DevFile:
    questions = read_squad(path)
    answerable = _sample([example for example in questions if example.answers], sample)
    absent = _sample([example for example in questions if not example.answers], sample * UNANSWERABLE_FACTOR)
    name = path.name.removesuffix(".json.gz")
    exact, small = (
        list(tqdm(predict(reader, examples, ONE_ANSWER), total=len(examples), desc=f"{name}, {what}"))
        for reader, examples, what in (
            (float_reader, answerable, "float"),
            (small_reader, answerable + absent, "small"),
        )
    )
    return DevFile(name, answerable + absent, exact, small)


def _sample(examples: list[QAExample], size: int) -> list[QAExample]:
    if not size or len(examples) <= size:
        return examples
    chosen = sorted(np.random.default_rng(0).choice(len(examples), size, replace=False))
    return [examples[i] for i in chosen]


def _text(reading: Reading) -> str:
    return reading.answers[0].text if reading.answers else ""


def _f1(example: QAExample, text: str) -> float:
    return token_f1([space_characters(answer.text) for answer in example.answers], space_characters(text))


def dev_table(files: Sequence[DevFile]) -> tuple[str, float]:
    """A Markdown table of the answerable questions without abstaining, and the mean loss over files."""
    lines = [
        "| file | questions | exact, float | exact, shipped | F1, float | F1, shipped | same answer |",
        "|---|---|---|---|---|---|---|",
    ]
    losses = []
    for file in files:
        rows = [
            (
                exact_match([answer.text for answer in example.answers], _text(before)),
                exact_match([answer.text for answer in example.answers], _text(after)),
                _f1(example, _text(before)),
                _f1(example, _text(after)),
                _text(before) == _text(after),
            )
            for example, before, after in zip(file.examples, file.exact, file.small, strict=False)
        ]
        means = 100 * np.mean(np.array(rows, float), axis=0)
        losses.append(means[2] - means[3])
        lines.append(f"| {file.name} | {len(rows):,} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |")
    return "\n".join(lines), float(np.mean(losses))


def fit(files: Sequence[DevFile], scorer: SpanScorer, prior: float) -> Calibration:
    """The threshold with the best weighted F1, then temperatures with the best weighted likelihood."""
    pairs = [pair for file in files for pair in zip(file.examples, file.small, strict=True)]
    margins = np.array([reading.no_answer.null_margin for _, reading in pairs])
    absent = np.array([not example.answers for example, _ in pairs])
    f1 = np.array([_f1(example, _text(reading)) if example.answers else 0.0 for example, reading in pairs])
    weights = np.where(absent, prior / absent.sum(), (1 - prior) / (~absent).sum())
    threshold = best_threshold(margins, np.where(absent, 0.0, f1), absent, weights)
    no_answer = minimize_scalar(
        lambda log_t: _log_loss((margins - threshold) / np.exp(log_t), absent, weights),
        bounds=(-2, 4),
        method="bounded",
    )
    start = Calibration(threshold, float(np.exp(no_answer.x)))
    answerable = [example for file in files for example in file.examples if example.answers]
    chosen = np.random.default_rng(0).permutation(len(answerable))[:FITTED_QUESTIONS]
    span_temperature = _fit_span_temperature([answerable[i] for i in chosen], scorer, start)
    return replace(start, span_temperature=span_temperature)


def best_threshold(
    margins: npt.NDArray[np.float64],
    gain_of_answering: npt.NDArray[np.float64],
    absent: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
) -> float:
    """The threshold in logits, halfway between two margins, at which answering below it scores best."""
    order = np.argsort(margins)
    gains = np.cumsum((weights * (gain_of_answering - absent))[order])
    best = int(gains.argmax())
    following = order[min(best + 1, len(order) - 1)]
    return float((margins[order[best]] + margins[following]) / 2)


def _log_loss(
    logits: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> float:
    return float(np.sum(weights * (np.logaddexp(0, logits) - np.where(labels, logits, 0))))


def _fit_span_temperature(examples: Sequence[QAExample], scorer: SpanScorer, start: Calibration) -> float:
    remembering = RememberingScorer(scorer)

    def loss(log_t: float) -> float:
        calibration = replace(start, span_temperature=float(np.exp(log_t)))
        reader = Reader(remembering, NativeSettings(no_answer=True, calibration=calibration))
        total = 0.0
        for example, reading in zip(examples, predict(reader, examples, ONE_ANSWER), strict=True):
            right = exact_match([answer.text for answer in example.answers], _text(reading))
            score = reading.answers[0].score if reading.answers else 0.0
            score = min(1 - 1e-6, max(1e-6, score))
            total -= np.log(score) if right else np.log(1 - score)
        return total / len(examples)

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 3), method="bounded", options={"xatol": 0.02}).x))


def squad_report(path: Path, reader: Reader) -> Report:
    """The figures of SQuAD 2.0's dev set, as ``polyspan evaluate`` gives them."""
    examples = read_squad(path)
    options = reading_options(reader, examples, "auto")
    readings = tqdm(predict(reader, examples, options), total=len(examples), desc=path.name)
    source = {**file_signature(path), "model": reader.scorer.name, "no_answer": "auto"}
    return evaluate(examples, readings, reader.settings.calibration.no_answer_threshold, source).report


def report_table(report: Report) -> str:
    """Scores as Markdown."""
    lines = ["| key | value | 95 % interval |", "|---|---|---|"]
    for key, value in report.scores.items():
        interval = "{:.2f} to {:.2f}".format(*report.intervals[key]) if key in report.intervals else ""
        lines.append(f"| {key} | {f'{value:.2f}' if isinstance(value, float) else value} | {interval} |")
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
