"""Many documents and a reader to ranked answers."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from polyspan.errors import InputError
from polyspan.reader import Reader, ReadOptions
from polyspan.retrieval import PassageRanking, cut_passages
from polyspan.types import Document, Passage, Reading


@runtime_checkable
class PassageRanker(Protocol):
    """Ranks the passages of a collection for a question, in memory or in an index."""

    def best(self, question: str, count: int) -> list[Passage]:
        """The ``count`` passages that suit the question most, best first; all, in any order, if there are no more."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """``passages_read``: how many of the best ranked passages the reader reads for each question."""

    passages_read: int = 10

    def __post_init__(self) -> None:
        """Refuse to read nothing."""
        if self.passages_read < 1:
            raise InputError(f"passages_read must be at least 1, not {self.passages_read}")


class QAPipeline:
    """A collection of documents that is asked any number of questions."""

    def __init__(
        self, reader: Reader, documents: Iterable[Document] | PassageRanker, options: PipelineOptions | None = None
    ) -> None:
        """Documents are held in memory, cut once and ranked by BM25, unless what is given ranks passages itself."""
        self.reader = reader
        self.options = PipelineOptions() if options is None else options
        if not isinstance(documents, PassageRanker):
            documents = PassageRanking([passage for document in documents for passage in cut_passages(document)])
        self._ranker = documents

    def ask(self, question: str, options: ReadOptions | None = None) -> Reading:
        """Answers from the passages that suit the question most; offsets are those of whole documents."""
        ((_, reading),) = self.ask_stream([question], options)
        return reading

    def ask_stream(
        self, questions: Iterable[str], options: ReadOptions | None = None, ranked: int = 0
    ) -> Iterator[tuple[list[Passage], Reading]]:
        """For each question, in order, the passages as they were ranked, best first, and what the reader found.

        ``ranked`` passages are told, more than are read if need be, but never fewer.
        """
        waiting: deque[list[Passage]] = deque()

        def pairs() -> Iterator[tuple[str, list[Passage]]]:
            for question in questions:
                waiting.append(self._ranker.best(question, max(ranked, self.options.passages_read)))
                yield question, waiting[-1][: self.options.passages_read]

        for reading in self.reader.read_stream(pairs(), options):
            yield waiting.popleft(), reading
