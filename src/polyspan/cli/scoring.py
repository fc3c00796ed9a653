"""What ``polyspan evaluate``, ``score`` and ``compare`` share: regimes, languages, files of predictions, reports."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click

from polyspan.cli.output import notice, print_reports
from polyspan.datasets.writing import write_bytes, write_text
from polyspan.errors import InputError
from polyspan.evaluation import (
    SELECTIVE,
    TEXT_REGIMES,
    Answered,
    Kept,
    Scored,
    complete_reports,
    draw_plots,
    explore_thresholds,
    html_report,
    pool,
    predictions_file,
    read_kept,
    score_predictions,
)
from polyspan.evaluation.figures import draw_png
from polyspan.types import LANGUAGE_CODE

Command = Callable[..., None]


def report_options(command: Command) -> Command:
    """The options that say which reports are made, and how they are printed and shown."""
    for option in reversed(
        (
            click.option(
                "--regime",
                "regimes",
                type=click.Choice([*TEXT_REGIMES, SELECTIVE]),
                multiple=True,
                help="Rules to score by; may be repeated.  [default: squad]",
            ),
            language_option,
            click.option(
                "--prior",
                type=click.FloatRange(0, 1),
                help="The share of unanswerable questions that selective scores are for.  [default: the dataset's]",
            ),
            click.option(
                "--report",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Write scores, plots and the worst errors to this HTML file.",
            ),
            click.option(
                "--plots",
                type=click.Path(path_type=Path, file_okay=False),
                help="Write the plots as PNG files into this folder.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; several as a list."),
        )
    ):
        command = option(command)
    return command


def language_option(command: Command) -> Command:
    """The language of the answers."""
    return click.option(
        "--language",
        default="",
        callback=_code,
        help="Language of the answers (ISO 639-1): mlqa needs it, squad does not look at it.",
    )(command)


def _code(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """The language's code, if one is given; "auto" tells a question's language, and is none of answers."""
    if value and not re.fullmatch(LANGUAGE_CODE, value):
        raise InputError(f"--language {value}: expected an ISO 639 code such as de")
    return value


def chosen_regimes(given: Iterable[str]) -> list[str]:
    """The regimes of ``--regime``, each once."""
    return list(dict.fromkeys(given)) or ["squad"]


def dataset_and_language(text: str, language: str) -> tuple[Path, str]:
    """A dataset given as FILE or FILE:LANG, and its language; ``language`` where it has none of its own."""
    path, _, own = text.rpartition(":")
    return (Path(path), own) if path and re.fullmatch(LANGUAGE_CODE, own) else (Path(text), language)


def read_kept_of(path: Path, dataset: Path) -> Kept:
    """Kept predictions: those of a file, or those that a folder holds on a dataset."""
    return read_kept(predictions_file(path, dataset.name) if path.is_dir() else path)


def check_figures(given: dict[str, Any]) -> None:
    """Refuse, before anything is read, a report or plots that could not be drawn or written."""
    folders = [folder for folder in (given["report"] and given["report"].parent, given["plots"]) if folder]
    if folders:
        draw_png(1, 1, lambda _: None)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written: {error.strerror or error}; choose another folder"
            ) from error


def present(answered: Sequence[Answered], regimes: Iterable[str], given: dict[str, Any]) -> None:
    """Print the reports of datasets, and of all questions together where there are several; draw what is asked for."""
    sets = [*answered, pool(answered)] if len(answered) > 1 else answered
    allow_missing = given.get("allow_missing", False)
    priors = [_prior(one, given["prior"]) for one in sets]
    reports = [
        {regime: score_predictions(regime, one, prior=prior, allow_missing=allow_missing) for regime in regimes}
        for one, prior in zip(sets, priors, strict=True)
    ]
    print_reports([report for own in reports for report in own.values()], given["as_json"])
    if given["report"] or given["plots"]:
        *parts, whole = (
            complete_reports(own, one, prior, allow_missing=allow_missing)
            for own, one, prior in zip(reports, sets, priors, strict=True)
        )
        _write_figures(whole, parts or [whole], given)


def _write_figures(whole: Scored, parts: Sequence[Scored], given: dict[str, Any]) -> None:
    thresholds = explore_thresholds(whole.graded)
    plots = draw_plots(whole, parts, thresholds)
    if given["plots"]:
        for plot in plots:
            write_bytes(given["plots"] / f"{plot.name}.png", [plot.png])
    if given["report"]:
        write_text(given["report"], [html_report(whole, parts, thresholds, plots)])


def _prior(answered: Answered, prior: float | None) -> float | None:
    """The prior of the selective scores; none, with a notice, where it makes no sense."""
    kinds = {bool(example.answers) for example in answered.questions.examples}
    if prior is None or len(kinds) > 1:
        return prior
    kind = "answerable" if kinds.pop() else "unanswerable"
    notice(f"{answered.questions.source['dataset']}: all questions are {kind}, so --prior does not count there")
    return None
