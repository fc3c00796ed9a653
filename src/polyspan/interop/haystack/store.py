"""An index of polyspan as a document store of Haystack."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from haystack import Document, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy

from polyspan.backends import TextEncoder, open_encoder
from polyspan.errors import InputError
from polyspan.interop.haystack.documents import to_indexed, whole_document
from polyspan.interop.haystack.filters import sql_filter
from polyspan.retrieval import IndexSettings, PassageStore, index_documents, to_document


@dataclass(eq=False)
class PolyspanDocumentStore:
    """Documents in an index of polyspan, which cuts them into passages and makes their vectors itself.

    ``index`` is a folder, or an address in an object store, also one that ``polyspan index`` made. Where there is none
    yet, it is made when it is first needed, unless ``create`` is False, with passages of ``passage_bytes`` of UTF-8
    that share ``overlap_bytes``, and with ``encoder``: a folder, a hub id, None or "default" for the one that comes
    with polyspan, or an open ``TextEncoder``, which cannot be written to YAML. An index that is there keeps its own.

    It holds texts and meta, of which whole passages are searched; no vectors from elsewhere and no binary data.

    Raises:
        InputError: for sizes that make no passages; it is a ValueError.
        PassageIndexError: when it is used, where the index cannot be opened, read or written.
    """

    index: str | Path
    encoder: str | Path | TextEncoder | None = None
    passage_bytes: int = 1_200
    overlap_bytes: int = 200
    create: bool = True
    _store: PassageStore | None = field(init=False, repr=False, default=None)
    _encoder: TextEncoder | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Refuse sizes that make no passages."""
        IndexSettings("", "", 1, self.passage_bytes, self.overlap_bytes)

    @property
    def passages(self) -> PassageStore:
        """The index, opened or made."""
        if self._store is None:
            if self.create and not PassageStore.exists(self.index):
                self._store = self._created()
            else:
                self._store = PassageStore.open(self.index)
        return self._store

    @property
    def text_encoder(self) -> TextEncoder:
        """What makes the vectors: the ``encoder`` that was given, or the index's own."""
        if self._encoder is None:
            given = self.encoder
            if given is None:
                given = self.passages.settings.encoder or None
            self._encoder = _opened(given)
        return self._encoder

    def to_dict(self) -> dict[str, Any]:
        """All arguments as YAML can hold them. InputError where ``encoder`` is an open one."""
        if not isinstance(self.encoder, str | Path | None):
            raise InputError("encoder: one that is open already cannot be written; give its folder or hub id")
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        paths = {name: str(value) for name, value in given.items() if isinstance(value, Path)}
        return default_to_dict(self, **given | paths)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "PolyspanDocumentStore":
        """The store of what ``to_dict`` gave."""
        return default_from_dict(cls, data)

    def count_documents(self) -> int:
        """How many documents there are; each is searched as one or more passages."""
        return len(self.passages.documents())

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Whole documents that pass, by id. FilterError for what an index cannot compare (see ``sql_filter``)."""
        rows = self.passages.rows(sql_filter(filters))
        grouped = (list(group) for _, group in groupby(rows, lambda row: row["document"]))
        return [whole_document(to_document(group)) for group in grouped]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Add documents, all or, where one is refused, none.

        Args:
            documents: with text, and without vectors.
            policy: what is done with an id that is there, or comes twice: FAIL, which NONE is too, OVERWRITE or SKIP.

        Returns:
            How many were written.

        Raises:
            InputError: for a document that cannot be kept.
            DuplicateDocumentError: for a known id where that shall fail.
        """
        if not isinstance(documents, Sequence) or isinstance(documents, str):
            raise InputError(f"documents must be a list of Documents, not a {type(documents).__name__}")
        given = [to_indexed(document) for document in documents]
        if policy != DuplicatePolicy.OVERWRITE:
            known = {one.id for one in self.passages.documents()}
            fresh = []
            for document in given:
                if document.id not in known:
                    fresh.append(document)
                elif policy != DuplicatePolicy.SKIP:
                    raise DuplicateDocumentError(f"{document.id}: there is such a document; overwrite or skip it")
                known.add(document.id)
            given = fresh
        index_documents(self.passages, self.text_encoder, given)
        return len(given)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Remove documents; ids that are not there are left alone."""
        with self.passages.exclusive():
            self.passages.remove(document_ids)

    async def count_documents_async(self) -> int:
        """As ``count_documents``, in a thread."""
        return await asyncio.to_thread(self.count_documents)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """As ``filter_documents``, in a thread."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """As ``write_documents``, in a thread."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """As ``delete_documents``, in a thread."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    def _created(self) -> PassageStore:
        self._encoder = encoder = _opened(self.encoder)
        name = str(self.encoder) if isinstance(self.encoder, str | Path) else ""
        settings = IndexSettings(name, encoder.digest, encoder.dimension, self.passage_bytes, self.overlap_bytes)
        return PassageStore.create(self.index, settings)


def _opened(encoder: str | Path | TextEncoder | None) -> TextEncoder:
    return open_encoder(encoder) if isinstance(encoder, str | Path | None) else encoder
