"""``polyspan calibrate``."""

import os
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from polyspan.backends import ModelFolder
from polyspan.backends.hub import SHIPPED
from polyspan.cli.output import print_json, progress
from polyspan.datasets import read_squad
from polyspan.decoding import Calibration
from polyspan.errors import InputError
from polyspan.evaluation import read_questions
from polyspan.evaluation.calibrate import Calibrated, questions_to_ask
from polyspan.evaluation.calibrate import calibrate as fit
from polyspan.evaluation.observe import observe, read_asked
from polyspan.evaluation.opendomain import choose, collect
from polyspan.evaluation.stopping import fit_stop, follow, gather, judge_stops
from polyspan.metrics import signature_text
from polyspan.pipeline import PipelineOptions
from polyspan.reader import Reader
from polyspan.retrieval import PassageRanking
from polyspan.types import QAExample

STOPPED = ("passages", "changed", "exact", "f1", "exact_loss", "f1_loss")
FIGURES = ("aurc", "ece", "brier")
AT_THRESHOLD = ("exact", "f1", "HasAns_f1", "NoAns_f1", "abstained", "best_f1", "best_f1_thresh")
TABLE = ("total", "unanswerable", *(f"{kind}{name}" for name in FIGURES for kind in ("softmax_", "")), "f1", "best_f1")
WIDTH = max(map(len, TABLE))


@click.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--prior",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="The share of questions without an answer to fit for.",
)
@click.option(
    "--language", metavar="CODE", help="Fit only threshold and probabilities of this language, the language of DATA."
)
@click.option(
    "--early-stop",
    is_flag=True,
    help="Fit only when to stop reading ranked passages (--stop-risk of ask and open-domain).",
)
@click.option(
    "--passages",
    default=PipelineOptions().passages_read,
    show_default=True,
    type=click.IntRange(min=2),
    help="For how many passages to fit --early-stop.",
)
@click.option(
    "--sample", type=click.IntRange(min=1), help="Ask so many questions of each file, at random, for --early-stop."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write a calibrated copy of the model to this new folder.")
@click.option("--json", "as_json", is_flag=True, help="Print calibration and reports as JSON.")
def calibrate(
    model: str,
    data: tuple[Path, ...],
    out: Path | None,
    as_json: bool,
    early_stop: bool,
    passages: int,
    sample: int | None,
    **given: Any,
) -> None:
    """Fit the probabilities and the no-answer threshold of MODEL to questions with known answers.

    MODEL is a folder, whose polyspan.json is written anew, or with --out also a hub id or "default". DATA are SQuAD
    JSON files, also .gz, that the model was not trained on, with answerable and unanswerable questions. What is
    reported of each question comes from a fit to questions on other contexts. With --early-stop, each question is asked
    of all contexts of all DATA together, and its best ranked passages are all read; other calibrating undoes it.
    """
    target = _target(model, out)
    if early_stop:
        if given["language"] is not None:
            raise InputError("--early-stop fits no language; leave --language out")
        _fit_stop(Reader.from_pretrained(model), _collected(data, passages, sample), passages, target, as_json)
        return
    datasets = {str(path): read_squad(path) for path in data}
    if len(datasets) < len(data):
        raise InputError(f"{', '.join(map(str, data))}: a file is given twice; leave one out")
    reader = Reader.from_pretrained(model)
    asked = questions_to_ask(datasets, reader.settings, given["language"])
    readings = read_asked(reader, asked, calibrated=given["language"] is not None)
    result = fit(
        observe(asked, progress(readings, len(asked), "reading")),
        **given,
        stored=reader.settings.calibration,
        source={"model": reader.scorer.name},
    )
    _write(reader, result.calibration, target)
    if as_json:
        print_json({"folder": str(target), **asdict(result), "calibration": result.calibration.to_json()})
    else:
        _print(result, given["language"])
        click.echo(f"written: {target / 'polyspan.json'}")


def _collected(
    data: tuple[Path, ...], passages: int, sample: int | None
) -> tuple[PassageRanking, Collection[QAExample]]:
    """All contexts of the files together, and the questions to ask of them, each text once."""
    asked = [read_questions(path) for path in data]
    ranking = PassageRanking(collect(asked, ranks=passages).passages)
    chosen = [choose(questions, sample=sample) for questions in asked]
    return ranking, {one.question: one for questions in chosen for one in questions.examples}.values()


def _fit_stop(
    reader: Reader,
    collected: tuple[PassageRanking, Collection[QAExample]],
    passages: int,
    target: Path,
    as_json: bool,
) -> None:
    """Fit and write the stop rule, and say what it is worth."""
    ranking, examples = collected
    followed = follow(reader, ranking, examples, passages)
    trails = gather(list(progress(followed, len(examples), "reading")), passages)
    rule = fit_stop(trails)
    _write(reader, replace(reader.settings.calibration, stop=rule), target)
    reports = judge_stops(trails, {"model": reader.scorer.name, "passages_read": passages})
    if as_json:
        print_json({"folder": str(target), "stop": asdict(rule), "reports": [asdict(one) for one in reports.values()]})
        return
    click.echo(f"{'risk':>5} {'limit':>7} " + " ".join(f"{name:>{WIDTH}}" for name in STOPPED))
    for risk, report in reports.items():
        cells = " ".join(f"{report.scores[name]:>{WIDTH}.2f}" for name in STOPPED)
        click.echo(f"{risk:>5} {rule.limit(risk):>7.4f} {cells}")
    click.echo(f"written: {target / 'polyspan.json'}")


def _write(reader: Reader, calibration: Calibration, target: Path) -> None:
    """The calibration into the reader's own folder, or a calibrated copy into a new one."""
    settings = replace(reader.settings, calibration=calibration)
    try:
        if target.is_dir() and any(target.iterdir()):
            ModelFolder(target).write_settings(settings)
        else:
            Reader(reader.scorer, settings).save_pretrained(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error


def _target(model: str, out: Path | None) -> Path:
    """The folder to write to; InputError, before any work, where nothing can be written there."""
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out}: exists already; expected the name of a new folder")
        return out
    folder = Path(model)
    if model == SHIPPED or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{model}: not a folder that can be written to; give --out FOLDER for a calibrated copy")
    return folder


def _print(result: Calibrated, language: str | None) -> None:
    """Probabilities with intervals, before ("softmax") and after; the threshold; one line a file; the signature."""
    scores, intervals = result.report.scores, result.report.intervals
    for name in FIGURES:
        shown = (
            "{} {:.4f} ({:.4f} to {:.4f})".format(label, scores[key], *intervals[key])
            for label, key in (("softmax", f"softmax_{name}"), ("calibrated", name), ("gain", f"gain_{name}"))
        )
        click.echo(f"{name:6} " + "   ".join(shown))
    at_threshold = ", ".join(f"{name} {scores[name]:.2f}" for name in AT_THRESHOLD)
    click.echo(f"no-answer threshold {result.calibration.of(language).no_answer_threshold:.2f}: {at_threshold}")
    click.echo(" ".join(f"{name:>{WIDTH}}" for name in TABLE) + "  file")
    reports = {**result.datasets, "all": result.report, "among other documents": result.among_others}
    for file, report in reports.items():
        if report is not None:
            cells = (report.scores[name] for name in TABLE)
            row = (f"{cell:>{WIDTH}.4f}" if isinstance(cell, float) else f"{cell:>{WIDTH}}" for cell in cells)
            click.echo(" ".join(row) + f"  {file}")
    click.echo(signature_text(result.report))
