"""The most confident errors, and the places in their contexts that tell why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from polyspan.decoding import snippet_span
from polyspan.evaluation.predictions import Prediction
from polyspan.evaluation.reports import Graded
from polyspan.types import QAExample, Span

_WHOLE = 600  # characters; longer contexts are cut
_AROUND = 150  # characters on either side of a place that stay at least
_MORE = 200  # characters that a sentence may still take to be whole


@dataclass(frozen=True, slots=True)
class WorstError:
    """A question, in an answer's ``language`` ("" where not known), with a wrong prediction."""

    dataset: str
    language: str
    example: QAExample
    row: Prediction


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a context, the ``roles`` that it plays, and those of them that begin with it.

    ``text`` is empty where something was left out.
    """

    text: str
    roles: tuple[str, ...] = ()
    beginning: tuple[str, ...] = ()


def wrong_answers(sets: Iterable[Graded]) -> list[WorstError]:
    """All answers that are not exactly right, also those to unanswerable questions, the most probable first."""
    return _worst(sets, abstained=False)


def wrong_abstentions(sets: Iterable[Graded]) -> list[WorstError]:
    """All answerable questions that the reader abstained from, the most probable abstention first."""
    return _worst(sets, abstained=True)


def gold_spans(example: QAExample) -> list[Span]:
    """Where the gold answers stand, as far as their places hold their texts."""
    return [
        Span(answer.start, answer.start + len(answer.text))
        for answer in example.answers
        if answer.text and answer.start >= 0 and example.context.startswith(answer.text, answer.start)
    ]


def predicted_span(error: WorstError) -> list[Span]:
    """Where the best span stands, unless there is none."""
    row = error.row
    stands = row.text and row.start >= 0 and error.example.context[row.start : row.end] == row.text
    return [Span(row.start, row.end)] if stands else []


def context_pieces(context: str, places: Mapping[str, Sequence[Span]]) -> list[Piece]:
    """The context in pieces, parted where a role in ``places`` (role to its spans) begins or ends.

    Spans of one role that overlap are one. Of a long context only what is around the places is left, or its beginning
    where there are none.
    """
    joined = {role: _joined(spans) for role, spans in places.items()}
    spans = [span for role in joined.values() for span in role]
    shown = _shown(context, spans)
    ends = {end for span in (*spans, *shown) for end in (span.start, span.end)}
    pieces: list[Piece] = []
    for part in shown:
        if part.start > 0:
            pieces.append(Piece(""))
        for start, end in pairwise(sorted(end for end in ends if part.start <= end <= part.end)):
            covering = {role: [one for one in own if one.start <= start < one.end] for role, own in joined.items()}
            roles = tuple(role for role, own in covering.items() if own)
            beginning = tuple(role for role in roles if covering[role][0].start == start)
            pieces.append(Piece(context[start:end], roles, beginning))
    return pieces if shown[-1].end == len(context) else [*pieces, Piece("")]


def _worst(sets: Iterable[Graded], *, abstained: bool) -> list[WorstError]:
    errors = [
        WorstError(str(graded.questions.source["dataset"]), language, example, row)
        for graded in sets
        for example, language, row, right in zip(
            graded.questions.examples, graded.questions.languages, graded.rows, graded.right, strict=True
        )
        if row.abstained is abstained and not right
    ]
    return sorted(errors, key=lambda error: -error.row.probability)


def _shown(context: str, spans: Sequence[Span]) -> list[Span]:
    """What is shown of a context, in order and apart."""
    if len(context) <= _WHOLE:
        return [Span(0, len(context))]
    around = [Span(max(0, one.start - _AROUND), min(len(context), one.end + _AROUND)) for one in spans]
    around = around or [Span(0, 2 * _AROUND)]
    return _joined(snippet_span(context, one, one.end - one.start + _MORE) for one in around)


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same characters in as few spans as can be, in order."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(span.end, joined[-1].end))
        else:
            joined.append(span)
    return joined
