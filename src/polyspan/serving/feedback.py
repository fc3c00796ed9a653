"""What people say of answers, kept in SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Literal

from polyspan.errors import InputError
from polyspan.types import Document, GoldAnswer, QAExample

FILE = "feedback.sqlite"
Verdict = Literal["right", "wrong", "corrected", "unanswerable"]
_TABLE = """CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, question TEXT NOT NULL, document TEXT NOT NULL, context TEXT NOT NULL,
    verdict TEXT NOT NULL, start INTEGER, end INTEGER)"""
CONTEXT_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Feedback:
    """One judgement; ``start`` and ``end`` are characters of ``context``, None where nothing is marked."""

    question: str
    document: str
    context: str
    verdict: Verdict
    start: int | None
    end: int | None


class FeedbackStore:
    """Judgements on disk, each there for good when ``add`` returns; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(_TABLE)

    def add(self, feedback: Feedback) -> int:
        """Keep a judgement; its number."""
        values = (
            feedback.question,
            feedback.document,
            feedback.context,
            feedback.verdict,
            feedback.start,
            feedback.end,
        )
        with self._connection() as connection:
            row = connection.execute(
                "INSERT INTO feedback (at, question, document, context, verdict, start, end) VALUES (?,?,?,?,?,?,?)",
                (time(), *values),
            )
        return int(row.lastrowid or 0)

    def all(self) -> list[Feedback]:
        """Everything, oldest first."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT question, document, context, verdict, start, end FROM feedback ORDER BY id"
            ).fetchall()
        return [Feedback(*row) for row in rows]

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Whether a server kept feedback in that folder."""
        return (folder / FILE).is_file()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._file, timeout=30)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def judged(document: Document, verdict: Verdict, question: str, start: int | None, end: int | None) -> Feedback:
    """A judgement with the text around what it marks, so that it outlives the document.

    Raises:
        InputError: where a verdict that needs a span has none, or the span does not stand in the document.
    """
    needs = verdict in ("right", "corrected")
    if start is None or end is None:
        if needs:
            raise InputError(f"verdict {verdict} needs start and end, the characters of the answer")
        return Feedback(question, document.id, document.text[:CONTEXT_CHARS], verdict, None, None)
    if not (0 <= start < end <= len(document.text) and end - start <= CONTEXT_CHARS):
        raise InputError(f"no answer stands at characters {start} to {end} of {document.id}")
    room = (CONTEXT_CHARS - (end - start)) // 2
    begin = max(0, start - room)
    context = document.text[begin : end + room]
    return Feedback(question, document.id, context, verdict, start - begin, end - begin)


def as_examples(feedback: list[Feedback]) -> list[QAExample]:
    """Judgements that teach something as questions with gold answers; the last one of a question in a context counts.

    "right" and "corrected" mark the answer, "unanswerable" says that the context has none; "wrong" alone does not say
    what would be right, and is left out.
    """
    found: dict[tuple[str, str], QAExample] = {}
    for number, one in enumerate(feedback):
        if one.verdict == "wrong":
            continue
        answers: tuple[GoldAnswer, ...] = ()
        if one.verdict != "unanswerable" and one.start is not None and one.end is not None:
            answers = (GoldAnswer(one.context[one.start : one.end], one.start),)
        example = QAExample(
            f"feedback-{number}", one.question, one.context, answers, is_impossible=not answers, title=one.document
        )
        found[one.question, one.document] = example
    return list(found.values())
