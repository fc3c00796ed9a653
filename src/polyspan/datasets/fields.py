"""What the formats share: typed access to fields, files of lines, answers, and notes of what was left out.

``where`` is the place of a record for messages: ``dev.jsonl: line 3:`` or ``dev.json: data[0].paragraphs[2]``.
"""

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from polyspan.datasets.jsonfile import read_bytes
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

__all__ = [
    "Notes",
    "PlacedExamples",
    "field",
    "gold_answer",
    "identifier",
    "items",
    "join",
    "json_lines",
    "note_unread",
    "quoted_answer",
    "read_text",
    "same_letters",
    "typed",
]

Kind = TypeVar("Kind", str, int, bool, list[Any], dict[str, Any])

_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

Notes = Counter[str]
"""What a conversion has to say, each with how often: ``unanswerable questions left out: …``."""

PlacedExamples = Iterator[tuple[str, QAExample]]
"""Questions, each with its place in the file."""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, plain or gzip by its name, with its line ends as they are. Raises DatasetError."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: byte {error.start} is not UTF-8; expected text in UTF-8") from error


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with its place; blank lines are skipped. Raises DatasetError."""
    # Not splitlines: a JSON string may hold a line separator (U+2028) as it is.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}: line {number}:"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DatasetError(f"{where} not JSON ({error}); expected one JSON object a line") from error
            yield where, typed(value, dict, where)


def identifier(record: dict[str, Any], name: str, where: str) -> str:
    """An id that may be a string or a whole number."""
    value = record.get(name)
    return str(value) if type(value) is int else field(record, name, str, where)


def gold_answer(text: str, start: int, context: str, where: str) -> GoldAnswer:
    """An answer whose offset lies inside the context; else DatasetError."""
    if not 0 <= start < len(context):
        raise DatasetError(f"{where}: {start} lies outside the context; expected 0 or more, less than {len(context)}")
    return GoldAnswer(text, start)


def quoted_answer(text: str, span: tuple[int, int], context: str, where: str, notes: Notes) -> GoldAnswer:
    """An answer of a format that gives its text and its span (end exclusive), which must begin in the context.

    The text is that of the context where the two agree but for case and whitespace. Where they do not, nobody
    can tell here which is right: the given text stays, and a note says so. Raises DatasetError.
    """
    quote = context[slice(*span)]
    if same_letters(quote, text):
        return gold_answer(quote, span[0], context, where)
    notes["answers are not what stands at their offsets: `polyspan data check` names them"] += 1
    return gold_answer(text, span[0], context, where)


def same_letters(one: str, other: str) -> bool:
    r"""Whether two texts differ in case and whitespace only; ``\n`` may be written out, as Label Studio does."""
    return _letters(one) == _letters(other)


def note_unread(record: Iterable[str], read: Container[str], notes: Notes) -> None:
    """Count the fields that a record holds beyond those that are read."""
    for name in record:
        if name not in read:
            notes[f"fields {name!r} left out"] += 1


def _letters(text: str) -> str:
    return "".join(text.replace("\\n", "").split()).casefold()


def items(record: dict[str, Any], name: str, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in a list field, each with its place: ``dev.json: data[0].paragraphs[2]``."""
    for position, item in enumerate(field(record, name, list, where)):
        place = f"{join(where, name)}[{position}]"
        yield typed(item, dict, place), place


def field(record: dict[str, Any], name: str, kind: type[Kind], where: str) -> Kind:
    """A field's value, of the ``kind`` that it must have; else DatasetError."""
    value = record.get(name)
    if type(value) is kind:
        return value  # before the place of an error is spelt out, which takes most of the time
    if name not in record:
        raise DatasetError(f"{join(where, name)} is missing; expected {_NAMES[kind]}")
    return typed(value, kind, join(where, name))


def join(where: str, name: str) -> str:
    """The place of a field in a record."""
    return f"{where} {name}" if where.endswith(":") else f"{where}.{name}"


def typed(value: Any, kind: type[Kind], where: str) -> Kind:
    """The value, if it is of the ``kind``; else DatasetError."""
    if type(value) is not kind:  # isinstance would take true for a whole number
        raise DatasetError(f"{where.rstrip(':')}: expected {_NAMES[kind]}, got {_NAMES[type(value)]} ({value!r:.60})")
    return value
