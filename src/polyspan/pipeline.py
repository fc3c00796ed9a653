"""Many documents and a reader to ranked answers."""

from collections.abc import Iterable
from dataclasses import dataclass

from polyspan.errors import InputError
from polyspan.reader import Reader, ReadOptions
from polyspan.retrieval import PassageRanking, cut_passages
from polyspan.types import Document, Reading


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """``passages_read``: how many of the best ranked passages the reader reads for each question."""

    passages_read: int = 10

    def __post_init__(self) -> None:
        """Refuse to read nothing."""
        if self.passages_read < 1:
            raise InputError(f"passages_read must be at least 1, not {self.passages_read}")


class QAPipeline:
    """Documents in memory, cut once, then asked any number of questions."""

    def __init__(self, reader: Reader, documents: Iterable[Document], options: PipelineOptions | None = None) -> None:
        self.reader = reader
        self.options = PipelineOptions() if options is None else options
        self._ranking = PassageRanking([passage for document in documents for passage in cut_passages(document)])

    def ask(self, question: str, options: ReadOptions | None = None) -> Reading:
        """Answers from the passages that share most with the question; offsets are those of whole documents."""
        return self.reader.read(question, self._ranking.best(question, self.options.passages_read), options)
