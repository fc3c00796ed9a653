"""What a reading says, as one object that other programs can check and keep."""

from dataclasses import asdict, dataclass
from typing import Any

from polyspan.types import Answer, Reading


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a document: ``document text[start:end] == quote``.

    ``sentence`` is the text around them and begins at character ``sentence_start``; ``probability`` (0 to 1) is that of
    the quote being right by exact match. ``document`` is the document's id; ``page`` counts from 1.
    """

    quote: str
    start: int
    end: int
    sentence: str
    sentence_start: int
    document: str
    page: int | None
    probability: float

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What documents say to a question.

    ``best`` is the quote that answers it, None for "no answer"; ``probability`` (0 to 1) is the best one's, or that of
    "no answer" being right. ``conflicts`` are quotes of other documents that say something else and are at least half
    as probable, ``alternatives`` the other ones, best first; where there is no answer, the nearest quotes.
    """

    question: str
    best: Quote | None
    probability: float
    alternatives: tuple[Quote, ...] = ()
    conflicts: tuple[Quote, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As ``EVIDENCE_SCHEMA`` says."""
        return {
            "question": self.question,
            "best": None if self.best is None else self.best.to_json(),
            "probability": self.probability,
            "alternatives": [quote.to_json() for quote in self.alternatives],
            "conflicts": [quote.to_json() for quote in self.conflicts],
        }


_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_CHARACTER = {"type": "integer", "minimum": 0}
_QUOTE = {
    "type": "object",
    "properties": {
        "quote": {"type": "string", "minLength": 1},
        "start": _CHARACTER,
        "end": _CHARACTER,
        "sentence": {"type": "string", "minLength": 1},
        "sentence_start": _CHARACTER,
        "document": {"type": "string"},
        "page": {"type": ["integer", "null"], "minimum": 1},
        "probability": _PROBABILITY,
    },
    "required": ["quote", "start", "end", "sentence", "sentence_start", "document", "page", "probability"],
    "additionalProperties": False,
}
EVIDENCE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Evidence",
    "description": "What documents say to a question, in their own words. Characters are Unicode code points from 0.",
    "$defs": {"quote": _QUOTE},
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 1},
        "best": {"anyOf": [{"$ref": "#/$defs/quote"}, {"type": "null"}]},
        "probability": _PROBABILITY,
        "alternatives": {"type": "array", "items": {"$ref": "#/$defs/quote"}},
        "conflicts": {"type": "array", "items": {"$ref": "#/$defs/quote"}},
    },
    "required": ["question", "best", "probability", "alternatives", "conflicts"],
    "additionalProperties": False,
}


def gather(reading: Reading) -> Evidence:
    """A reading as evidence; with ``QAPipeline.ask`` conflicts between documents are told too."""
    quotes = [_quote(answer) for answer in reading.answers]
    if not quotes:
        nearest = tuple(_quote(candidate) for candidate in reading.candidates)
        return Evidence(reading.question, None, reading.no_answer.score, nearest)
    conflicts = set(reading.conflicts)
    return Evidence(
        question=reading.question,
        best=quotes[0],
        probability=quotes[0].probability,
        alternatives=tuple(one for place, one in enumerate(quotes) if place and place not in conflicts),
        conflicts=tuple(quotes[place] for place in reading.conflicts),
    )


def _quote(answer: Answer) -> Quote:
    return Quote(
        quote=answer.text,
        start=answer.start,
        end=answer.end,
        sentence=answer.context,
        sentence_start=answer.context_start,
        document=answer.document,
        page=answer.page,
        probability=answer.score,
    )
