"""Whether documents support what somebody, or some program, answered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from polyspan.errors import InputError
from polyspan.evidence.agreement import Agreement, compare
from polyspan.evidence.highlighting import Highlight, HighlightOptions, highlight_all
from polyspan.reader import Reader
from polyspan.types import Readable

VerdictName = Literal["supported", "contradicted", "insufficient"]
RIVAL_SHARE = 0.5
CONFIDENT = 0.65
LEAST = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What documents say about an answer.

    ``verdict`` is "supported" where a quote says it, "contradicted" where a confident quote says something else,
    "insufficient" where neither is so. ``quote`` is that quote, or the most probable one of those that do not decide;
    None without any. ``probability`` (0 to 1) is that of an answer standing at the quote; for "insufficient" that of
    none that decides. ``others`` are further quotes, also those that say otherwise, most probable first.
    """

    verdict: VerdictName
    probability: float
    quote: Highlight | None
    others: tuple[Highlight, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {
            "verdict": self.verdict,
            "probability": self.probability,
            "quote": None if self.quote is None else self.quote.to_json(),
            "others": [one.to_json() for one in self.others],
        }


def supports(
    question: str,
    answer_text: str,
    documents: Readable | Iterable[Readable],
    reader: Reader | None = None,
    options: HighlightOptions | None = None,
) -> Verdict:
    """Check an answer against documents: every quote that answers the question is compared with it.

    It is "supported" where a quote agrees that is at least half as probable as the best of the others, else
    "contradicted" where the best says something else with a probability of 0.65 or more. What is compared are numbers,
    names and words (see ``polyspan.evidence.agreement.compare``), so a paraphrase or a translation is "insufficient"
    or "contradicted", never "supported"; yes and no are no quotes, and always "insufficient".

    Args:
        question: what was asked.
        answer_text: what was answered, a few words or a sentence.
        documents: as ``Reader.read`` takes them.
        reader: None for the one that comes with polyspan.
        options: how quotes are found, spans whatever its level says; None for those of a probability of 0.5 or more.

    Raises:
        InputError: if the question or the answer has no text in it.
    """
    if not isinstance(answer_text, str) or not any(character.isalnum() for character in answer_text):
        raise InputError(f"answer_text must be a text with letters or digits in it, not {answer_text!r:.80}")
    options = HighlightOptions(min_probability=LEAST) if options is None else replace(options, level="span")
    found = sorted(highlight_all(question, documents, reader, options), key=lambda one: -one.probability)
    compared = [(one, compare(answer_text, one.text, one.sentence, question)) for one in found]
    if parts := [one for one, agreement in compared if agreement is Agreement.MORE]:
        together = " ".join(one.sentence for one in parts)
        compared = [
            (one, compare(answer_text, one.text, together, question) if one in parts else agreement)
            for one, agreement in compared
        ]
    same = _best(compared, Agreement.SAME)
    other = _best(compared, Agreement.OTHER)
    if same is not None and (other is None or same.probability >= RIVAL_SHARE * other.probability):
        return _verdict("supported", same, found)
    if other is not None and other.probability >= CONFIDENT:
        return _verdict("contradicted", other, found)
    nearest = found[0] if found else None
    decided = max((one.probability for one in (same, other) if one is not None), default=0.0)
    return replace(_verdict("insufficient", nearest, found), probability=1 - decided)


def _best(compared: Sequence[tuple[Highlight, Agreement]], wanted: Agreement) -> Highlight | None:
    return next((one for one, agreement in compared if agreement is wanted), None)


def _verdict(name: VerdictName, quote: Highlight | None, found: Sequence[Highlight]) -> Verdict:
    others = tuple(one for one in found if one is not quote)
    return Verdict(name, 0.0 if quote is None else quote.probability, quote, others)
