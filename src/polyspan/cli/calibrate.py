"""``polyspan calibrate``."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from polyspan.backends import ModelFolder
from polyspan.backends.hub import SHIPPED
from polyspan.cli.output import print_json, progress
from polyspan.datasets import read_squad
from polyspan.errors import InputError
from polyspan.evaluation.calibrate import Calibrated, questions_to_ask
from polyspan.evaluation.calibrate import calibrate as fit
from polyspan.evaluation.observe import observe, read_asked
from polyspan.metrics import signature_text
from polyspan.reader import Reader

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
@click.option("--language", metavar="CODE", help="Fit only the threshold of this language, the language of DATA.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a calibrated copy of the model to this new folder.")
@click.option("--json", "as_json", is_flag=True, help="Print calibration and reports as JSON.")
def calibrate(model: str, data: tuple[Path, ...], out: Path | None, as_json: bool, **given: Any) -> None:
    """Fit the probabilities and the no-answer threshold of MODEL to questions with known answers.

    MODEL is a folder, whose polyspan.json is written anew, or with --out also a hub id or "default". DATA are SQuAD
    JSON files, also .gz, that the model was not trained on, with answerable and unanswerable questions. What is
    reported of each question comes from a fit to questions on other contexts.
    """
    target = _target(model, out)
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
    settings = replace(reader.settings, calibration=result.calibration)
    try:
        if out is None:
            ModelFolder(target).write_settings(settings)
        else:
            Reader(reader.scorer, settings).save_pretrained(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json({"folder": str(target), **asdict(result), "calibration": result.calibration.to_json()})
    else:
        _print(result, given["language"])
        click.echo(f"written: {target / 'polyspan.json'}")


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
    click.echo(f"no-answer threshold {result.calibration.threshold(language):.2f}: {at_threshold}")
    click.echo(" ".join(f"{name:>{WIDTH}}" for name in TABLE) + "  file")
    reports = {**result.datasets, "all": result.report, "among other documents": result.among_others}
    for file, report in reports.items():
        if report is not None:
            cells = (report.scores[name] for name in TABLE)
            row = (f"{cell:>{WIDTH}.4f}" if isinstance(cell, float) else f"{cell:>{WIDTH}}" for cell in cells)
            click.echo(" ".join(row) + f"  {file}")
    click.echo(signature_text(result.report))
