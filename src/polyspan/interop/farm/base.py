"""What both readers of Haystack 1 share: their ways of being asked."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from polyspan import types
from polyspan.errors import InputError
from polyspan.interop.farm.results import Showing, answers_of
from polyspan.interop.farm.schema import Answer, Document, as_document
from polyspan.reader import Reader, ReadOptions

Asked = tuple[str, Sequence[Document]]


class BaseReader(ABC):
    """Questions and documents to answers. ``reader`` is the ``polyspan.Reader`` behind it."""

    reader: Reader
    top_k: int
    return_no_answers: bool

    @abstractmethod
    def _read_options(self, top_k: int, batch_size: int | None) -> ReadOptions:
        """How documents are read."""

    @abstractmethod
    def _showing(self, top_k: int) -> Showing:
        """What is shown of it."""

    def predict(self, query: str, documents: Iterable[Any], top_k: int | None = None) -> dict[str, Any]:
        """Answers to one question from all documents together.

        Args:
            query: the question.
            documents: ``Document``s, or texts, mappings and other libraries' documents. Those without text are skipped.
            top_k: answers at most; None: the reader's own.

        Returns:
            "query", "answers", best first, and "no_ans_gap": by how many logits ``no_ans_boost`` has to rise until the
            answer becomes "no answer"; below 0 where it is.
        """
        ((answers, gap),) = self._answers([(query, [as_document(one) for one in documents])], top_k)
        return {"query": query, "no_ans_gap": gap, "answers": answers}

    def predict_batch(
        self, queries: Sequence[str], documents: Sequence[Any], top_k: int | None = None, batch_size: int | None = None
    ) -> dict[str, Any]:
        """Answers to many questions.

        Args:
            queries: the questions.
            documents: a flat list, of which every document is asked every question for itself; or a list of documents
                for each question, or several lists for a single question, which are each read together.
            top_k: answers at most of each; None: the reader's own.
            batch_size: windows that are scored at once.

        Returns:
            "queries", "no_ans_gaps", and "answers": a list for each list of documents. For a flat list of documents it
            is a list for each document, or, for several questions, for each question a list for each document.
        """
        if isinstance(queries, str):
            raise InputError("queries must be a list of questions, not a single text")
        grouped = [one for one in documents if isinstance(one, list | tuple)]
        if len(grouped) not in (0, len(documents)):
            raise InputError("documents must be one flat list or a list of lists, not a mixture")
        if grouped:
            asked = list(queries) * len(grouped) if len(queries) == 1 else list(queries)
            if len(asked) != len(grouped):
                raise InputError(
                    f"{len(queries)} questions and {len(grouped)} lists of documents; give one list for each"
                )
            pairs = [(query, [as_document(one) for one in group]) for query, group in zip(asked, grouped, strict=True)]
        else:
            single = [as_document(one) for one in documents]
            pairs = [(query, [document]) for query in queries for document in single]
        found = self._answers(pairs, top_k, batch_size)
        answers: list[Any] = [one for one, _ in found]
        if not grouped and len(queries) > 1:
            answers = [answers[i * len(documents) : (i + 1) * len(documents)] for i in range(len(queries))]
        return {"queries": queries, "answers": answers, "no_ans_gaps": [gap for _, gap in found]}

    def predict_on_texts(self, question: str, texts: Iterable[str], top_k: int | None = None) -> dict[str, Any]:
        """As ``predict``, from plain texts."""
        return self.predict(question, [Document(text) for text in texts], top_k)

    def run(self, query: str, documents: Sequence[Any], top_k: int | None = None) -> tuple[dict[str, Any], str]:
        """As ``predict``, in the form of a pipeline's node."""
        return self.predict(query, documents, top_k), "output_1"

    def run_batch(
        self, queries: Sequence[str], documents: Sequence[Any], top_k: int | None = None, batch_size: int | None = None
    ) -> tuple[dict[str, Any], str]:
        """As ``predict_batch``, in the form of a pipeline's node."""
        return self.predict_batch(queries, documents, top_k, batch_size), "output_1"

    def _answers(
        self, asked: Sequence[Asked], top_k: int | None, batch_size: int | None = None
    ) -> list[tuple[list[Answer], float]]:
        """For each question its answers and its gap; what the reader had to do to its input becomes a warning."""
        count = self.top_k if top_k is None else top_k
        options, showing = self._read_options(count, batch_size), self._showing(count)
        pairs = ((query, _readable(documents)) for query, documents in asked)
        found = []
        for (query, documents), reading in zip(asked, self.reader.read_stream(pairs, options), strict=True):
            for notice in reading.notices:
                warnings.warn(notice, UserWarning, stacklevel=3)
            found.append(answers_of(reading, self.reader.threshold(options, query), documents, showing))
        return found


def _readable(documents: Sequence[Document]) -> list[types.Document]:
    """The same texts; their ids are their positions, as those of the caller may occur twice."""
    return [types.Document(document.content, str(number)) for number, document in enumerate(documents)]
