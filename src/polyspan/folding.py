"""Answers of several documents: what is said more than once is one answer, and what differs is told."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from polyspan.types import Answer, Passage, Reading, Source

RIVAL_SHARE = 0.5


def fold_answers(reading: Reading, passages: Iterable[Passage], count: int) -> Reading:
    """A reading in which no two answers of different documents read alike, with at most ``count`` answers.

    Of those that do, letter case and spaces aside, the first is kept; it names the others' places, and those in copies
    of its passage, under ``also``. ``conflicts`` are the places in ``answers`` of what differs from the best one (see
    ``rivals``).
    """
    read = list(passages)
    answers = _folded(reading.answers, read)[:count]
    candidates = _folded(reading.candidates, read)[:count]
    return replace(reading, answers=tuple(answers), candidates=tuple(candidates), conflicts=tuple(rivals(answers)))


def rivals(answers: Sequence[Answer]) -> list[int]:
    """Which answers contradict the first: of another document, at least half as probable, and neither holds the other.

    A text holds another one where its words, letter case aside, include all of the other's, in whatever order.
    """
    found = []
    for place, answer in enumerate(answers[1:], 1):
        first = answers[0]
        words, others = set(_reads(first.text).split()), set(_reads(answer.text).split())
        if (
            answer.document != first.document
            and answer.score >= RIVAL_SHARE * first.score
            and not (words <= others or others <= words)
        ):
            found.append(place)
    return found


def _folded(answers: Sequence[Answer], passages: Sequence[Passage]) -> list[Answer]:
    kept: dict[str, Answer] = {}
    separate: list[Answer] = []
    for answer in answers:
        text = _reads(answer.text)
        first = kept.get(text)
        if first is None:
            kept[text] = replace(answer, also=tuple(_in_copies(answer, passages)))
        elif any(one.document == answer.document for one in (first, *separate) if _reads(one.text) == text):
            separate.append(answer)
        else:
            place = Source(answer.document, answer.start, answer.end, answer.page)
            kept[text] = replace(first, also=(*first.also, place, *_in_copies(answer, passages)))
    order = {(one.document, one.start, one.end): rank for rank, one in enumerate(answers)}
    return sorted([*kept.values(), *separate], key=lambda one: order[one.document, one.start, one.end])


def _in_copies(answer: Answer, passages: Sequence[Passage]) -> Iterable[Source]:
    """Where the quote stands in the near-duplicates of its passage, at the most similar place of each."""
    for passage in passages:
        inside = passage.span.start <= answer.start and answer.end <= passage.span.end
        for copy in passage.copies if inside and passage.document.id == answer.document else ():
            place = _nearest(copy.text, answer.text, answer.start - passage.span.start)
            if place is not None:
                begin = copy.span.start + place
                yield Source(copy.document.id, begin, begin + len(answer.text), copy.document.page_at(begin))


def _nearest(text: str, quote: str, place: int) -> int | None:
    """Where ``quote`` begins in ``text``, as near to character ``place`` as it does; None where it does not."""
    before, after = text.rfind(quote, 0, place + len(quote)), text.find(quote, place)
    found = [one for one in (before, after) if one >= 0]
    return min(found, key=lambda one: abs(one - place), default=None)


def _reads(text: str) -> str:
    return " ".join(text.casefold().split())
