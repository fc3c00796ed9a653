"""What does stopping early over ranked passages save, and what does it lose?

    python benchmarks/early_stop.py MODEL --fit DEV.json… --report OTHER.json…

All contexts of all files are one collection. A stop rule is fitted to questions of some files, with a cross-fitted
report; then questions of others are asked in small groups, of each group once with all passages read and once with
each stop risk, in turn, so that seconds can be compared.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Reader, Reading
from polyspan.evaluation import Questions, read_questions
from polyspan.evaluation.observe import grade
from polyspan.evaluation.opendomain import choose, collect
from polyspan.evaluation.stopping import Trails, fit_stop, follow, gather, judge_stops
from polyspan.metrics import bootstrap_interval
from polyspan.pipeline import PassageRanker, PipelineOptions, QAPipeline
from polyspan.retrieval import PassageRanking
from polyspan.types import QAExample

RESULT = Path(__file__).parent / "results" / "early-stop.json"
GROUP = 25
ALL = "all"


def asked_of(questions: Sequence[Questions], sample: int) -> list[QAExample]:
    """So many questions of each file at random, those of all files mixed, each text once."""
    chosen = [choose(one, sample=sample).examples for one in questions]
    mixed = sorted((row / len(own), number, one) for number, own in enumerate(chosen) for row, one in enumerate(own))
    return list({one.question: one for _, _, one in mixed}.values())


def timed(
    reader: Reader, ranker: PassageRanker, examples: Sequence[QAExample], risks: Sequence[float]
) -> dict[str, Any]:
    """Readings and seconds of each way to read, by its name."""
    pipelines = {ALL: QAPipeline(reader, ranker)}
    pipelines |= {f"{risk:g}": QAPipeline(reader, ranker, PipelineOptions(stop_risk=risk)) for risk in risks}
    found: dict[str, tuple[list[Reading], list[float]]] = {name: ([], []) for name in pipelines}
    groups = [examples[begin : begin + GROUP] for begin in range(0, len(examples), GROUP)]
    for number, group in enumerate(tqdm(groups, unit="group")):
        names = list(pipelines)[:: 1 if number % 2 else -1]
        for name in names:
            began = time.perf_counter()
            readings = [one for _, one in pipelines[name].ask_stream(example.question for example in group)]
            found[name][1].append(time.perf_counter() - began)
            found[name][0].extend(readings)
    return {name: _compared(examples, *found[name], *found[ALL]) for name in pipelines if name != ALL}


def _trails(
    reader: Reader, ranker: PassageRanker, examples: Sequence[QAExample], passages: int, kept: Path | None
) -> Trails:
    if kept and kept.is_file():
        content = dict(np.load(kept))
        return Trails(**{**content, "passages": int(content["passages"])})
    followed = tqdm(follow(reader, ranker, examples, passages), total=len(examples), unit="q")
    trails = gather(list(followed), passages)
    if kept:
        np.savez(kept, **asdict(trails))
    return trails


def _compared(
    examples: Sequence[QAExample],
    readings: Sequence[Reading],
    seconds: Sequence[float],
    whole: Sequence[Reading],
    whole_seconds: Sequence[float],
) -> dict[str, Any]:
    shown = [[_text(one) for one in way] for way in (readings, whole)]
    scores = np.array([[_grades(*pair) for pair in zip(examples, way, strict=True)] for way in shown])
    loss = 100 * (scores[1] - scores[0])
    return {
        "passages": float(np.mean([one.passages_read for one in readings])),
        "passages_all": float(np.mean([one.passages_read for one in whole])),
        "changed, %": 100 * float(np.mean([one != other for one, other in zip(*shown, strict=True)])),
        "exact": 100 * float(scores[0, :, 0].mean()),
        "f1": 100 * float(scores[0, :, 1].mean()),
        "exact lost": float(loss[:, 0].mean()),
        "f1 lost": float(loss[:, 1].mean()),
        "f1 lost, interval": bootstrap_interval(loss[:, 1]),
        "times as fast": sum(whole_seconds) / sum(seconds),
        "times as fast, each group": [round(a / b, 2) for a, b in zip(whole_seconds, seconds, strict=True)],
    }


def _text(reading: Reading) -> str:
    return reading.answers[0].text if reading.answers else ""


def _grades(example: QAExample, text: str) -> tuple[float, float]:
    return grade(example, text) if example.answers and text else (float(not (example.answers or text)),) * 2


def main() -> None:
    """Fit, report, time and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--fit", type=Path, nargs="+", required=True)
    parser.add_argument("--report", type=Path, nargs="+", required=True)
    parser.add_argument("--fit-questions", type=int, default=100, help="of each file")
    parser.add_argument("--report-questions", type=int, default=75, help="of each file")
    parser.add_argument("--risks", type=float, nargs="+", default=[0.02, 0.05])
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument(
        "--keep", type=Path, help="Keep what is read for the fit in this .npz file, or take it from there"
    )
    given = parser.parse_args()
    fitted, reported = ([read_questions(path) for path in paths] for paths in (given.fit, given.report))
    ranker = PassageRanking(collect([*fitted, *reported]).passages)
    reader = Reader.from_pretrained(given.model)
    passages = PipelineOptions().passages_read
    examples = asked_of(fitted, given.fit_questions)
    trails = _trails(reader, ranker, examples, passages, given.keep)
    rule = fit_stop(trails)
    reader = Reader(
        reader.scorer, replace(reader.settings, calibration=replace(reader.settings.calibration, stop=rule))
    )
    reports = judge_stops(trails, {"model": reader.scorer.name})
    asked = asked_of(reported, given.report_questions)
    write_result(
        given.out,
        {
            "what": "ranked passages read until the best answer is sure; fitted on some files, read on others",
            "model": reader.scorer.name,
            "fitted on": [one.source["dataset"] for one in fitted],
            "fit questions": len(examples),
            "rule": asdict(rule),
            "cross-fitted": {
                f"{risk:g}": {"scores": one.scores, "intervals": one.intervals} for risk, one in reports.items()
            },
            "read on": [one.source["dataset"] for one in reported],
            "questions": len(asked),
            "by risk": timed(reader, ranker, asked, [one for one in given.risks if one >= rule.limits[0][0]]),
            **machine(("polyspan", "onnxruntime", "tokenizers", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
