"""``polyspan evaluate``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from polyspan.backends import find_model
from polyspan.backends.digest import model_digest
from polyspan.cli.answering import Task, answered, make_task, new_rows
from polyspan.cli.output import notice, progress
from polyspan.cli.scoring import check_figures, chosen_regimes, dataset_and_language, present, report_options
from polyspan.datasets import write_json
from polyspan.errors import InputError
from polyspan.evaluation import SELECTIVE, Answered, Questions, counted, read_questions
from polyspan.reader import Reader


@click.command()
@click.argument("model")
@click.argument("datasets", metavar="DATASET...", nargs=-1, required=True)
@click.option(
    "--no-answer",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether the reader may abstain; auto: only where the data holds unanswerable questions.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep all that the reader says in this folder, from where an interrupted run goes on.",
)
@click.option("--predictions", type=click.Path(path_type=Path), help="Write the final texts by id to this file.")
@click.option("--na-probs", type=click.Path(path_type=Path), help="Write the null margins by id to this file.")
@report_options
def evaluate(model: str, datasets: tuple[str, ...], **given: Any) -> None:
    """Run MODEL (a folder, a hub id, or "default") over each DATASET (SQuAD JSON, also .gz) and score it.

    A DATASET may be FILE:LANG, with the language of its answers. Several have a report each, and one of all questions
    together. The regimes are those of polyspan score.
    """
    regimes = chosen_regimes(given["regimes"])
    asked = [read_questions(*dataset_and_language(text, given["language"])) for text in datasets]
    _check(asked, regimes, given)
    check_figures(given)
    reader = Reader.from_pretrained(model)
    weights = model_digest(find_model(model)) if given["out"] else ""
    done = [
        _answer(reader, make_task(reader, questions, weights, given["out"], given["no_answer"])) for questions in asked
    ]
    rows = [row for one in done for row in one.predictions.values()]
    if given["predictions"]:
        write_json(given["predictions"], {row.id: row.shown for row in rows})
    if given["na_probs"]:
        margins = [one.predictions.values() for one in done if one.threshold is not None]
        write_json(given["na_probs"], {row.id: row.null_margin for rows in margins for row in rows})
    present(done, regimes, given)


def _check(asked: Sequence[Questions], regimes: Sequence[str], given: dict[str, Any]) -> None:
    """Refuse, before anything is read, what cannot be scored or written."""
    for regime in regimes:
        if regime != SELECTIVE:
            for questions in asked:
                counted(regime, questions, {})
    names = Counter(str(questions.source["dataset"]) for questions in asked)
    if given["out"] and max(names.values()) > 1:
        raise InputError(f"--out: two datasets are called {max(names, key=names.__getitem__)}; evaluate them apart")
    ids = Counter(example.id for questions in asked for example in questions.examples)
    if (given["predictions"] or given["na_probs"]) and max(ids.values()) > 1:
        raise InputError(
            f"--predictions, --na-probs: question {max(ids, key=ids.__getitem__)!r} stands in two datasets; evaluate "
            "them apart, or keep all with --out"
        )


def _answer(reader: Reader, task: Task) -> Answered:
    """What the reader says of each question, or has said before."""
    total = len(task.questions.examples)
    if task.kept:
        notice(f"{task.file}: holds the predictions on {len(task.kept)} of {total} questions already")
    shown = progress(new_rows(reader, task), total, f"reading {task.questions.source['dataset']}", done=len(task.kept))
    return answered(reader, task, [*task.kept, *shown])
