"""What commands share that let a reader answer datasets and keep what it says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polyspan.evaluation import (
    Answered,
    Prediction,
    Questions,
    append,
    as_predictions,
    origin_of,
    predict,
    predictions_file,
    reading_options,
    resume,
)
from polyspan.reader import Reader, ReadOptions
from polyspan.types import NoAnswerMode


@dataclass(frozen=True, slots=True)
class Task:
    """Questions, how they are read, the file that keeps what is said, if any, and what it holds already."""

    questions: Questions
    no_answer: NoAnswerMode
    options: ReadOptions
    file: Path | None
    kept: Sequence[Prediction]


def make_task(
    reader: Reader, questions: Questions, weights: str, out: Path | None, no_answer: NoAnswerMode = "auto"
) -> Task:
    """A task; ``weights`` is the model's digest, ``out`` the folder of what is kept.

    Raises InputError where that holds predictions of something else.
    """
    options = reading_options(reader, questions.examples, no_answer, questions.languages[0])
    if out is None:
        return Task(questions, no_answer, options, None, [])
    file = predictions_file(out, str(questions.source["dataset"]))
    kept = resume(file, origin_of(reader, weights, questions.source, options), questions.examples)
    return Task(questions, no_answer, options, file, kept)


def new_rows(reader: Reader, task: Task) -> Iterator[Prediction]:
    """What is still to be said, kept as it comes."""
    left = task.questions.examples[len(task.kept) :]
    new = as_predictions(left, predict(reader, left, task.options))
    return new if task.file is None else append(task.file, new)


def answered(reader: Reader, task: Task, rows: Sequence[Prediction]) -> Answered:
    """The task done: the kept and the new ``rows`` together."""
    source = {**task.questions.source, "model": reader.scorer.name, "no_answer": task.no_answer}
    threshold = reader.threshold(task.options) if task.options.return_no_answer else None
    return Answered(replace(task.questions, source=source), {row.id: row for row in rows}, threshold)
