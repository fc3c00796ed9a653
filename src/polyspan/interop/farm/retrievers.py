"""Haystack 1's retrievers over a document store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from polyspan.backends import BackendOptions, TextEncoder, open_encoder
from polyspan.errors import InputError
from polyspan.interop.farm.arguments import opening_of
from polyspan.interop.farm.schema import Document
from polyspan.interop.farm.store import InMemoryDocumentStore
from polyspan.types import FloatArray

_FORMATS = (None, "farm", "transformers", "sentence_transformers")


class BaseRetriever:
    """What retrievers share: ways of being asked."""

    document_store: InMemoryDocumentStore | None
    top_k: int
    scale_score: bool

    def retrieve(
        self,
        query: str,
        filters: Any = None,
        top_k: int | None = None,
        index: str | None = None,
        scale_score: bool | None = None,
        document_store: InMemoryDocumentStore | None = None,
    ) -> list[Document]:
        """The documents that suit a question most, best first, as copies with their scores.

        Args:
            query: the question.
            filters: what their meta has to hold.
            top_k: how many at most; None: the retriever's own.
            index: of the store; None: its own.
            scale_score: whether scores lie from 0 to 1; None: as the retriever says.
            document_store: another one than the retriever's.

        Raises InputError without a store.
        """
        store = self.document_store if document_store is None else document_store
        if store is None:
            raise InputError("a retriever needs a document_store; give one to it or to the call")
        count = self.top_k if top_k is None else top_k
        return self._query(
            store, query, filters, count, index, self.scale_score if scale_score is None else scale_score
        )

    def retrieve_batch(self, queries: Sequence[str], **arguments: Any) -> list[list[Document]]:
        """As ``retrieve``, for each question."""
        return [self.retrieve(query, **arguments) for query in queries]

    def run(self, query: str, **arguments: Any) -> tuple[dict[str, Any], str]:
        """As ``retrieve``, in the form of a pipeline's node."""
        return {"query": query, "documents": self.retrieve(query, **arguments)}, "output_1"

    def _query(
        self, store: InMemoryDocumentStore, query: str, filters: Any, top_k: int, index: str | None, scale: bool
    ) -> list[Document]:
        raise NotImplementedError


@dataclass(eq=False)
class BM25Retriever(BaseRetriever):
    """By shared words. ``all_terms_must_match`` leaves out what lacks one of the question's; no ``custom_query``."""

    document_store: InMemoryDocumentStore | None = None
    top_k: int = 10
    all_terms_must_match: bool = False
    custom_query: str | None = None
    scale_score: bool = True

    def __post_init__(self) -> None:
        """Refuse a query language that nothing here speaks."""
        if self.custom_query is not None:
            raise InputError("custom_query: a store in memory has no query language; leave it out")

    def _query(
        self, store: InMemoryDocumentStore, query: str, filters: Any, top_k: int, index: str | None, scale: bool
    ) -> list[Document]:
        return store.query(query, filters, top_k, index, scale, self.all_terms_must_match)


@dataclass(eq=False)
class EmbeddingRetriever(BaseRetriever):
    """By vectors of an encoder, which ``polyspan.backends.open_encoder`` opens.

    ``embedding_model`` is a folder or hub id of revision ``model_version``; ``query_prompt`` and ``passage_prompt``
    stand before questions and documents, and the values of ``embed_meta_fields``, one a line, before a document's text.
    ``batch_size`` texts are encoded at once. ``use_gpu`` takes the GPU that ``devices`` names, in a list.

    ``max_seq_len``, ``pooling_strategy``, ``emb_extraction_layer``, ``model_format`` (of models of one's own) and
    ``progress_bar`` have no effect: the model's own files say how it is to be used. Services of others (``api_key``)
    are not called. Raises what ``open_encoder`` raises, and InputError for what is refused.
    """

    embedding_model: str | Path | None = None
    document_store: InMemoryDocumentStore | None = None
    model_version: str | None = None
    use_gpu: bool = True
    batch_size: int = 32
    max_seq_len: int = 512
    model_format: str | None = None
    pooling_strategy: str = "reduce_mean"
    query_prompt: str | None = None
    passage_prompt: str | None = None
    emb_extraction_layer: int = -1
    top_k: int = 10
    progress_bar: bool = True
    devices: Sequence[Any] | None = None
    use_auth_token: str | bool | None = None
    scale_score: bool = True
    embed_meta_fields: Sequence[str] = ()
    api_key: str | None = None
    encoder: TextEncoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the encoder."""
        if self.model_format not in _FORMATS or self.api_key is not None:
            raise InputError(f"model_format {self.model_format!r}: encoders run here alone; expected a model folder")
        device = opening_of(vars(self)).torch_device
        options = BackendOptions() if device in (None, "cpu") else BackendOptions("torch", device)
        self.encoder = open_encoder(self.embedding_model, options, revision=self.model_version)

    def embed_queries(self, queries: Sequence[str]) -> FloatArray:
        """Vectors of questions, float32 [queries, dimension], of length 1."""
        return self.encoder.encode_questions([f"{self.query_prompt or ''}{query}" for query in queries])

    def embed_documents(self, documents: Sequence[Document]) -> FloatArray:
        """Vectors of documents, likewise."""
        texts = [self._text(document) for document in documents]
        batches = [texts[i : i + self.batch_size] for i in range(0, len(texts), self.batch_size)]
        empty = np.zeros((0, self.encoder.dimension), np.float32)
        return np.concatenate([empty, *(self.encoder.encode_passages(batch) for batch in batches)])

    def _text(self, document: Document) -> str:
        meta = [str(document.meta[name]) for name in self.embed_meta_fields or () if name in document.meta]
        return (self.passage_prompt or "") + "\n".join([*meta, str(document.content)])

    def _query(
        self, store: InMemoryDocumentStore, query: str, filters: Any, top_k: int, index: str | None, scale: bool
    ) -> list[Document]:
        return store.query_by_embedding(self.embed_queries([query])[0], filters, top_k, index, None, scale)
