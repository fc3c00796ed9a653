"""The pipelines of Haystack 1's first tutorial."""

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from polyspan.documents import read_documents
from polyspan.errors import InputError
from polyspan.interop.farm.base import BaseReader
from polyspan.interop.farm.retrievers import BaseRetriever
from polyspan.interop.farm.schema import Document
from polyspan.interop.farm.store import InMemoryDocumentStore
from polyspan.retrieval import cut_passages

Params = Mapping[str, Any]


class ExtractiveQAPipeline:
    """A retriever and a reader, named "Retriever" and "Reader" in what they are given."""

    def __init__(self, reader: BaseReader, retriever: BaseRetriever) -> None:
        self._nodes: dict[str, Any] = {"Retriever": retriever, "Reader": reader}

    def run(self, query: str, params: Params | None = None, debug: bool | None = None) -> dict[str, Any]:
        """Answers from the documents that suit the question most.

        Args:
            query: the question.
            params: arguments for the nodes, by their names, as {"Retriever": {"top_k": 10}, "Reader": {"top_k": 5}}; or
                for all nodes that take them, as {"top_k": 5}.
            debug: without effect.

        Returns:
            What the reader's ``predict`` returns, with "documents", "params", "root_node" and "node_id".

        Raises InputError for a node or an argument that is unknown.
        """
        del debug
        given = self._params(params)
        documents = self._nodes["Retriever"].retrieve(query, **given["Retriever"])
        found = self._nodes["Reader"].predict(query, documents, **given["Reader"])
        return {**found, "documents": documents, **self._about(params)}

    def run_batch(
        self, queries: Sequence[str], params: Params | None = None, debug: bool | None = None
    ) -> dict[str, Any]:
        """As ``run``, for each question; what the reader's ``predict_batch`` returns, and the same besides."""
        del debug
        given = self._params(params)
        documents = self._nodes["Retriever"].retrieve_batch(queries, **given["Retriever"])
        found = self._nodes["Reader"].predict_batch(queries, documents, **given["Reader"])
        return {**found, "documents": documents, **self._about(params)}

    def get_node(self, name: str) -> Any:
        """The node of that name, or None."""
        return self._nodes.get(name)

    def get_document_store(self) -> InMemoryDocumentStore | None:
        """The retriever's store."""
        store: InMemoryDocumentStore | None = self._nodes["Retriever"].document_store
        return store

    def _about(self, params: Params | None) -> dict[str, Any]:
        return {"params": dict(params or {}), "root_node": "Query", "node_id": "Reader"}

    def _params(self, params: Params | None) -> dict[str, dict[str, Any]]:
        """Each node's arguments: those for all that it takes, and its own."""
        verbs = {"Retriever": "retrieve", "Reader": "predict"}
        takes = {name: set(signature(getattr(self._nodes[name], verb)).parameters) for name, verb in verbs.items()}
        own = {name: value for name, value in (params or {}).items() if name in self._nodes}
        common = {name: value for name, value in (params or {}).items() if name not in own}
        for name in common:
            if not any(name in arguments for arguments in takes.values()):
                raise InputError(
                    f"params: {name!r} is neither a node ({', '.join(self._nodes)}) nor an argument of one"
                )
        for name, arguments in own.items():
            for argument in arguments:
                if argument not in takes[name]:
                    raise InputError(f"params: {name} takes no {argument!r}; expected {', '.join(sorted(takes[name]))}")
        return {
            name: {key: value for key, value in common.items() if key in takes[name]} | dict(own.get(name, {}))
            for name in self._nodes
        }


class TextIndexingPipeline:
    """Files to the passages of a document store.

    They are cut where sentences and paragraphs end, as ``polyspan.retrieval.cut_passages`` cuts; converters and
    preprocessors of one's own are refused.
    """

    def __init__(
        self, document_store: InMemoryDocumentStore, text_converter: Any = None, preprocessor: Any = None
    ) -> None:
        if text_converter is not None or preprocessor is not None:
            raise InputError("text_converter and preprocessor are polyspan's own here; leave them out")
        self.document_store = document_store

    def run(self, file_path: str | Path) -> dict[str, Any]:
        """Add one file, as ``run_batch`` does."""
        return self.run_batch([file_path])

    def run_batch(self, file_paths: Iterable[str | Path]) -> dict[str, Any]:
        """Add files of the formats that ``polyspan ask`` reads; the documents that were written, and the files.

        Their meta holds the file's ``name``, the ``_split_id`` and, in files with pages, the ``page_number``. Raises
        DocumentError for a file that cannot be read.
        """
        paths = [Path(path) for path in file_paths]
        documents, errors = read_documents(paths)
        if errors:
            raise errors[0]
        written = [
            Document(
                passage.text,
                meta={"name": Path(document.id).name, "_split_id": number}
                | _page(document.page_at(passage.span.start)),
                id_hash_keys=["content", "meta"],
            )
            for document in documents
            for number, passage in enumerate(cut_passages(document))
        ]
        self.document_store.write_documents(written)
        return {"documents": written, "file_paths": paths, "root_node": "File", "node_id": "DocumentStore"}


def _page(number: int | None) -> dict[str, int]:
    return {} if number is None else {"page_number": number}
