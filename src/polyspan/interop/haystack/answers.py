"""Haystack's documents to what a reader reads, and its quotes to Haystack's answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from haystack import Document, ExtractedAnswer

from polyspan import types
from polyspan.interop.haystack.pages import page_starts_of
from polyspan.interop.ranking import with_no_answer

HANDICAP = "handicap"
"""Of a document's meta: what ``Passage`` calls so, in logits."""

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Showing:
    """What is shown of a reading: ``top_k`` answers, and "no answer" if it is allowed.

    ``threshold`` is the null margin, in logits, above which it is chosen; None where the model knows none.
    ``calibration_factor`` makes the logistic function of so many times an answer's logits its score, in place of its
    probability; what has a score below ``score_threshold`` is left out.
    """

    top_k: int
    no_answer: bool
    threshold: float | None = None
    score_threshold: float | None = None
    calibration_factor: float | None = None


def readable(documents: Sequence[Document]) -> list[types.Passage]:
    """The same texts, None as empty ones; their ids are their positions, as those of the caller may occur twice."""
    passages = []
    for number, document in enumerate(documents):
        text, handicap = document.content or "", document.meta.get(HANDICAP)
        whole = types.Document(text, str(number), page_starts_of(document))
        known = float(handicap) if isinstance(handicap, int | float) else 0.0
        passages.append(types.Passage(whole, types.Span(0, len(text)), handicap=known))
    return passages


def sources(documents: Sequence[Document]) -> int:
    """How many texts the documents are parts of."""
    return len({_place(document, 0, 0)[0] for document in documents})


def answers_of(reading: types.Reading, documents: Sequence[Document], showing: Showing) -> list[ExtractedAnswer]:
    """Answers, best first, each place once, also where documents are parts of one text that share some of it.

    Args:
        reading: of the documents as ``readable`` gives them, with all its answers, whether or not there is one.
        documents: what was read.
        showing: what is shown of it.
    """
    kept: dict[Place, ExtractedAnswer] = {}
    for found in reading.answers:
        document = documents[int(found.document)]
        kept.setdefault(_place(document, found.start, found.end), _answer(reading.question, found, document, showing))
    ranked = sorted(list(kept.values())[: showing.top_k], key=_score, reverse=True)
    if showing.no_answer:
        margin = reading.no_answer.null_margin
        chosen = showing.threshold is not None and margin > showing.threshold
        none = ExtractedAnswer(query=reading.question, score=reading.no_answer.score)
        ranked = with_no_answer(ranked, none, chosen, _score)
    return [one for one in ranked if showing.score_threshold is None or one.score >= showing.score_threshold]


def _answer(query: str, found: types.Answer, document: Document, showing: Showing) -> ExtractedAnswer:
    score, factor = found.score, showing.calibration_factor
    if factor is not None:
        score = (1 + math.tanh(factor * found.raw_score / 2)) / 2  # the logistic function, which cannot overflow so
    return ExtractedAnswer(
        query=query,
        score=score,
        data=found.text,
        document=document,
        context=found.context,
        document_offset=ExtractedAnswer.Span(found.start, found.end),
        context_offset=ExtractedAnswer.Span(found.start - found.context_start, found.end - found.context_start),
        meta={} if found.page is None else {"answer_page_number": found.page},
    )


def _score(answer: ExtractedAnswer) -> float:
    return answer.score


def _place(document: Document, start: int, end: int) -> Place:
    """Where a span stands in the text that a document is, or was split from."""
    source, begin = document.meta.get("source_id"), document.meta.get("split_idx_start")
    if isinstance(source, str) and isinstance(begin, int):
        return source, begin + start, begin + end
    return document.id, start, end
