"""Questions on their way through a reader: what each reads, its windows, and what was found in them so far."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, TypeGuard

import numpy as np

from polyspan.decoding import Calibration, Candidate, Decoded
from polyspan.errors import InputError
from polyspan.features import PairTokenizer, Tokens, WindowSettings, make_windows, with_blocks
from polyspan.types import TITLE, Document, Int32Array, Passage, Readable, Reading, Span, Window

CACHED_CHARS = 4_000_000
TITLE_CHARS = 400


@dataclass(slots=True, eq=False)
class Task:
    """One question: what it reads, by which ``calibration`` it is answered, and what was found so far.

    ``ids`` are the question's tokens; ``contexts`` holds for each passage the position of the first one of the same
    document. ``windows`` are those of the first ``opened`` passages that were not taken yet, and ``taken`` says that
    none of them is left. ``decoded`` holds what was found in the order of the documents, whichever batches they were
    scored in: sums over it depend on that in their last digits. ``reading`` is there once no more is to be read.
    """

    question: str
    ids: Int32Array
    passages: list[Passage | None]
    calibration: Calibration
    notices: list[str] = field(default_factory=list)
    contexts: list[int] = field(init=False)
    windows: Iterator[Window] = field(default_factory=lambda: iter(()))
    opened: int = 0
    taken: bool = False
    decoded: list[Decoded] = field(default_factory=list)
    reading: Reading | None = None

    def __post_init__(self) -> None:
        """Number the documents."""
        first: dict[tuple[str, str | None], int] = {}
        self.contexts = [
            -1 if passage is None else first.setdefault(_identity(passage.document), number)
            for number, passage in enumerate(self.passages)
        ]

    @property
    def passages_read(self) -> int:
        """How many of the opened passages hold text."""
        return sum(passage is not None for passage in self.passages[: self.opened])

    def document_of(self, candidate: Candidate) -> Document:
        """The document that a span stands in, or that part of it which does."""
        for number, passage in enumerate(self.passages[candidate.context :], candidate.context):
            if passage is not None and self.contexts[number] == candidate.context:
                whole, span = passage.document.part_start is None, passage.span
                if whole or (span.start <= candidate.span.start and candidate.span.end <= span.end):
                    return passage.document
        raise AssertionError("a span that stands in no passage")

    def text_of(self, candidate: Candidate) -> str:
        """A span's characters."""
        return self.document_of(candidate).quote(candidate.span)


class WindowCutter:
    """Cuts what tasks read into windows; a text that several questions read one after another is tokenised once."""

    def __init__(self, tokenizer: PairTokenizer, settings: WindowSettings) -> None:
        self._tokenizer = tokenizer
        self._settings = settings
        self._tokens: OrderedDict[str, Tokens] = OrderedDict()
        self._chars = 0

    def open(self, task: Task, until: int | None = None) -> None:
        """Go on to the windows of a task's next passages, as far as passage ``until`` (exclusive), or all."""
        begin, task.opened = task.opened, len(task.passages[:until])
        task.windows, task.taken = self._windows(task, range(begin, task.opened)), False

    def _windows(self, task: Task, numbers: Iterable[int]) -> Iterator[Window]:
        template = self._tokenizer.template
        for number in numbers:
            passage = task.passages[number]
            if passage is not None:
                tokens = self._tokens_of(passage.text)
                if passage.span.start:
                    tokens = replace(tokens, offsets=tokens.offsets + np.int32(passage.span.start))
                title = self._title_before(passage)
                windows = make_windows(task.ids, tokens, template, self._settings, task.contexts[number], title)
                yield from (replace(one, handicap=passage.handicap) for one in windows) if passage.handicap else windows
        task.taken = True

    def _title_before(self, passage: Passage) -> Int32Array | None:
        """The token ids of its document's title, if it has one and the passage itself does not tell it."""
        title = passage.document.meta.get(TITLE)
        if not isinstance(title, str) or not title.strip() or title in passage.text:
            return None
        return self._tokens_of(f"{title[:TITLE_CHARS]}. ").ids

    def _tokens_of(self, text: str) -> Tokens:
        if text in self._tokens:
            self._tokens.move_to_end(text)
            return self._tokens[text]
        tokens = self._tokens[text] = with_blocks(self._tokenizer.encode(text), text)
        self._chars += len(text)
        while self._chars > CACHED_CHARS and len(self._tokens) > 1:
            self._chars -= len(self._tokens.popitem(last=False)[0])
        return tokens


def take_windows(tasks: deque[Task], coming: Iterable[Task]) -> Iterator[tuple[Task, Window]]:
    """Windows with the tasks that they belong to: first of ``tasks``, then of new ones, which are put behind them."""
    for task in tasks:
        yield from zip(repeat(task), task.windows)
    for task in coming:
        tasks.append(task)
        yield from zip(repeat(task), task.windows)


def as_passages(documents: Readable | Iterable[Readable]) -> list[Passage | None]:
    """What the caller gave, as passages in the same order; None for what holds no text.

    Raises:
        InputError: for anything that is no text, Document, Passage or mapping with "text".
    """
    given = list(documents) if is_collection(documents) else [documents]
    return [_as_passage(one, str(number)) for number, one in enumerate(given)]


def is_collection(value: object) -> TypeGuard[Iterable[Readable]]:
    """Whether it is several documents, and not one."""
    return isinstance(value, Iterable) and not isinstance(value, str | Mapping)


def checked_question(question: object) -> str:
    """The question; InputError where it is none."""
    if not isinstance(question, str) or not question.strip():
        raise InputError(f"a question must be a text with something in it, not {question!r:.80}")
    return question


def _identity(document: Document) -> tuple[str, str | None]:
    """What two passages of one document share: parts of it have different texts."""
    return document.id, document.text if document.part_start is None else None


def _as_passage(readable: Any, position: str) -> Passage | None:
    if isinstance(readable, Passage):
        return readable if readable.text.strip() else None
    if isinstance(readable, Mapping):
        meta = {key: value for key, value in readable.items() if key not in {"text", "id"}}
        identity = readable.get("id")
        readable = Document(readable.get("text") or "", position if identity is None else str(identity), meta=meta)
    if isinstance(readable, str):
        readable = Document(readable, position)
    if readable is None:
        return None
    if not isinstance(readable, Document) or not isinstance(readable.text, str):
        raise InputError(
            f"document {position} is a {type(readable).__name__}; expected a text, a Document, a Passage or a "
            'mapping with "text"'
        )
    if not readable.text.strip():
        return None
    document = readable if readable.id else replace(readable, id=position)
    return Passage(document, Span(0, len(document.text)))
