"""SQuAD 1.1 and 2.0, and the export of Haystack's annotation tool, which is SQuAD 2.0 with numbers and more fields."""

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
from polyspan.datasets.squad import read_question
from polyspan.datasets.writing import json_text, write_text
from polyspan.types import QAExample


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


def squad1_pieces(examples: Iterable[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- a writer's signature
    """SQuAD 1.1 JSON of answerable questions."""
    articles = _articles(examples)
    for paragraph in _paragraphs(articles):
        for record in paragraph["qas"]:
            del record["is_impossible"]
    yield json_text({"version": "1.1", "data": articles})


def squad2_pieces(examples: Iterable[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- likewise
    """SQuAD 2.0 JSON."""
    yield json_text({"version": "v2.0", "data": _articles(examples)})


def haystack_pieces(examples: Iterable[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- likewise
    """What Haystack's annotation tool exports; documents and answers are numbered from 1."""
    articles = _articles(examples)
    answer_ids = itertools.count(1)
    for document_id, paragraph in enumerate(_paragraphs(articles), start=1):
        paragraph["document_id"] = document_id
        for record in paragraph["qas"]:
            for answer in record["answers"]:
                answer["answer_id"] = next(answer_ids)
                answer |= {"document_id": document_id, "question_id": record["id"], "answer_category": None}
    yield json_text({"data": articles})


def _articles(examples: Iterable[QAExample]) -> list[dict[str, Any]]:
    """The questions as SQuAD 2.0's ``data``."""
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for example in examples:
        record = {
            "id": example.id,
            "question": example.question,
            "answers": [{"text": answer.text, "answer_start": answer.start} for answer in example.answers],
            "is_impossible": example.is_impossible,
        }
        grouped.setdefault(example.title, {}).setdefault(example.context, []).append(record)
    return [
        {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in contexts.items()]}
        for title, contexts in grouped.items()
    ]


def _paragraphs(articles: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (paragraph for article in articles for paragraph in article["paragraphs"])
