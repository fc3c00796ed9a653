"""Questions that are kept apart from the texts which they ask about, so that they can be given away without these.

A JSONL file: ``{"context": "9f86d081884c7d65", "question": "When was it opened?", "answers": [[25, 29]]}``. ``context``
are the first 16 hex digits of the SHA-256 of the text in UTF-8, ``answers`` first character and end (exclusive) of each
answer in it; none where the text does not say.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import field, join, json_lines
from polyspan.datasets.writing import json_text, write_text
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

SUFFIXES = (".jsonl", ".jsonl.gz")


def read_detached(path: Path, contexts: Iterable[str]) -> list[QAExample]:
    """The questions about these texts, in the file's order; those about other texts are passed over.

    Raises DatasetError where the file is broken, or an answer lies outside its text.
    """
    by_key = {_key(context): context for context in contexts}
    examples: list[QAExample] = []
    for where, record in json_lines(path):
        context = by_key.get(field(record, "context", str, where))
        question, spans = field(record, "question", str, where), field(record, "answers", list, where)
        if context is not None:
            answers = tuple(_answer(span, context, join(where, f"answers[{i}]")) for i, span in enumerate(spans))
            name = f"{path.name.partition('.')[0]}-{len(examples)}"
            examples.append(QAExample(name, question, context, answers, is_impossible=not answers))
    return examples


def write_detached(path: Path, examples: Iterable[QAExample]) -> None:
    """Write questions without their texts, titles and ids; a name that ends in ``.gz`` is gzip."""
    lines = (
        {
            "context": _key(one.context),
            "question": one.question,
            "answers": [[answer.start, answer.start + len(answer.text)] for answer in one.answers],
        }
        for one in examples
    )
    write_text(path, (f"{json_text(line)}\n" for line in lines))


def _key(context: str) -> str:
    return sha256(context.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _answer(span: Any, context: str, where: str) -> GoldAnswer:
    if not (isinstance(span, list) and len(span) == 2 and all(type(one) is int for one in span)):
        raise DatasetError(f"{where}: expected two whole numbers, the first character and the end, got {span!r:.60}")
    start, end = span
    if not 0 <= start < end <= len(context):
        raise DatasetError(f"{where}: {start} to {end} is no span of its text of {len(context)} characters; correct it")
    return GoldAnswer(context[start:end], start)
