"""Datasets in SQuAD's JSON, versions 1.1 and 2.0."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from polyspan.datasets.jsonfile import read_json
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

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


def read_squad(path: Path) -> list[QAExample]:
    """The questions of a SQuAD 1.1 or 2.0 file (``.json`` or ``.json.gz``), in its order.

    Where ``is_impossible`` is not given, a question without answers is impossible. An answer may differ from
    the text at its offset, as a few in the official files do; its offset must lie inside the context.
    Raises DatasetError, with the record and the field, where the file does not hold this or repeats an id.
    """
    examples: list[QAExample] = []
    seen: dict[str, str] = {}
    top = _as(read_json(path), dict, f"{path}:")
    for article, where in _items(top, "data", f"{path}:"):
        title = _field(article, "title", str, where) if "title" in article else ""
        for paragraph, where_paragraph in _items(article, "paragraphs", where):
            context = _field(paragraph, "context", str, where_paragraph)
            for record, where_question in _items(paragraph, "qas", where_paragraph):
                example = _read_question(record, context, title, where_question)
                if example.id in seen:
                    raise DatasetError(
                        f"{where_question}: id {example.id!r} stands already at {seen[example.id]}; expected unique ids"
                    )
                seen[example.id] = where_question.removeprefix(f"{path}: ")
                examples.append(example)
    if not examples:
        raise DatasetError(f"{path}: it holds no questions; expected at least one under data, paragraphs, qas")
    return examples


def _read_question(record: dict[str, Any], context: str, title: str, where: str) -> QAExample:
    identifier = _field(record, "id", str, where)
    where = f"{where} (id {identifier!r})"
    answers = tuple(
        _read_answer(answer, context, where_answer) for answer, where_answer in _items(record, "answers", where)
    )
    impossible = _field(record, "is_impossible", bool, where) if "is_impossible" in record else not answers
    if impossible == bool(answers):
        raise DatasetError(
            f"{where}: is_impossible is {str(impossible).lower()} with {len(answers)} answers; "
            "expected answers exactly where it is false, correct one of them"
        )
    return QAExample(
        id=identifier,
        question=_field(record, "question", str, where),
        context=context,
        answers=answers,
        is_impossible=impossible,
        title=title,
    )


def _read_answer(record: dict[str, Any], context: str, where: str) -> GoldAnswer:
    start = _field(record, "answer_start", int, where)
    if not 0 <= start < len(context):
        raise DatasetError(
            f"{where}.answer_start: {start} lies outside the context; expected 0 or more, less than {len(context)}"
        )
    return GoldAnswer(_field(record, "text", str, where), start)


def _items(record: dict[str, Any], name: str, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in a list field, each with its place: ``dev.json: data[0].paragraphs[2]``."""
    for position, item in enumerate(_field(record, name, list, where)):
        place = f"{_join(where, name)}[{position}]"
        yield _as(item, dict, place), place


def _field(record: dict[str, Any], name: str, kind: type[Kind], where: str) -> Kind:
    if name not in record:
        raise DatasetError(f"{_join(where, name)} is missing; expected {_NAMES[kind]}")
    return _as(record[name], kind, _join(where, name))


def _join(where: str, name: str) -> str:
    return f"{where} {name}" if where.endswith(":") else f"{where}.{name}"


def _as(value: Any, kind: type[Kind], where: str) -> Kind:
    if type(value) is not kind:  # isinstance would take true for a whole number
        raise DatasetError(f"{where.rstrip(':')}: expected {_NAMES[kind]}, got {_NAMES[type(value)]} ({value!r:.60})")
    return value
