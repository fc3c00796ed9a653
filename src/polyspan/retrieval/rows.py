"""Documents to rows of an index's table, and rows back to passages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from polyspan.types import Document, FloatArray, Passage, Span

TEXT, VECTOR = "text", "vector"
META = "meta"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What an index knows of a document beside its passages.

    ``digest`` is the SHA-256 of its content; ``size``, in bytes, and ``modified``, in nanoseconds since 1970, are its
    file's, 0 where it came from none.
    """

    id: str
    digest: str
    size: int = 0
    modified: int = 0


def schema(dimension: int) -> pa.Schema:
    """The table's columns: a row for each passage, with vectors of half precision.

    ``number`` counts a document's passages from 0, ``start`` and ``end`` are characters of the document, ``page`` is
    the number of the page on which the passage begins, 0 where there are no pages, and ``page_starts`` are the
    characters at which pages begin inside it; ``meta`` holds ``key=value`` texts. The other columns are those of
    ``StoredDocument``.
    """
    columns = {
        "document": pa.string(),
        "number": pa.int32(),
        "start": pa.int64(),
        "end": pa.int64(),
        "page": pa.int32(),
        "page_starts": pa.list_(pa.int64()),
        TEXT: pa.string(),
        META: pa.list_(pa.string()),
        "digest": pa.string(),
        "size": pa.int64(),
        "modified": pa.int64(),
        VECTOR: pa.list_(pa.float16(), dimension),
    }
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


def to_rows(passages: Sequence[Passage], stored: StoredDocument, vectors: FloatArray) -> pa.Table:
    """The rows of one document.

    Args:
        passages: all of the document's, in order.
        stored: what else is kept.
        vectors: float32 [passages, dimension].
    """
    halves = np.ascontiguousarray(vectors, dtype=np.float16)
    columns: dict[str, Any] = {
        "document": [stored.id] * len(passages),
        "number": range(len(passages)),
        "start": [one.span.start for one in passages],
        "end": [one.span.end for one in passages],
        "page": [one.document.page_at(one.span.start) or 0 for one in passages],
        "page_starts": [_pages_inside(one) for one in passages],
        TEXT: [one.text for one in passages],
        META: [meta_texts(one.document.meta) for one in passages],
        "digest": [stored.digest] * len(passages),
        "size": [stored.size] * len(passages),
        "modified": [stored.modified] * len(passages),
        VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), halves.shape[1]),
    }
    return pa.table(columns, schema=schema(halves.shape[1]))


def to_passage(row: Mapping[str, Any]) -> Passage:
    """The passage of a row, in a document of which nothing else is at hand."""
    span = Span(row["start"], row["end"])
    pages = (span.start,) * row["page"] + tuple(row["page_starts"])
    return Passage(Document(row[TEXT], row["document"], pages, meta_of(row[META]), part_start=span.start), span)


def to_document(rows: Sequence[Mapping[str, Any]]) -> Document:
    """The document of all its rows, in order, with its text as offsets count it; what was only spaces is spaces."""
    text, starts = "", list[int]()
    for row in rows:
        held = len(text)
        text += " " * (row["start"] - held) + row["text"][max(0, held - row["start"]) :]
        starts += [row["start"]] * (row["page"] - sum(start <= row["start"] for start in starts))
        starts += [start for start in row["page_starts"] if start >= held]
    return Document(text, rows[0]["document"], tuple(starts), meta_of(rows[0][META]))


def rows_to_bytes(rows: pa.Table) -> bytes:
    """Rows as Arrow writes them, on their way to another process."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def rows_from_bytes(content: bytes) -> pa.Table:
    """What ``rows_to_bytes`` made bytes of."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


def meta_texts(meta: Mapping[str, Any]) -> list[str]:
    """``key=value`` of each entry, sorted."""
    return sorted(f"{key}={value}" for key, value in meta.items())


def meta_of(texts: Iterable[str]) -> dict[str, str]:
    """What ``meta_texts`` made texts of, but for the kinds of the values."""
    return dict(text.split("=", 1) for text in texts)


def _pages_inside(passage: Passage) -> list[int]:
    return [start for start in passage.document.page_starts if passage.span.start < start < passage.span.end]
