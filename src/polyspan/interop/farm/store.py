"""Haystack 1's document store in memory."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from polyspan.datasets import read_squad
from polyspan.errors import InputError
from polyspan.interop.farm.filters import matches
from polyspan.interop.farm.schema import Answer, Document, Label, Span
from polyspan.interop.farm.words import WordRanking
from polyspan.types import FloatArray, QAExample

if TYPE_CHECKING:
    from polyspan.interop.farm.retrievers import EmbeddingRetriever

Scores = npt.NDArray[np.floating[Any]]

_DUPLICATES = ("overwrite", "skip", "fail")
_SIMILARITIES = ("dot_product", "cosine")


@dataclass(eq=False)
class InMemoryDocumentStore:
    """Documents and labels in named indexes, ranked by shared words or by vectors.

    ``index`` and ``label_index`` are taken where a call names none. ``duplicate_documents``, "overwrite", "skip" or
    "fail", says what is done with a known id. ``similarity`` is "dot_product" or "cosine"; vectors have
    ``embedding_dim`` numbers (None: any), stand in mappings under ``embedding_field``, and are given back where
    ``return_embedding``. Words are those that polyspan's own ranking finds in every script, or what
    ``bm25_tokenization_regex`` finds in lower-case text; ``bm25_algorithm`` is "BM25Okapi", "BM25L" or "BM25Plus", with
    ``bm25_parameters`` "k1", "b" and "delta".

    ``use_bm25``, ``progress_bar``, ``use_gpu``, ``devices`` and ``scoring_batch_size`` have no effect: words are
    indexed when they are first asked for, and vectors are compared by numpy.
    """

    index: str = "document"
    label_index: str = "label"
    embedding_field: str = "embedding"
    embedding_dim: int | None = None
    return_embedding: bool = False
    similarity: str = "dot_product"
    progress_bar: bool = True
    duplicate_documents: str = "overwrite"
    use_gpu: bool = True
    scoring_batch_size: int = 500_000
    devices: Sequence[Any] | None = None
    use_bm25: bool = False
    bm25_tokenization_regex: str | None = None
    bm25_algorithm: str = "BM25Okapi"
    bm25_parameters: Mapping[str, float] | None = None
    _documents: dict[str, dict[str, Document]] = field(init=False, repr=False, default_factory=dict)
    _labels: dict[str, dict[str, Label]] = field(init=False, repr=False, default_factory=dict)
    _rankings: dict[str, WordRanking] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is unknown."""
        _check("duplicate_documents", self.duplicate_documents, _DUPLICATES)
        _check("similarity", self.similarity, _SIMILARITIES)

    def write_documents(
        self,
        documents: Iterable[Document | Mapping[str, Any]],
        index: str | None = None,
        batch_size: int = 10_000,  # noqa: ARG002 -- Haystack's argument; nothing is batched
        duplicate_documents: str | None = None,
    ) -> None:
        """Add documents, or mappings with "content"; copies are kept. ``batch_size`` has no effect.

        Raises InputError for a known id where that shall fail, and for vectors of another length.
        """
        mode = self.duplicate_documents if duplicate_documents is None else duplicate_documents
        _check("duplicate_documents", mode, _DUPLICATES)
        name = self.index if index is None else index
        kept = dict(self._documents.get(name, {}))
        for given in documents:
            document = copy(given) if isinstance(given, Document) else self._from_mapping(given)
            if document.id in kept and mode == "fail":
                raise InputError(f"document {document.id}: stands in index {name!r} already")
            if document.id not in kept or mode == "overwrite":
                self._check_vector(document)
                kept[document.id] = document
        self._documents[name] = kept
        self._rankings.pop(name, None)

    def write_labels(self, labels: Iterable[Label | Mapping[str, Any]], index: str | None = None) -> None:
        """Add labels, or mappings of their fields."""
        kept = self._labels.setdefault(self.label_index if index is None else index, {})
        for given in labels:
            label = given if isinstance(given, Label) else Label.from_dict(given)
            kept[label.id] = label

    def add_eval_data(self, filename: str | Path, doc_index: str = "eval_document", label_index: str = "label") -> None:
        """Add the contexts of a SQuAD file as documents, and its answers as labels of origin "gold-label".

        Raises DatasetError where it cannot be read.
        """
        labels = [label for example in read_squad(Path(filename)) for label in _labels(example)]
        self.write_documents((label.document for label in labels), doc_index)
        self.write_labels(labels, label_index)

    def get_document_by_id(self, id: str, index: str | None = None) -> Document | None:  # noqa: A002 -- Haystack's name
        """The document, if there is one."""
        return self._documents.get(self.index if index is None else index, {}).get(str(id))

    def get_documents_by_id(self, ids: Iterable[str], index: str | None = None) -> list[Document]:
        """Those documents that there are."""
        return [found for one in ids if (found := self.get_document_by_id(one, index)) is not None]

    def get_all_documents(
        self, index: str | None = None, filters: Any = None, return_embedding: bool | None = None
    ) -> list[Document]:
        """Copies of all documents whose meta passes the filters."""
        documents = self._documents.get(self.index if index is None else index, {}).values()
        return [self._shown(one, return_embedding) for one in documents if matches(one.meta, filters)]

    def get_all_labels(self, index: str | None = None, filters: Any = None) -> list[Label]:
        """All labels whose fields, or else meta, pass the filters."""
        labels = self._labels.get(self.label_index if index is None else index, {}).values()
        return [one for one in labels if matches({**one.meta, "origin": one.origin, "query": one.query}, filters)]

    def get_document_count(self, filters: Any = None, index: str | None = None) -> int:
        """How many documents pass."""
        return len(self.get_all_documents(index, filters))

    def get_label_count(self, index: str | None = None) -> int:
        """How many labels there are."""
        return len(self.get_all_labels(index))

    def get_embedding_count(self, filters: Any = None, index: str | None = None) -> int:
        """How many documents that pass have a vector."""
        return sum(one.embedding is not None for one in self.get_all_documents(index, filters, return_embedding=True))

    def update_embeddings(
        self,
        retriever: "EmbeddingRetriever",
        index: str | None = None,
        filters: Any = None,
        update_existing_embeddings: bool = True,
        batch_size: int = 10_000,
    ) -> None:
        """Give documents the vectors of a retriever, so many at a time; all, or only those that have none yet.

        Raises InputError where vectors have another length than ``embedding_dim``.
        """
        chosen = [
            one
            for one in self._documents.get(self.index if index is None else index, {}).values()
            if matches(one.meta, filters) and (update_existing_embeddings or one.embedding is None)
        ]
        for begin in range(0, len(chosen), batch_size):
            batch = chosen[begin : begin + batch_size]
            for document, vector in zip(batch, retriever.embed_documents(batch), strict=True):
                document.embedding = vector
                self._check_vector(document)

    def update_document_meta(self, id: str, meta: Mapping[str, Any], index: str | None = None) -> None:  # noqa: A002
        """Add to a document's meta, or replace values in it. InputError where there is no such document."""
        document = self.get_document_by_id(id, index)
        if document is None:
            raise InputError(f"document {id}: stands in no index of that name")
        document.meta.update(meta)

    def query(
        self,
        query: str,
        filters: Any = None,
        top_k: int = 10,
        index: str | None = None,
        scale_score: bool = True,
        all_terms_must_match: bool = False,
    ) -> list[Document]:
        """The documents that share most with a question, best first, by BM25; scores from 0 to 1 if ``scale_score``."""
        name = self.index if index is None else index
        if name not in self._rankings:
            texts = [str(one.content) for one in self._documents.get(name, {}).values()]
            self._rankings[name] = WordRanking(
                texts, self.bm25_tokenization_regex, self.bm25_algorithm, self.bm25_parameters or {}
            )
        ranking = self._rankings[name]
        scores = ranking.scores(query, all_terms_must_match)
        return self._best(name, scores, filters, top_k, _sigmoid(scores / 8) if scale_score else scores)

    def query_by_embedding(
        self,
        query_emb: FloatArray,
        filters: Any = None,
        top_k: int = 10,
        index: str | None = None,
        return_embedding: bool | None = None,
        scale_score: bool = True,
    ) -> list[Document]:
        """The documents whose vectors are most like one, best first; those without a vector are left out.

        Raises InputError where the vectors differ in length.
        """
        name = self.index if index is None else index
        vectors = [one.embedding for one in self._documents.get(name, {}).values()]
        scores: Scores = np.full(len(vectors), -np.inf, np.float32)
        has = {i: vector for i, vector in enumerate(vectors) if vector is not None}
        query = np.asarray(query_emb, np.float32).ravel()
        if has:
            matrix = np.stack(list(has.values()))
            if matrix.shape[1] != query.size:
                raise InputError(f"a question's vector has {query.size} numbers and documents' have {matrix.shape[1]}")
            if self.similarity == "cosine":
                matrix, query = matrix / _length(matrix), query / _length(query[None])[0]
            scores[list(has)] = matrix @ query
        scaled = (scores + 1) / 2 if self.similarity == "cosine" else _sigmoid(scores / 100)
        return self._best(name, scores, filters, top_k, scaled if scale_score else scores, return_embedding)

    def delete_documents(self, index: str | None = None, ids: Iterable[str] | None = None, filters: Any = None) -> None:
        """Remove the documents of these ids that pass the filters; without both, all."""
        name = self.index if index is None else index
        wanted = None if ids is None else set(ids)
        self._documents[name] = {
            key: one
            for key, one in self._documents.get(name, {}).items()
            if not ((wanted is None or key in wanted) and matches(one.meta, filters))
        }
        self._rankings.pop(name, None)

    def _from_mapping(self, given: Mapping[str, Any]) -> Document:
        renamed = {"embedding" if key == self.embedding_field else key: value for key, value in given.items()}
        return Document.from_dict(renamed)

    def _check_vector(self, document: Document) -> None:
        vector = document.embedding
        if vector is not None and self.embedding_dim not in (None, vector.size):
            raise InputError(
                f"document {document.id}: its vector has {vector.size} numbers; expected embedding_dim "
                f"{self.embedding_dim}"
            )

    def _shown(self, document: Document, return_embedding: bool | None) -> Document:
        shown = copy(document)
        if not (self.return_embedding if return_embedding is None else return_embedding):
            shown.embedding = None
        return shown

    def _best(
        self,
        name: str,
        scores: Scores,
        filters: Any,
        top_k: int,
        shown: Scores,
        return_embedding: bool | None = None,
    ) -> list[Document]:
        """The best documents that pass and have a score, as copies with the scores that are shown."""
        documents = list(self._documents.get(name, {}).values())
        found: list[Document] = []
        for i in np.argsort(-scores, kind="stable"):
            if len(found) == top_k or scores[i] == -np.inf:
                break
            if matches(documents[i].meta, filters):
                document = self._shown(documents[i], return_embedding)
                document.score = float(shown[i])
                found.append(document)
        return found


def _labels(example: QAExample) -> list[Label]:
    """One for each answer, or one that has none."""
    document = Document(example.context, meta={"name": example.title})
    answers = [
        Answer(
            one.text,
            context=example.context,
            offsets_in_document=[Span(one.start, one.start + len(one.text))],
            offsets_in_context=[Span(one.start, one.start + len(one.text))],
            document_ids=[document.id],
        )
        for one in example.answers
    ]
    return [
        Label(example.question, document, True, True, "gold-label", answer)  # noqa: FBT003 -- both are right
        for answer in answers or [Answer("")]
    ]


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _length(vectors: FloatArray) -> FloatArray:
    lengths: FloatArray = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return lengths


def _sigmoid(values: Scores) -> Scores:
    scaled: Scores = (1 + np.tanh(values / 2)) / 2  # in the form that cannot overflow
    return scaled
