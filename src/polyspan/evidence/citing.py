"""Answers of a fixed form: quotes, numbered, with their sources."""

from dataclasses import dataclass
from typing import Any

from polyspan.evidence.objects import Evidence, Quote

LEAST = 0.1


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """A ``text`` of quotes and fixed words alone, and what its numbers [1], [2] … stand for, in that order."""

    text: str
    citations: tuple[Quote, ...]

    def to_json(self) -> dict[str, Any]:
        """Text and citations as plain values."""
        return {"text": self.text, "citations": [quote.to_json() for quote in self.citations]}

    def __str__(self) -> str:
        """The text, and under it each number's source and sentence."""
        return "\n".join([self.text, *(_line(number, quote) for number, quote in enumerate(self.citations, 1))])


def cite(evidence: Evidence, least: float = LEAST) -> CitedAnswer:
    """An answer with numbered citations; every word of it that is not one of these is quoted.

    "“Q” [1]." is the answer; "Elsewhere: “R” [2]." follows where other documents contradict it, "Also: “S” [3]." where
    there are more answers; "No answer in these documents." stands alone.

    Args:
        evidence: what ``gather`` made of a reading.
        least: probability (0 to 1) from which an alternative is told.
    """
    if evidence.best is None:
        return CitedAnswer("No answer in these documents.", ())
    also = [quote for quote in evidence.alternatives if quote.probability >= least]
    citations, sentences = [], []
    for words, quotes in (("", [evidence.best]), ("Elsewhere: ", evidence.conflicts), ("Also: ", also)):
        parts = []
        for quote in quotes:
            citations.append(quote)
            parts.append(f"“{_in_a_line(quote.quote)}” [{len(citations)}]")
        if parts:
            sentences.append(f"{words}{'; '.join(parts)}.")
    return CitedAnswer(" ".join(sentences), tuple(citations))


def _line(number: int, quote: Quote) -> str:
    page = "" if quote.page is None else f", page {quote.page}"
    place = f"{quote.document}{page}, characters {quote.start} to {quote.end}"
    return f"[{number}] {place}: “{_in_a_line(quote.sentence)}”"


def _in_a_line(text: str) -> str:
    return " ".join(text.split())
