"""``polyspan cross-lingual``."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from polyspan.backends import find_model
from polyspan.backends.digest import model_digest
from polyspan.cli.answering import Task, answered, make_task, new_rows
from polyspan.cli.output import check_picture, notice, print_json, progress
from polyspan.datasets.parallel import LAYOUTS, read_parallel
from polyspan.datasets.writing import write_bytes
from polyspan.evaluation import TEXT_REGIMES, Answered, counted
from polyspan.evaluation.crosslingual import DEFAULT_REGIMES, SCORES, CrossLingual, LanguagePair, questions_of
from polyspan.evaluation.crosslingual import cross_lingual as score
from polyspan.evaluation.heatmap import draw_heat_map
from polyspan.metrics import signature_text
from polyspan.reader import Reader

WIDTH = 8


def _languages(_context: click.Context, _option: click.Parameter, value: str) -> list[str]:
    """Codes between commas, each once."""
    return list(dict.fromkeys(code.strip() for code in value.split(",") if code.strip()))


@click.command()
@click.argument("model")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(["auto", *LAYOUTS]),
    default="auto",
    show_default=True,
    help="How the files are named; auto: as their names say.",
)
@click.option(
    "--languages",
    metavar="CODE,…",
    default="",
    callback=_languages,
    help="Read these alone, in this order.  [default: all]",
)
@click.option(
    "--regime",
    type=click.Choice(list(TEXT_REGIMES)),
    help="Rules to score by.  [default: mlqa for MLQA's layout, squad1 for XQuAD's, their own]",
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="Ask only so many questions of each pair, the same in all where they can be.",
)
@click.option("--allow-missing", is_flag=True, help="In XQuAD's layout ask what all languages have, not refuse.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep all that the reader says in this folder, from where an interrupted run goes on.",
)
@click.option("--heatmap", type=click.Path(path_type=Path), help="Draw the scores to this PNG file.")
@click.option("--json", "as_json", is_flag=True, help="Print matrices, averages and all reports as JSON.")
def cross_lingual(model: str, paths: tuple[Path, ...], **given: Any) -> None:
    """Score MODEL (a folder, a hub id, or "default") on questions of one language and contexts of another.

    PATH is a folder, or files, of SQuAD JSON (also .gz) in the layout of XQuAD or of MLQA. XQuAD's are named like
    xquad.en.json; every language asks its questions on the contexts of all, which hold the same ids. MLQA's are one
    pair each, named like test-context-de-question-en.json. Averages are means over pairs.
    """
    if given["heatmap"] is not None:
        check_picture("--heatmap", given["heatmap"])
    data = read_parallel(
        paths, given["layout"], given["languages"], given["sample"], allow_missing=given["allow_missing"]
    )
    regime = given["regime"] or DEFAULT_REGIMES[data.layout]
    asked = {(pair.question_language, pair.context_language): questions_of(pair) for pair in data.pairs}
    for questions in asked.values():
        counted(regime, questions, {})  # refuses, before anything is read, what the regime cannot score
    reader = Reader.from_pretrained(model)
    weights = model_digest(find_model(model)) if given["out"] else ""
    tasks = {languages: make_task(reader, questions, weights, given["out"]) for languages, questions in asked.items()}
    result = score(regime, _answer(reader, tasks))
    if given["heatmap"] is not None:
        write_bytes(given["heatmap"], [draw_heat_map(result)])
    if given["as_json"]:
        print_json({"layout": data.layout, **_content(result)})
    else:
        _print(result)


def _answer(reader: Reader, tasks: Mapping[LanguagePair, Task]) -> dict[LanguagePair, Answered]:
    """What the reader says of each pair's questions, or has said before."""
    total = sum(len(task.questions.examples) for task in tasks.values())
    done = sum(len(task.kept) for task in tasks.values())
    if done:
        notice(f"the predictions on {done} of {total} questions are kept already")
    rows = {languages: list(task.kept) for languages, task in tasks.items()}
    new = ((languages, row) for languages, task in tasks.items() for row in new_rows(reader, task))
    for languages, row in progress(new, total, "reading", done=done):
        rows[languages].append(row)
    return {languages: answered(reader, task, rows[languages]) for languages, task in tasks.items()}


def _content(result: CrossLingual) -> dict[str, Any]:
    """Rows of the matrices are the languages of questions, columns those of contexts; null where there is no pair."""
    return {
        "regime": result.regime,
        "question_languages": result.question_languages,
        "context_languages": result.context_languages,
        **{name: result.matrix(name) for name in SCORES},
        "averages": {name: asdict(report) for name, report in result.averages.items()},
        "pairs": [
            {"question_language": question, "context_language": context, **asdict(report)}
            for (question, context), report in result.reports.items()
        ],
    }


def _print(result: CrossLingual) -> None:
    """A matrix of each score, the averages, the signature of all pairs."""
    for name in SCORES:
        click.echo(f"{name}: rows are the languages of questions, columns those of contexts")
        click.echo(f"{'':{WIDTH}}" + "".join(f"{language:>{WIDTH}}" for language in result.context_languages))
        for language, row in zip(result.question_languages, result.matrix(name), strict=True):
            cells = ("-" if value is None else f"{value:.2f}" for value in row)
            click.echo(f"{language:{WIDTH}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells))
        click.echo()
    for average, report in result.averages.items():
        shown = (
            f"{name} {report.scores[name]:6.2f} ({report.intervals[name][0]:.2f} to {report.intervals[name][1]:.2f})"
            for name in SCORES
        )
        click.echo(f"{average:{2 * WIDTH}}" + "   ".join(shown))
    click.echo(signature_text(result.averages["all_pairs"]))
