"""``polyspan compare``."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from polyspan.cli.output import print_json
from polyspan.cli.scoring import language_option, read_kept_of
from polyspan.datasets import read_predictions
from polyspan.datasets.writing import json_text
from polyspan.evaluation import TEXT_REGIMES, ChangedQuestion, Comparison, is_kept, read_questions
from polyspan.evaluation import compare as compare_texts
from polyspan.metrics import signature_text
from polyspan.types import Report


def _count(_context: click.Context, _option: click.Parameter, value: str) -> int:
    """A whole number of 0 or more, or "all"."""
    if value == "all":
        return sys.maxsize
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is neither a whole number of 0 or more nor all")
    return int(value)


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--regime", type=click.Choice(list(TEXT_REGIMES)), default="squad", show_default=True, help="Rules to score by."
)
@language_option
@click.option(
    "--changed",
    metavar="N|all",
    default="10",
    show_default=True,
    callback=_count,
    help="How many changed questions of each kind to list.",
)
@click.option("--allow-missing", is_flag=True, help="Compare the questions that both predict, instead of refusing.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(a: Path, b: Path, dataset: Path, **given: Any) -> None:
    """Say what predictions B change over predictions A on DATASET (SQuAD JSON, also .gz), and whether by chance.

    A and B are prediction files as polyspan score takes them. Differences are B's scores minus A's, with bootstrap
    intervals and p-values of approximate randomisation; McNemar's test is the exact one. At most --changed questions
    are listed that became wrong by exact match, and as many that became right.
    """
    questions = read_questions(dataset, given["language"])
    questions = replace(questions, source={**questions.source, "a": str(a), "b": str(b)})
    texts_a, texts_b = (_texts(path, dataset, given["regime"]) for path in (a, b))
    result = compare_texts(
        given["regime"], questions, texts_a, texts_b, names=(str(a), str(b)), allow_missing=given["allow_missing"]
    )
    if given["as_json"]:
        content = asdict(result)
        lists = ("right_to_wrong", "wrong_to_right")
        print_json({**content, **{name: content[name][: given["changed"]] for name in lists}})
    else:
        _print(result, given["changed"])


def _texts(path: Path, dataset: Path, regime: str) -> Mapping[str, str]:
    """Predicted texts by question id, "" for no answer; SQuAD 1.1's rules know none."""
    if not is_kept(path):
        return read_predictions(path)
    never = TEXT_REGIMES[regime].rules == "squad1"
    return {key: row.text if never else row.shown for key, row in read_kept_of(path, dataset).predictions.items()}


def _print(result: Comparison, most: int) -> None:
    """Scores and tests, the changed questions, the signature."""
    click.echo(f"{'':8}{'A':>8}{'B':>8}{'B - A':>9}   95 % interval              p")
    for name, one in result.difference.items():
        interval = f"({one.low:+.2f} to {one.high:+.2f})"
        scores = f"{result.a[name]:8.2f}{result.b[name]:8.2f}{one.difference:+9.2f}"
        click.echo(f"{name:8}{scores}   {interval:20}{one.p_value:8.2g}")
    test = result.mcnemar
    click.echo(f"right only in A: {test.only_a}, only in B: {test.only_b}; McNemar's p {test.p_value:.2g}")
    _print_changed("right in A, wrong in B", result.right_to_wrong, most)
    _print_changed("wrong in A, right in B", result.wrong_to_right, most)
    click.echo(f"\n{signature_text(Report({}, result.signature))}")


def _print_changed(what: str, changed: Sequence[ChangedQuestion], most: int) -> None:
    if not changed or not most:
        return
    click.echo(f"\n{what}: {len(changed)}")
    for one in changed[:most]:
        click.echo(f"    {one.id}: {json_text(one.question)}")
        for name, texts in (("gold", one.gold or ("",)), ("A", (one.a,)), ("B", (one.b,))):
            click.echo(f"        {name:5} {', '.join(json_text(text) if text else 'no answer' for text in texts)}")
    if len(changed) > most:
        click.echo(f"    … {len(changed) - most} more, which --changed all lists")
