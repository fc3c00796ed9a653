"""The readers of Haystack 1 and FARM, and what their first tutorials use, over polyspan's reader.

What used to run runs after the import lines changed: everything that they took from haystack.nodes, haystack.pipelines,
haystack.document_stores, haystack.schema and haystack.utils is here. ``docs/migration-cases.md`` lists what differs on
purpose.
"""

from polyspan.interop.farm.pipelines import ExtractiveQAPipeline, TextIndexingPipeline
from polyspan.interop.farm.reader import FARMReader
from polyspan.interop.farm.retrievers import BM25Retriever, EmbeddingRetriever
from polyspan.interop.farm.schema import Answer, Document, Label, Span
from polyspan.interop.farm.store import InMemoryDocumentStore
from polyspan.interop.farm.training import EarlyStopping
from polyspan.interop.farm.transformers_reader import TransformersReader
from polyspan.interop.farm.utils import (
    clean_wiki_text,
    convert_files_to_docs,
    fetch_archive_from_http,
    print_answers,
)

__all__ = [
    "Answer",
    "BM25Retriever",
    "Document",
    "EarlyStopping",
    "EmbeddingRetriever",
    "ExtractiveQAPipeline",
    "FARMReader",
    "InMemoryDocumentStore",
    "Label",
    "Span",
    "TextIndexingPipeline",
    "TransformersReader",
    "clean_wiki_text",
    "convert_files_to_docs",
    "fetch_archive_from_http",
    "print_answers",
]
