"""Pages of Haystack's documents: the number of the first one in ``meta["page_number"]``, form feeds between them.

Documents of an index name the characters at which pages begin in ``meta["page_starts"]`` instead, as their texts hold
no form feeds.
"""

from itertools import repeat
from typing import Any

from haystack import Document

from polyspan import types

PAGE, STARTS = "page_number", "page_starts"


def page_starts_of(document: Document) -> tuple[int, ...]:
    """``types.Document.page_starts`` of a document; empty where it does not say on which page it begins."""
    first, starts = document.meta.get(PAGE), document.meta.get(STARTS)
    if not isinstance(first, int):
        return ()
    if starts is None:
        starts = [number + 1 for number, character in enumerate(document.content or "") if character == "\f"]
    return (*repeat(0, first), *starts)


def page_meta(document: types.Document, span: types.Span) -> dict[str, Any]:
    """The same of a part of a document, as entries of its meta; none where there are no pages."""
    first = document.page_at(span.start)
    if first is None:
        return {}
    inside = [start - span.start for start in document.page_starts if span.start < start < span.end]
    return {PAGE: first, STARTS: inside}
