"""A reader's quotes as Haystack 1's answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from polyspan import types
from polyspan.interop.farm.schema import Answer, Document, Span
from polyspan.interop.ranking import with_no_answer

NOTHING_READ = -1024.0
"""The gap of a question of which no document holds a text, in logits."""

ContextOf = Callable[[str, types.Span], types.Span]
"""The part of a text that is shown around a span."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What is shown of a reading.

    ``context_of`` cuts the context, ``as_probability`` says whether scores are probabilities or sums of logits,
    ``least_score`` what they have to be at least; ``top_k`` answers at most, "no answer" among them if
    ``return_no_answer``. Of two answers in a document whose first or last tokens are no more than ``apart`` tokens from
    each other the worse one goes, by what ``token_of`` numbers the characters of a text with; None: none goes.
    """

    top_k: int
    return_no_answer: bool
    context_of: ContextOf
    as_probability: bool = True
    least_score: float | None = None
    apart: int | None = None
    token_of: Callable[[str], Callable[[int], int]] | None = None


def answers_of(
    reading: types.Reading, threshold: float | None, documents: Sequence[Document], showing: Showing
) -> tuple[list[Answer], float]:
    """Answers, best first, and the gap: by how many logits an answer leads over "no answer", below 0 if it does not.

    Args:
        reading: of the documents, whose ids are their positions.
        threshold: the null margin, in logits, above which it is "no answer"; None where the model knows none.
        documents: what was read.
        showing: the rest.
    """
    read = reading.answers or reading.candidates
    kept = _apart(_without_overlaps(read, documents), documents, showing)
    answers = [_answer(one, documents[int(one.document)], showing) for one in kept]
    margin = reading.no_answer.null_margin
    gap = (0.0 if threshold is None else threshold) - margin if read else NOTHING_READ
    if showing.return_no_answer:
        score = reading.no_answer.score
        if not showing.as_probability:
            score = read[0].raw_score + margin if read else -NOTHING_READ
        answers = with_no_answer(answers, no_answer(score), reading.no_answer.chosen, lambda one: one.score or 0.0)
    shown = [one for one in answers if showing.least_score is None or (one.score or 0.0) >= showing.least_score]
    return shown[: showing.top_k], gap


def no_answer(score: float) -> Answer:
    """What Haystack 1 gave for "no answer": empty text from 0 to 0, of no document."""
    return Answer("", score=score, offsets_in_document=[Span(0, 0)], offsets_in_context=[Span(0, 0)])


def centred(size: int) -> ContextOf:
    """Contexts of ``size`` characters with the span in their middle, or as near to it as the text allows.

    A longer span stands alone.
    """

    def context_of(text: str, span: types.Span) -> types.Span:
        length = span.end - span.start
        wanted = max(size, length)
        start = max(0, min(span.start - (wanted - length) // 2, len(text) - wanted))
        return types.Span(start, min(len(text), start + wanted))

    return context_of


def on_each_side(size: int) -> ContextOf:
    """Contexts with ``size`` characters before and behind the span, where there are as many."""
    return lambda text, span: types.Span(max(0, span.start - size), min(len(text), span.end + size))


def _answer(found: types.Answer, document: Document, showing: Showing) -> Answer:
    context = showing.context_of(document.content, types.Span(found.start, found.end))
    meta = dict(document.meta)
    if isinstance(meta.get("page_number"), int):
        meta["answer_page_number"] = meta["page_number"] + document.content.count("\f", 0, found.start)
    return Answer(
        answer=found.text,
        score=found.score if showing.as_probability else found.raw_score,
        context=document.content[context.start : context.end],
        offsets_in_document=[Span(found.start, found.end)],
        offsets_in_context=[Span(found.start - context.start, found.end - context.start)],
        document_ids=[document.id],
        meta=meta,
    )


def _without_overlaps(answers: Iterable[types.Answer], documents: Sequence[Document]) -> list[types.Answer]:
    """Answers without the worse one of two at one place of two documents that share a part.

    Documents that were split with an overlap say so in ``meta["_split_overlap"]``: a list of mappings with the other
    one's ``doc_id`` and the ``range`` of characters that this one shares with it.
    """
    kept: list[types.Answer] = []
    places: set[tuple[str, int, int]] = set()
    for answer in answers:
        document = documents[int(answer.document)]
        here = (document.id, answer.start, answer.end)
        same = {here, *_elsewhere(answer, document, documents)}
        if places.isdisjoint(same):
            kept.append(answer)
            places.add(here)
    return kept


def _elsewhere(
    answer: types.Answer, document: Document, documents: Sequence[Document]
) -> Iterable[tuple[str, int, int]]:
    """The same place in documents that share the answer's part with its own."""
    for start, end, other in _shared(document):
        if not (start <= answer.start and answer.end <= end):
            continue
        for candidate in documents:
            if candidate.id == other:
                for begin, _, back in _shared(candidate):
                    if back == document.id:
                        yield other, answer.start - start + begin, answer.end - start + begin


def _shared(document: Document) -> Iterable[tuple[int, int, str]]:
    for overlap in document.meta.get("_split_overlap") or ():
        if isinstance(overlap, Mapping) and "doc_id" in overlap and len(overlap.get("range", ())) == 2:
            yield int(overlap["range"][0]), int(overlap["range"][1]), str(overlap["doc_id"])


def _apart(answers: Sequence[types.Answer], documents: Sequence[Document], showing: Showing) -> list[types.Answer]:
    """Answers without those whose first or last token is too near to a better one's in the same document."""
    if showing.apart is None or showing.token_of is None:
        return list(answers)
    kept: list[types.Answer] = []
    ends: dict[str, list[tuple[int, int]]] = {}
    for answer in answers:
        token_at = showing.token_of(documents[int(answer.document)].content)
        first, last = token_at(answer.start), token_at(answer.end - 1)
        rivals = ends.setdefault(answer.document, [])
        if all(min(abs(first - one), abs(last - other)) > showing.apart for one, other in rivals):
            kept.append(answer)
            rivals.append((first, last))
    return kept
