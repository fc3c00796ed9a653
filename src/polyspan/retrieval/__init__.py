"""Documents to passages, and passages to the few that are worth reading, in memory or in an index on disk.

What needs LanceDB is imported when it is used: ``PassageStore`` and what goes with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from polyspan.retrieval.bm25 import PassageRanking
from polyspan.retrieval.options import Ranking, RetrievalOptions, sql_text
from polyspan.retrieval.passages import cut_passages

if TYPE_CHECKING:
    from polyspan.retrieval.hybrid import IndexRanking
    from polyspan.retrieval.indexing import IndexReport, Prepared, index_documents, index_paths, prepare_files
    from polyspan.retrieval.rows import StoredDocument, rows_from_bytes, rows_to_bytes, to_document
    from polyspan.retrieval.store import IndexSettings, PassageStore

__all__ = [
    "IndexRanking",
    "IndexReport",
    "IndexSettings",
    "PassageRanking",
    "PassageStore",
    "Prepared",
    "Ranking",
    "RetrievalOptions",
    "StoredDocument",
    "cut_passages",
    "index_documents",
    "index_paths",
    "prepare_files",
    "rows_from_bytes",
    "rows_to_bytes",
    "sql_text",
    "to_document",
]

_HOMES = {
    "IndexRanking": "hybrid",
    "IndexReport": "indexing",
    "Prepared": "indexing",
    "prepare_files": "indexing",
    "StoredDocument": "rows",
    "rows_from_bytes": "rows",
    "rows_to_bytes": "rows",
    "to_document": "rows",
    "index_documents": "indexing",
    "index_paths": "indexing",
    "IndexSettings": "store",
    "PassageStore": "store",
}


def __getattr__(name: str) -> object:
    """Import what needs LanceDB when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'polyspan.retrieval' has no attribute {name!r}")
    return getattr(import_module(f"polyspan.retrieval.{_HOMES[name]}"), name)
