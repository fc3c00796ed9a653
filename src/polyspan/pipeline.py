"""Many documents and a reader to ranked answers."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from polyspan.backends import BackendOptions, open_encoder
from polyspan.errors import InputError
from polyspan.folding import fold_answers
from polyspan.microbatch import MicroBatcher
from polyspan.reader import AUTO_LANGUAGE, EarlyStop, Reader, ReadOptions
from polyspan.retrieval import PassageRanking, RetrievalOptions, cut_passages
from polyspan.types import Document, Passage, Reading

_SPARE = 3


@runtime_checkable
class PassageRanker(Protocol):
    """Ranks the passages of a collection for a question, in memory or in an index."""

    def best(self, question: str, count: int) -> list[Passage]:
        """The ``count`` passages that suit the question most, best first; all, in any order, if there are no more."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How the best ranked passages are read.

    ``passages_read``: how many for each question, at most. ``stop_risk``, 0 (off) to 1: the reader stops earlier where
    its model's stop rule says that what is left changes the best answer, over questions like those of its fit, with no
    higher probability than this.
    """

    passages_read: int = 10
    stop_risk: float = 0.0

    def __post_init__(self) -> None:
        """Refuse to read nothing, and what is no risk."""
        if self.passages_read < 1:
            raise InputError(f"passages_read must be at least 1, not {self.passages_read}")
        if not 0 <= self.stop_risk < 1:
            raise InputError(f"stop_risk must be a probability from 0 (off) to below 1, not {self.stop_risk}")


class QAPipeline:
    """A collection of documents that is asked any number of questions."""

    def __init__(
        self, reader: Reader, documents: Iterable[Document] | PassageRanker, options: PipelineOptions | None = None
    ) -> None:
        """Documents are held in memory, cut once and ranked by BM25, unless what is given ranks passages itself.

        Raises InputError where there is a ``stop_risk`` and the model holds no stop rule that covers it.
        """
        self.reader = reader
        self.options = PipelineOptions() if options is None else options
        if not isinstance(documents, PassageRanker):
            documents = PassageRanking([passage for document in documents for passage in cut_passages(document)])
        self._ranker = documents
        self._stop = _early_stop(reader, self.options)

    @classmethod
    def from_index(
        cls,
        index: str | Path,
        model: str | Path | None = None,
        options: PipelineOptions | None = None,
        retrieval: RetrievalOptions | None = None,
        threads: int | None = None,
    ) -> "QAPipeline":
        """Open an index that ``polyspan index`` made, with its encoder, and a reader.

        Args:
            index: its folder, or its address in an object store.
            model: of the reader, as ``Reader.from_pretrained`` takes it.
            options: how passages are read.
            retrieval: how they are found.
            threads: how many reader and encoder use; None leaves the number to their runtime.

        Raises:
            PassageIndexError: where there is no such index, or it was made with another encoder.
            ModelError: where a model cannot be opened.
        """
        from polyspan.retrieval import IndexRanking, PassageStore  # LanceDB takes its time to import

        store, backend = PassageStore.open(index), BackendOptions(threads=threads)
        words = retrieval is not None and retrieval.ranking == "words"
        encoder = None if words else open_encoder(store.settings.encoder or None, backend)
        return cls(Reader.from_pretrained(model, backend), IndexRanking(store, encoder, retrieval), options)

    def ask(self, question: str, options: ReadOptions | None = None, batcher: MicroBatcher | None = None) -> Reading:
        """Answers from the passages that suit the question most; offsets are those of whole documents.

        Args:
            question: what is asked.
            options: None takes the reader's defaults.
            batcher: of the same reader; it reads this question together with those that other threads ask.

        Raises:
            InputError: if the question is empty; with a batcher also where there is a ``stop_risk``.
        """
        if batcher is None:
            ((_, reading),) = self.ask_stream([question], options)
            return reading
        if self._stop is not None:
            raise InputError("a batcher reads all passages; set stop_risk to 0, or ask without it")
        options = self.reader.defaults if options is None else options
        passages = self._ranker.best(question, self.options.passages_read)
        return fold_answers(batcher.read(question, passages, _wider(options)), passages, options.top_k)

    def ask_stream(
        self, questions: Iterable[str], options: ReadOptions | None = None, ranked: int = 0
    ) -> Iterator[tuple[list[Passage], Reading]]:
        """For each question, in order, the passages as they were ranked, best first, and what the reader found.

        ``ranked`` passages are told, more than are read if need be, but never fewer.
        """
        options = self.reader.defaults if options is None else options
        own = self.reader.settings.calibration.confidences
        if self._stop is not None and own and options.language in {*own, AUTO_LANGUAGE}:
            raise InputError(
                f"{self.reader.scorer.name} has probabilities of its own for {', '.join(own)}, which its stop rule "
                "does not know; leave the language out, or set stop_risk to 0 to read all passages"
            )
        waiting: deque[list[Passage]] = deque()

        def pairs() -> Iterator[tuple[str, list[Passage]]]:
            for question in questions:
                waiting.append(self._ranker.best(question, max(ranked, self.options.passages_read)))
                yield question, waiting[-1][: self.options.passages_read]

        for reading in self.reader.read_stream(pairs(), _wider(options), self._stop):
            passages = waiting.popleft()
            yield passages, fold_answers(reading, passages, options.top_k)


def _wider(options: ReadOptions) -> ReadOptions:
    """The same with more answers, as several may turn out to be one."""
    of_document = options.top_k if options.top_k_per_document is None else options.top_k_per_document
    of_window = of_document if options.top_k_per_window is None else options.top_k_per_window
    return replace(options, top_k=_SPARE * options.top_k, top_k_per_document=of_document, top_k_per_window=of_window)


def _early_stop(reader: Reader, options: PipelineOptions) -> EarlyStop | None:
    """When the reader stops, None where it reads everything."""
    if not options.stop_risk:
        return None
    rule = reader.settings.calibration.stop
    if rule is None:
        raise InputError(
            f"stop_risk {options.stop_risk:g}: {reader.scorer.name} has no stop rule; fit one with polyspan calibrate "
            "--early-stop, or set it to 0 to read all passages"
        )
    if options.passages_read > rule.passages:
        raise InputError(
            f"passages_read {options.passages_read}: the stop rule of {reader.scorer.name} was fitted for at most "
            f"{rule.passages}; read no more, or set stop_risk to 0"
        )
    limit = rule.limit(options.stop_risk)
    return EarlyStop(rule.after, lambda reading: any(answer.score > limit for answer in reading.answers[:1]))
