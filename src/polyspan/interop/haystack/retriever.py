"""The passages of an index that suit a question, as a component of Haystack."""

import asyncio
from dataclasses import dataclass, fields
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from polyspan.errors import InputError
from polyspan.interop.haystack.documents import passage_documents
from polyspan.interop.haystack.filters import sql_filter
from polyspan.interop.haystack.store import PolyspanDocumentStore
from polyspan.retrieval import IndexRanking, Ranking, RetrievalOptions


@component
@dataclass(eq=False)
class PolyspanRetriever:
    """A question to the ``top_k`` passages of an index that suit it most, best first.

    ``filters`` are those of ``PolyspanDocumentStore``; by ``filter_policy`` those of a call replace them or join them.
    ``ranking``, ``pool``, ``per_document`` and ``rank_weight`` are those of ``RetrievalOptions``.

    Raises:
        InputError: if an argument makes no sense; it is a ValueError.
    """

    document_store: PolyspanDocumentStore
    filters: dict[str, Any] | None = None
    top_k: int = 10
    ranking: Ranking = "hybrid"
    pool: int = 50
    per_document: int | None = None
    rank_weight: float = 2.0
    filter_policy: FilterPolicy = FilterPolicy.REPLACE

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not isinstance(self.document_store, PolyspanDocumentStore):
            kind = type(self.document_store).__name__
            raise InputError(
                f"document_store must be a PolyspanDocumentStore, not a {kind}, which has its own retriever"
            )
        if self.top_k < 1:
            raise InputError(f"top_k must be at least 1, not {self.top_k}")
        self._options()

    def to_dict(self) -> dict[str, Any]:
        """All arguments as YAML can hold them."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        given |= {"document_store": self.document_store.to_dict(), "filter_policy": self.filter_policy.value}
        return default_to_dict(self, **given)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "PolyspanRetriever":
        """The component of what ``to_dict`` gave."""
        given = dict(data.get("init_parameters", {}))
        if isinstance(given.get("document_store"), dict):
            given["document_store"] = PolyspanDocumentStore.from_dict(given["document_store"])
        if isinstance(given.get("filter_policy"), str):
            given["filter_policy"] = FilterPolicy.from_str(given["filter_policy"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    def warm_up(self) -> None:
        """Open the index and, where vectors are compared, its encoder."""
        self._ranking()

    @component.output_types(documents=list[Document])
    def run(self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None) -> dict[str, Any]:
        """The passages that suit a question.

        Args:
            query: the question.
            filters: None takes the component's.
            top_k: likewise; 0 gives none.

        Returns:
            "documents", with the meta that ``passage_documents`` tells.

        Raises:
            InputError: for a ``top_k`` below 0.
            FilterError: for filters that an index cannot follow.
            PassageIndexError: where the index cannot be searched.
        """
        count = self.top_k if top_k is None else top_k
        if count < 0:
            raise InputError(f"top_k must be 0 or more, not {count}")
        where = sql_filter(apply_filter_policy(self.filter_policy, self.filters, filters))
        return {"documents": passage_documents(self._ranking().best(query, count, where) if count else [])}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, Any]:
        """As ``run``, in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)

    def _options(self) -> RetrievalOptions:
        return RetrievalOptions(self.ranking, self.pool, self.per_document, rank_weight=self.rank_weight)

    def _ranking(self) -> IndexRanking:
        store, words = self.document_store, self.ranking == "words"
        return IndexRanking(store.passages, None if words else store.text_encoder, self._options())
