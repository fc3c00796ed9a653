"""What ``polyspan evaluate``, ``score`` and ``compare`` share: regimes, languages and files of predictions."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from polyspan.cli.output import notice
from polyspan.evaluation import SELECTIVE, TEXT_REGIMES, Answered, Kept, predictions_file, read_kept, score_predictions
from polyspan.types import Report

Command = Callable[..., None]

_LANGUAGE = re.compile("[a-z]{2,3}")


def report_options(command: Command) -> Command:
    """The options that say which reports are made, and how they are printed."""
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
            click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; several as a list."),
        )
    ):
        command = option(command)
    return command


def language_option(command: Command) -> Command:
    """The language of the answers."""
    return click.option(
        "--language", default="", help="Language of the answers (ISO 639-1): mlqa needs it, squad does not look at it."
    )(command)


def chosen_regimes(given: Iterable[str]) -> list[str]:
    """The regimes of ``--regime``, each once."""
    return list(dict.fromkeys(given)) or ["squad"]


def dataset_and_language(text: str, language: str) -> tuple[Path, str]:
    """A dataset given as FILE or FILE:LANG, and its language; ``language`` where it has none of its own."""
    path, _, own = text.rpartition(":")
    return (Path(path), own) if path and _LANGUAGE.fullmatch(own) else (Path(text), language)


def read_kept_of(path: Path, dataset: Path) -> Kept:
    """Kept predictions: those of a file, or those that a folder holds on a dataset."""
    return read_kept(predictions_file(path, dataset.name) if path.is_dir() else path)


def report(regime: str, answered: Answered, prior: float | None, *, allow_missing: bool = False) -> Report:
    """The report of predictions under a regime; a notice where a prior makes no sense."""
    kinds = {bool(example.answers) for example in answered.questions.examples}
    if regime == SELECTIVE and prior is not None and len(kinds) == 1:
        kind = "answerable" if kinds.pop() else "unanswerable"
        notice(f"{answered.questions.source['dataset']}: all questions are {kind}, so --prior does not count there")
        prior = None
    return score_predictions(regime, answered, prior=prior, allow_missing=allow_missing)
