"""One question a row: flat JSONL, flat CSV, and the columns of Hugging Face's datasets as JSONL.

All have ``id``, ``title`` (may be missing), ``context`` and ``question``. The flat formats have ``answers``, a list of
texts, and ``answer_starts``, a list as long of the characters at which they start; in CSV both cells hold the list
as JSON. Hugging Face's have ``answers`` with two such lists, ``text`` and ``answer_start``. No answers mean that the
question is unanswerable.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import (
    Notes,
    PlacedExamples,
    field,
    gold_answer,
    identifier,
    join,
    json_lines,
    note_unread,
    read_text,
    typed,
)
from polyspan.datasets.writing import json_text
from polyspan.errors import DatasetError
from polyspan.types import QAExample

_COLUMNS = ("id", "title", "context", "question", "answers", "answer_starts")
_LONGEST_CELL = 2**31 - 1  # what the csv module can be told everywhere


def read_jsonl(path: Path, notes: Notes) -> PlacedExamples:
    """The questions of flat JSONL. Raises DatasetError."""
    for where, record in json_lines(path):
        note_unread(record, _COLUMNS, notes)
        yield where, _example(record, record, _COLUMNS[4:], where, where)


def read_huggingface(path: Path, notes: Notes) -> PlacedExamples:
    """The questions of Hugging Face's columns. Raises DatasetError."""
    for where, record in json_lines(path):
        note_unread(record, _COLUMNS[:5], notes)
        answers = field(record, "answers", dict, where)
        yield where, _example(record, answers, ("text", "answer_start"), where, join(where, "answers"))


def read_csv(path: Path, notes: Notes) -> PlacedExamples:
    """The questions of flat CSV. Raises DatasetError."""
    with _long_cells():
        rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
        header: list[str] | None = None
        try:
            for number, cells in enumerate(rows):
                if header is None:
                    header = _csv_header(cells, path, notes)
                elif cells:
                    where = f"{path}: row {number}:"
                    record = _csv_record(header, cells, where)
                    yield where, _example(record, record, _COLUMNS[4:], where, where)
        except csv.Error as error:
            raise DatasetError(f"{path}: line {rows.line_num}: not CSV ({error}); expected RFC 4180") from error


def jsonl_pieces(examples: Sequence[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- a writer's signature
    """Flat JSONL."""
    for example in examples:
        yield f"{json_text(dict(zip(_COLUMNS, _cells(example), strict=True)))}\n"


def huggingface_pieces(examples: Sequence[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- likewise
    """Hugging Face's columns as JSONL."""
    for example in examples:
        *texts, answers, starts = _cells(example)
        columns = (*texts, {"text": answers, "answer_start": starts})
        yield f"{json_text(dict(zip(_COLUMNS[:5], columns, strict=True)))}\n"


def csv_pieces(examples: Sequence[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- likewise
    """Flat CSV, as RFC 4180 has it."""
    row = io.StringIO(newline="")
    writer = csv.writer(row)
    writer.writerow(_COLUMNS)
    for example in examples:
        *texts, answers, starts = _cells(example)
        writer.writerow([*texts, json_text(answers), json_text(starts)])
        yield row.getvalue()
        row.seek(0)
        row.truncate()


def _cells(example: QAExample) -> tuple[str, str, str, str, list[str], list[int]]:
    answers = [answer.text for answer in example.answers]
    starts = [answer.start for answer in example.answers]
    return example.id, example.title, example.context, example.question, answers, starts


def _example(
    record: dict[str, Any], answers: dict[str, Any], names: Sequence[str], where: str, where_answers: str
) -> QAExample:
    """A row's question; ``names`` are those of the two lists in ``answers``."""
    context = field(record, "context", str, where)
    texts, starts = (field(answers, name, list, where_answers) for name in names)
    where_texts, where_starts = (join(where_answers, name) for name in names)
    if len(texts) != len(starts):
        raise DatasetError(f"{where_starts}: it has {len(starts)} items for {len(texts)} texts; expected as many")
    gold = tuple(
        gold_answer(
            typed(text, str, f"{where_texts}[{position}]"),
            typed(start, int, f"{where_starts}[{position}]"),
            context,
            f"{where_starts}[{position}]",
        )
        for position, (text, start) in enumerate(zip(texts, starts, strict=True))
    )
    return QAExample(
        id=identifier(record, "id", where),
        question=field(record, "question", str, where),
        context=context,
        answers=gold,
        is_impossible=not gold,
        title="" if record.get("title") is None else field(record, "title", str, where),
    )


def _csv_header(cells: list[str], path: Path, notes: Notes) -> list[str]:
    missing = [name for name in _COLUMNS if name not in cells and name != "title"]
    if missing or len(set(cells)) < len(cells):
        raise DatasetError(
            f"{path}: its header is {', '.join(cells)!r:.200}; expected {', '.join(_COLUMNS)} once each, "
            "answers and answer_starts as JSON lists"
        )
    note_unread(cells, _COLUMNS, notes)
    return cells


def _csv_record(header: list[str], cells: list[str], where: str) -> dict[str, Any]:
    if len(cells) != len(header):
        raise DatasetError(f"{where} it has {len(cells)} cells; expected {len(header)}, as in the header")
    record: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in _COLUMNS[4:]:
        try:
            record[name] = json.loads(record[name])
        except (ValueError, RecursionError) as error:
            raise DatasetError(
                f"{where} {name}: not JSON ({record[name]!r:.60}); expected a list in JSON, [] for no answer"
            ) from error
    return record


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read contexts of more than 131,072 characters; its limit is one for the whole process."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
