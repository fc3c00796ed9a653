"""The words of the house: what travels between its rooms.

Characters are Unicode code points, counted from 0; every end is exclusive.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

NoAnswerMode = Literal["auto", "on", "off"]

LANGUAGE_CODE = "[a-z]{2,3}"
"""A regular expression for ISO 639 codes."""

TITLE = "title"
"""The entry of a document's ``meta`` that says what it is about."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """An annotated answer: its text and the character at which it starts in the context."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QAExample:
    """One question of a dataset with its context; no ``answers`` where ``is_impossible``."""

    id: str
    question: str
    context: str
    answers: tuple[GoldAnswer, ...] = ()
    is_impossible: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A stored text. ``page_starts`` holds the character at which each page begins, if it has pages.

    Where only a part of the whole is at hand, ``part_start`` is the character of the whole at which ``text`` begins;
    all offsets, also ``page_starts``, are those of the whole. A text in ``meta`` under ``TITLE`` is read before each
    passage that does not hold it, so that "it sails at nine" is known to be said of the ferry; no answer lies in it.
    """

    text: str
    id: str = ""
    page_starts: tuple[int, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    part_start: int | None = None

    def quote(self, span: Span) -> str:
        """The characters of a span of the whole."""
        begin = self.part_start or 0
        return self.text[span.start - begin : span.end - begin]

    def page_at(self, character: int) -> int | None:
        """The page, counted from 1, on which a character stands; None without pages."""
        return bisect_right(self.page_starts, character) or None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; whoever reads it reports offsets in the document.

    ``copies`` say the same elsewhere. ``handicap``, in logits, is added to the null margins of its spans, as passages
    that suit a question less are less likely to answer it.
    """

    document: Document
    span: Span
    copies: tuple["Passage", ...] = ()
    handicap: float = 0.0

    @property
    def text(self) -> str:
        """The passage's own characters."""
        return self.document.quote(self.span)


@dataclass(frozen=True, slots=True)
class PageBox:
    """A rectangle on a page of a document, counted from 1.

    The sides are fractions, 0 to 1, of the width and the height of the page as it is shown, from its top left corner.
    """

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the model sees at once: a question and a piece of a context.

    ``input_ids`` and ``type_ids`` have shape [tokens]; the context's tokens begin at ``context_start``;
    ``offsets`` has shape [context tokens, 2]: the characters of each in the whole context, of which ``context``
    is the number. ``owned`` are the first and last (exclusive) context tokens that count to this window and to
    no neighbour that overlaps it. ``handicap`` is its passage's. No answer runs across tokens of different ``blocks``
    [context tokens] (None: they are of one).
    """

    context: int
    input_ids: Int32Array
    type_ids: Int32Array
    context_start: int
    offsets: Int32Array
    owned: tuple[int, int]
    handicap: float = 0.0
    blocks: Int32Array | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Characters ``start`` to ``end`` (exclusive) of the document with that id; ``page`` counts from 1."""

    document: str
    start: int
    end: int
    page: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A quote: ``document text[start:end] == text``.

    ``score`` is the probability, 0 to 1, that the quote is right by exact match; ``raw_score`` the sum of its
    start and end logits; ``null_margin`` its window's null score minus it, in logits. ``document`` is the
    document's id. ``context`` is the text around the quote and begins at character ``context_start`` of the
    document. ``page`` counts from 1. ``also`` are other places that say the same.
    """

    text: str
    start: int
    end: int
    score: float
    raw_score: float
    null_margin: float
    document: str
    page: int | None
    context: str
    context_start: int
    also: tuple[Source, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields that the command line and the server print."""
        shown = ("text", "start", "end", "score", "document", "page", "context", "context_start")
        return {**{name: getattr(self, name) for name in shown}, "also": [asdict(one) for one in self.also]}


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The verdict on abstaining: probability (0 to 1) that it is right, and whether it was chosen."""

    score: float
    chosen: bool
    null_margin: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found: ``answers`` best first, empty where no answer was chosen.

    Then ``candidates`` holds the best spans all the same. ``notices`` says in plain words what the reader had
    to do to its input (a question that was cut, say). ``features`` are the best span's numbers, by name, that a
    calibration maps to a probability. ``passages_read`` counts the documents or passages that were read, of those that
    hold text. ``conflicts`` are the places in ``answers`` of those that other documents give instead of the best.
    """

    question: str
    answers: tuple[Answer, ...]
    no_answer: NoAnswer
    candidates: tuple[Answer, ...] = ()
    notices: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)
    passages_read: int = 0
    conflicts: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Question, answers, verdict and candidates as the command line and the server print them."""
        return {
            "question": self.question,
            "answers": [answer.to_json() for answer in self.answers],
            "no_answer": {"score": self.no_answer.score, "chosen": self.no_answer.chosen},
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "passages_read": self.passages_read,
            "conflicts": list(self.conflicts),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Scores under their standard keys, 95 % intervals of some, and the signature that makes them comparable."""

    scores: Mapping[str, float]
    signature: Mapping[str, str | int | float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


Readable = str | Document | Passage | Mapping[str, Any] | None
