"""SQuAD 1.1 and 2.0, and the export of Haystack's annotation tool, which is SQuAD 2.0 with numbers and more fields.

One becomes another with all further fields that it holds, such as ``plausible_answers``.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import (
    Notes,
    PlacedExamples,
    field,
    identifier,
    items,
    note_unread,
    typed,
)
from polyspan.datasets.jsonfile import read_json
from polyspan.datasets.squad import read_question, squad_version
from polyspan.datasets.writing import json_text, write_text
from polyspan.types import QAExample

Content = dict[str, Any]
"""SQuAD-like JSON, or an object in it."""


def write_squad(path: Path, examples: Iterable[QAExample]) -> None:
    """Write the questions as SQuAD 2.0 JSON, gzip where the name ends in ``.gz``, whole or not at all.

    Questions of one title, and in it of one context, come together, in the order in which each occurs first.
    A file of that name is replaced. Raises InputError where it cannot be written.
    """
    write_text(path, squad2_pieces(examples, Notes()))


def read_squad_like(path: Path, notes: Notes) -> PlacedExamples:
    """The questions of SQuAD-like JSON, as ``read_squad`` reads them; an id may be a number too.

    Raises DatasetError.
    """
    top = typed(read_json(path), dict, f"{path}:")
    note_unread(top, ("version", "data"), notes)
    for article, where in items(top, "data", f"{path}:"):
        note_unread(article, ("title", "paragraphs"), notes)
        title = field(article, "title", str, where) if article.get("title") is not None else ""
        for paragraph, where_paragraph in items(article, "paragraphs", where):
            note_unread(paragraph, ("context", "qas"), notes)
            context = field(paragraph, "context", str, where_paragraph)
            for record, place in items(paragraph, "qas", where_paragraph):
                note_unread(record, ("id", "question", "answers", "is_impossible"), notes)
                named = {**record, "id": identifier(record, "id", place)}
                example = read_question(named, context, title, place)
                for answer in record["answers"]:
                    note_unread(answer, ("text", "answer_start"), notes)
                yield place, example


def squad1_content(content: Content) -> Content:
    """SQuAD-like JSON as SQuAD 1.1, without its unanswerable questions."""
    content = squad2_content(content)
    content["version"] = squad_version(content, "1.1")
    for paragraph in _paragraphs(content):
        paragraph["qas"] = [record for record in paragraph["qas"] if record["answers"]]
        for record in paragraph["qas"]:
            del record["is_impossible"]
    return content


def squad2_content(content: Content) -> Content:
    """SQuAD-like JSON as SQuAD 2.0; the given objects stay as they are."""
    articles = []
    for article in content["data"]:
        paragraphs = [
            {**paragraph, "qas": [_question(record) for record in paragraph["qas"]]}
            for paragraph in article["paragraphs"]
        ]
        articles.append({**article, "title": article.get("title") or "", "paragraphs": paragraphs})
    return {**content, "version": squad_version(content, "v2.0"), "data": articles}


def haystack_content(content: Content) -> Content:
    """SQuAD-like JSON as Haystack's annotation tool exports it; what has no number is numbered from 1."""
    content = squad2_content(content)
    answer_ids = itertools.count(1)
    for number, paragraph in enumerate(_paragraphs(content), start=1):
        document_id = paragraph.setdefault("document_id", number)
        for record in paragraph["qas"]:
            record["answers"] = [
                {"answer_id": next(answer_ids), "document_id": document_id, "answer_category": None}
                | {**answer, "question_id": record["id"]}
                for answer in record["answers"]
            ]
    return content


def squad1_pieces(examples: Iterable[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- a writer's signature
    """SQuAD 1.1 JSON of answerable questions."""
    yield json_text(squad1_content(_content(examples)))


def squad2_pieces(examples: Iterable[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- likewise
    """SQuAD 2.0 JSON."""
    yield json_text(_content(examples))


def haystack_pieces(examples: Iterable[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- likewise
    """What Haystack's annotation tool exports."""
    yield json_text(haystack_content(_content(examples)))


def _content(examples: Iterable[QAExample]) -> Content:
    """The questions as SQuAD 2.0, those of one title, and in it of one context, together."""
    grouped: dict[str, dict[str, list[Content]]] = {}
    for example in examples:
        record = {
            "id": example.id,
            "question": example.question,
            "answers": [{"text": answer.text, "answer_start": answer.start} for answer in example.answers],
            "is_impossible": example.is_impossible,
        }
        grouped.setdefault(example.title, {}).setdefault(example.context, []).append(record)
    articles = [
        {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in contexts.items()]}
        for title, contexts in grouped.items()
    ]
    return {"version": "v2.0", "data": articles}


def _question(record: Content) -> Content:
    return {**record, "id": str(record["id"]), "is_impossible": not record["answers"]}


def _paragraphs(content: Content) -> Iterator[Content]:
    return (paragraph for article in content["data"] for paragraph in article["paragraphs"])
