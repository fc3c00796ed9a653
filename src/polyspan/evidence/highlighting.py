"""Every place of a text that answers a question, not the best alone."""

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from polyspan.errors import InputError
from polyspan.reader import Reader, ReadOptions
from polyspan.retrieval.passages import PASSAGE_BYTES, cut_passages
from polyspan.tasks import as_passages, checked_question
from polyspan.types import Document, Passage, Readable, Reading, Span

_SENTENCE_END = re.compile(
    r"""(?:[.!?…؟।۔]["'”’»)\]]*(?=\s)   # the end of a sentence, with what closes it
    |[。！？][」』”）]*
    |\n(?=\s*\n)                         # of a paragraph
    |\n(?=[ \t]*(?:[-*•–]|\d+[.)])[ \t]) # of the line before an item of a list
    )\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class HighlightOptions:
    """What is highlighted.

    ``level`` "span" marks the words that answer, "sentence" their whole sentences. ``min_probability`` (0 to 1) is the
    least one of what is marked; None marks the first where the reader does not say "no answer", and others from 0.5 on.
    ``places`` is how many of one passage are marked at most.
    """

    level: Literal["span", "sentence"] = "span"
    min_probability: float | None = None
    places: int = 20

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.level not in ("span", "sentence"):
            raise InputError(f"level must be 'span' or 'sentence', not {self.level!r}")
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise InputError(f"min_probability must be from 0 to 1, not {self.min_probability!r}")
        if not isinstance(self.places, int) or self.places < 1:
            raise InputError(f"places must be a whole number of at least 1, not {self.places!r}")


@dataclass(frozen=True, slots=True)
class Highlight:
    """A place that answers: ``document text[start:end] == text``.

    ``sentence`` is the one around it and begins at character ``sentence_start``. ``probability`` (0 to 1) is that of
    an answer standing there. ``document`` is the document's id; ``page`` counts from 1.
    """

    text: str
    start: int
    end: int
    probability: float
    sentence: str
    sentence_start: int
    document: str = ""
    page: int | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


def highlight(
    question: str, text: str | Document, reader: Reader | None = None, options: HighlightOptions | None = None
) -> list[Highlight]:
    """Every place of one text that answers, in the order of the text; none overlap, each in a sentence of its own.

    The reader reads the text; the sentence of its best answer is cut out, and it reads what is left, until it finds
    nothing. So a second place is not held back by the first, nor by saying the same. As most texts answer once, each
    further place must hold when its sentence is read alone, too: its probability lies between those of both readings.

    Args:
        question: any language of the reader's.
        text: of any length; it is read in passages, each for itself.
        reader: None for the one that comes with polyspan.
        options: None for the defaults.

    Raises:
        InputError: if the question has no text in it.
    """
    return highlight_all(question, [text], reader, options)


def highlight_all(
    question: str,
    documents: Readable | Iterable[Readable],
    reader: Reader | None = None,
    options: HighlightOptions | None = None,
) -> list[Highlight]:
    """``highlight`` for many documents, as ``Reader.read`` takes them; those without text are skipped."""
    checked_question(question)
    reader = Reader.from_pretrained() if reader is None else reader
    options = HighlightOptions() if options is None else options
    rests = [
        _Rest(piece, (piece.span,)) for whole in as_passages(documents) if whole is not None for piece in _pieces(whole)
    ]
    found: list[list[Highlight]] = [[] for _ in rests]
    going = dict(enumerate(rests))
    reading = replace(reader.defaults, top_k=1, return_no_answer=True)
    abstains = reader.threshold(reading, question) is not None
    for number in range(options.places if abstains else 1):
        asking = _Round(question, reader, reading, options, first=number == 0)
        readings = reader.read_stream([(question, [rest.document]) for rest in going.values()], reading)
        further = {}
        for (piece, rest), read in zip(going.items(), readings, strict=True):
            place = asking.place(rest, read)
            if place is not None:
                found[piece].append(_highlight(rest.passage.document, place, options))
                further[piece] = rest.without(place.sentence)
        going = {piece: rest for piece, rest in further.items() if rest.text.strip()}
    return [one for of_piece in found for one in sorted(of_piece, key=lambda one: one.start)]


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left of a passage: pieces of its document, in order."""

    passage: Passage
    pieces: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The pieces, one behind the other."""
        return "".join(self.passage.document.quote(piece) for piece in self.pieces)

    @property
    def document(self) -> Document:
        """The same as a document of its own."""
        return Document(self.text, meta=self.passage.document.meta)

    def whole(self, span: Span) -> Span:
        """Where a span of ``text`` stands in the document; of one that runs over a cut, the longest part."""
        parts, begin = [], 0
        for piece in self.pieces:
            end = begin + piece.end - piece.start
            low, high = max(begin, span.start), min(end, span.end)
            if low < high:
                parts.append(Span(piece.start + low - begin, piece.start + high - begin))
            begin = end
        return max(parts, key=lambda part: part.end - part.start)

    def without(self, cut: Span) -> "_Rest":
        """The same without the characters of ``cut``."""
        pieces = []
        for piece in self.pieces:
            before = Span(piece.start, min(piece.end, cut.start))
            after = Span(max(piece.start, cut.end), piece.end)
            pieces += [part for part in (before, after) if part.start < part.end]
        return replace(self, pieces=tuple(pieces))


def _pieces(passage: Passage) -> list[Passage]:
    """A passage as passages that a reader takes in one window."""
    begin, document = passage.span.start, passage.document
    cut = cut_passages(Document(passage.text), PASSAGE_BYTES)
    return [replace(passage, document=document, span=Span(begin + one.span.start, begin + one.span.end)) for one in cut]


@dataclass(frozen=True, slots=True)
class _Place:
    """A span of a document in its sentence, and the probability that an answer stands there."""

    span: Span
    sentence: Span
    probability: float


@dataclass(frozen=True, slots=True)
class _Round:
    """How what is left of a passage is asked."""

    question: str
    reader: Reader
    reading: ReadOptions
    options: HighlightOptions
    first: bool

    def place(self, rest: _Rest, read: Reading) -> _Place | None:
        """Where the answer to what is left stands, if it counts.

        After the first, and where an answer runs over the end of a sentence, the sentence is read alone, too.
        """
        best = next(iter(read.answers or read.candidates), None)
        if best is None:
            return None
        span, probability = rest.whole(Span(best.start, best.end)), 1 - read.no_answer.score
        sentences = _sentences(rest.passage, span)
        found = _Place(span, sentences[0], probability)
        if not self.first or len(sentences) > 1:
            alone = max((self._alone(rest.passage.document, one) for one in sentences), key=lambda one: one.probability)
            found = alone if len(sentences) > 1 else found
            found = replace(found, probability=probability if self.first else _between(probability, alone.probability))
        if self.first and self.options.min_probability is None:
            return found if read.answers else None
        least = 0.5 if self.options.min_probability is None else self.options.min_probability
        return found if found.probability >= least else None

    def _alone(self, document: Document, sentence: Span) -> _Place:
        """What a sentence says by itself; all of it where that is nothing."""
        read = self.reader.read(self.question, document.quote(sentence), self.reading)
        best = next(iter(read.answers or read.candidates), None)
        span = sentence if best is None else Span(sentence.start + best.start, sentence.start + best.end)
        return _Place(span, sentence, 1 - read.no_answer.score)


def _between(one: float, other: float) -> float:
    """The probability whose log odds lie in the middle of those of two."""
    yes, no = math.sqrt(one * other), math.sqrt((1 - one) * (1 - other))
    return yes / (yes + no) if yes + no else 0.5


def _sentences(passage: Passage, place: Span) -> list[Span]:
    """The sentences of the passage that a place touches, each with the space behind it."""
    begin, text = passage.span.start, passage.text
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    all_spans = (Span(begin + start, begin + end) for start, end in pairwise(cuts) if start < end)
    return [span for span in all_spans if span.start < place.end and place.start < span.end]


def _highlight(document: Document, place: _Place, options: HighlightOptions) -> Highlight:
    whole = document.quote(place.sentence)
    start = place.sentence.start + len(whole) - len(whole.lstrip())
    sentence = Span(start, start + len(whole.strip()))
    marked = place.span if options.level == "span" else sentence
    return Highlight(
        text=document.quote(marked),
        start=marked.start,
        end=marked.end,
        probability=place.probability,
        sentence=document.quote(sentence),
        sentence_start=sentence.start,
        document=document.id,
        page=document.page_at(marked.start),
    )
