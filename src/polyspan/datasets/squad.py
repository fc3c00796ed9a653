"""Datasets in SQuAD's JSON, versions 1.1 and 2.0."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import field, items, typed
from polyspan.datasets.jsonfile import read_json
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample


def read_squad(path: Path) -> list[QAExample]:
    """The questions of a SQuAD 1.1 or 2.0 file (``.json`` or ``.json.gz``), in its order.

    Where ``is_impossible`` is not given, a question without answers is impossible. An answer may differ from
    the text at its offset, as a few in the official files do; its offset must lie inside the context.
    Raises DatasetError, with the record and the field, where the file does not hold this or repeats an id.
    """
    examples: list[QAExample] = []
    seen: dict[str, str] = {}
    top = typed(read_json(path), dict, f"{path}:")
    for article, where in items(top, "data", f"{path}:"):
        title = field(article, "title", str, where) if "title" in article else ""
        for paragraph, where_paragraph in items(article, "paragraphs", where):
            context = field(paragraph, "context", str, where_paragraph)
            for record, where_question in items(paragraph, "qas", where_paragraph):
                example = read_question(record, context, title, where_question)
                if example.id in seen:
                    raise DatasetError(
                        f"{where_question}: id {example.id!r} stands already at {seen[example.id]}; expected unique ids"
                    )
                seen[example.id] = where_question.removeprefix(f"{path}: ")
                examples.append(example)
    if not examples:
        raise DatasetError(f"{path}: it holds no questions; expected at least one under data, paragraphs, qas")
    return examples


def read_quotes(path: Path) -> list[QAExample]:
    """As ``read_squad``, where every answer has to stand at its offset; else DatasetError."""
    examples = read_squad(path)
    for example in examples:
        for answer in example.answers:
            stands = example.context[answer.start : answer.start + len(answer.text)] == answer.text
            if not (stands and answer.text.strip()):
                raise DatasetError(
                    f"{path}: question {example.id!r}: its answer {answer.text!r:.60} does not stand at character "
                    f"{answer.start} of the context; see polyspan data check {path} --fix FIXED"
                )
    return examples


def read_question(record: dict[str, Any], context: str, title: str, where: str) -> QAExample:
    """One record of ``qas``; DatasetError, with its place, where it is not what SQuAD holds."""
    identifier = field(record, "id", str, where)
    where = f"{where} (id {identifier!r})"
    answers = tuple(
        _read_answer(answer, context, where_answer) for answer, where_answer in items(record, "answers", where)
    )
    impossible = field(record, "is_impossible", bool, where) if "is_impossible" in record else not answers
    if impossible == bool(answers):
        raise DatasetError(
            f"{where}: is_impossible is {str(impossible).lower()} with {len(answers)} answers; "
            "expected answers exactly where it is false, correct one of them"
        )
    return QAExample(
        id=identifier,
        question=field(record, "question", str, where),
        context=context,
        answers=answers,
        is_impossible=impossible,
        title=title,
    )


def squad_version(content: Mapping[str, Any], version: str) -> Any:
    """The ``version`` to write where content becomes that of SQuAD ``version``; a dataset's own stays."""
    own = content.get("version")
    return version if own in (None, "1.1", "v1.1", "2.0", "v2.0") else own


def _read_answer(record: dict[str, Any], context: str, where: str) -> GoldAnswer:
    start = field(record, "answer_start", int, where)
    if not 0 <= start < len(context):
        raise DatasetError(
            f"{where}.answer_start: {start} lies outside the context; expected 0 or more, less than {len(context)}"
        )
    return GoldAnswer(field(record, "text", str, where), start)
