"""Haystack's documents to those of an index, and an index's documents and passages to Haystack's."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from haystack import Document

from polyspan import types
from polyspan.errors import InputError
from polyspan.interop.haystack.answers import HANDICAP
from polyspan.interop.haystack.pages import PAGE, page_meta, page_starts_of

TYPED = "haystack"
"""Key in an index's meta of the whole meta as JSON, where plain texts would lose something of it."""


def to_indexed(document: Document) -> types.Document:
    """A document as an index keeps it.

    Raises InputError for a document without text, with a vector or with binary data, or with meta that JSON cannot
    hold.
    """
    if not isinstance(document, Document):
        raise InputError(f"expected a Document of Haystack, not {type(document).__name__}")
    if not (document.content or "").strip():
        raise InputError(f"document {document.id}: holds no text, which is all that an index keeps")
    for name in ("blob", "embedding", "sparse_embedding"):
        if getattr(document, name) is not None:
            raise InputError(f"document {document.id}: {name} is not kept, as an index makes its own vectors of texts")
    meta: dict[str, Any] = dict(document.meta)
    if any(not isinstance(value, str) or "=" in key for key, value in meta.items()):
        try:
            meta[TYPED] = json.dumps(document.meta, ensure_ascii=False, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise InputError(f"document {document.id}: its meta cannot be written as JSON ({error})") from error
    return types.Document(document.content or "", document.id, page_starts_of(document), meta)


def whole_document(document: types.Document) -> Document:
    """A document of an index as it was written, or with its pages where it came from a file."""
    meta = _meta(document.meta)
    if PAGE not in meta:
        meta |= page_meta(document, types.Span(0, len(document.text)))
    return Document(id=document.id, content=document.text, meta=meta)


def passage_documents(passages: Sequence[types.Passage]) -> list[Document]:
    """Ranked passages of an index, best first, each with its document's meta and where it stands.

    "source_id" and "split_idx_start", in characters, say that as in Haystack's splitters; "page_number" and
    "page_starts" on which pages; "handicap" how much its rank counts against it; "copies" where else nearly the same
    stands. The score is 1 over the rank, as rankings by words, by vectors and by both have no common measure.
    """
    return [_passage_document(passage, 1 / rank) for rank, passage in enumerate(passages, 1)]


def _passage_document(passage: types.Passage, score: float) -> Document:
    source, start = passage.document.id, passage.span.start
    meta = _meta(passage.document.meta)
    part = {"source_id": source, "split_idx_start": start}
    if isinstance(meta.get("source_id"), str) and isinstance(meta.get("split_idx_start"), int):
        part = {"source_id": meta["source_id"], "split_idx_start": meta["split_idx_start"] + start}
    meta |= part | page_meta(passage.document, passage.span)
    if passage.handicap:
        meta[HANDICAP] = passage.handicap
    if passage.copies:
        meta["copies"] = [{"source_id": one.document.id, "split_idx_start": one.span.start} for one in passage.copies]
    return Document(id=f"{source}:{start}", content=passage.text, meta=meta, score=score)


def _meta(texts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(texts[TYPED]) if TYPED in texts else texts)
