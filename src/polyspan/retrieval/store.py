"""The passages of an index: one LanceDB table on disk or in an object store.

Everything about a document stands in the rows of its passages, and each change of the table is one transaction; so
whoever reads sees documents whole, as they were before or after a change, and a killed writer leaves nothing half done.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from polyspan.errors import InputError, PassageIndexError
from polyspan.retrieval.options import sql_text
from polyspan.retrieval.rows import TEXT, VECTOR, StoredDocument, schema

FORMAT_VERSION = 1
TABLE = "passages"
HEADER = "polyspan"
LOCK = "polyspan.lock"
FRESH = timedelta(seconds=1)
KEPT_VERSIONS = timedelta(hours=1)
VECTOR_INDEX_ROWS = 200_000
"""From so many passages on the nearest vectors are searched in a part of the table only."""
PARTS_SEARCHED = 50
REFINED = 10
"""So many times as many vectors as are wanted are taken by their codes, and ranked anew by themselves."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What an index was made with and keeps for good.

    ``encoder`` is what opens the dense encoder ("" for the shipped one), ``encoder_digest`` tells its vectors, of
    ``dimension`` numbers, from others. Passages hold ``passage_bytes`` of UTF-8 at most and share ``overlap_bytes``
    with the one before at most (see ``cut_passages``).
    """

    encoder: str
    encoder_digest: str
    dimension: int
    passage_bytes: int = 1_200
    overlap_bytes: int = 200

    def __post_init__(self) -> None:
        """Refuse sizes that make no passages."""
        if self.passage_bytes < 100 or not 0 <= 2 * self.overlap_bytes < self.passage_bytes:
            raise InputError(
                f"passages need 100 bytes or more, and less than half of them as overlap, not {self.passage_bytes} "
                f"and {self.overlap_bytes}"
            )


class PassageStore:
    """The table, opened by ``create`` or ``open``; safe to use from several threads, and beside a process that writes.

    ``uri`` is a folder, or the address of one in an object store, as LanceDB takes it.
    """

    def __init__(self, uri: str, table: Any, settings: IndexSettings) -> None:
        self.uri = uri
        self.settings = settings
        self._table = table

    @classmethod
    def create(cls, uri: str | Path, settings: IndexSettings, *, replace: bool = False) -> "PassageStore":
        """An empty index; PassageIndexError where there is one already, unless it is to be replaced."""
        where = str(uri)
        header = {"format_version": FORMAT_VERSION, **asdict(settings)}
        columns = schema(settings.dimension).with_metadata({HEADER: json.dumps(header)})
        with _explained(where, "cannot be made"):
            folder = Path(where)
            if _is_local(where) and folder.exists() and not _may_hold_index(folder):
                raise PassageIndexError(f"{where}: holds other files; name an empty or a new folder for the index")
            connection = _connect(where)
            if TABLE in connection.list_tables().tables and not replace:
                raise PassageIndexError(f"{where}: there is an index already; open it, or have it replaced")
            table = connection.create_table(TABLE, schema=columns, mode="overwrite" if replace else "create")
            # With ICU's dictionaries words are found in scripts without spaces too; stems would need one language.
            table.create_index(TEXT, config=_full_text(), wait_timeout=None)
        return cls(where, table, settings)

    @staticmethod
    def exists(uri: str | Path) -> bool:
        """Whether there is an index, be it broken."""
        where = str(uri)
        if _is_local(where) and not Path(where).is_dir():
            return False
        with _explained(where, "cannot be listed"):
            return TABLE in _connect(where).list_tables().tables

    @classmethod
    def open(cls, uri: str | Path) -> "PassageStore":
        """The index that is there.

        Raises PassageIndexError where there is none, where it is broken, or of another version.
        """
        where = str(uri)
        if _is_local(where) and not Path(where).is_dir():
            raise PassageIndexError(f"{where}: no index there; make one with polyspan index PATH... --index {where}")
        with _explained(where, "holds no index that can be opened"):
            connection = _connect(where)
            if TABLE not in connection.list_tables().tables:
                raise PassageIndexError(
                    f"{where}: holds no index of polyspan; name the folder of one, or an empty or new folder"
                )
            table = connection.open_table(TABLE)
            table.search().limit(1).to_arrow()
            header = (table.schema.metadata or {}).get(HEADER.encode())
        return cls(where, table, _settings(where, header))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other writers of polyspan out, on this machine; readers need not wait.

        Raises PassageIndexError where another one is at work.
        """
        if not _is_local(self.uri):
            yield
            return
        lock = FileLock(Path(self.uri) / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise PassageIndexError(
                f"{self.uri}: another process writes to the index; wait until it has ended"
            ) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def passages(self) -> int:
        """How many there are."""
        with _explained(self.uri, "cannot be read"):
            return int(self._table.count_rows())

    def documents(self) -> list[StoredDocument]:
        """What is indexed, by id."""
        names = ["document", "digest", "size", "modified"]
        with _explained(self.uri, "cannot be read"):
            found = self._table.search().where("number = 0").select(names).to_arrow()
        return sorted((StoredDocument(*row.values()) for row in found.to_pylist()), key=lambda one: one.id)

    def document_rows(self, document: str) -> list[dict[str, Any]]:
        """The rows of a document's passages, in order, without their vectors; none where there is no such document."""
        return self.rows(f"document = {sql_text(document)}")

    def rows(self, where: str | None = None) -> list[dict[str, Any]]:
        """All rows for which an SQL condition on the columns holds, by document and in order, without their vectors."""
        with _explained(self.uri, "cannot be read"):
            query = self._table.search()
            found = (query if where is None else query.where(where)).to_arrow()
        return sorted(found.drop_columns([VECTOR]).to_pylist(), key=lambda row: (row["document"], row["number"]))

    def write(self, rows: Sequence[pa.Table], known: Iterable[str]) -> None:
        """Put the documents, each a table of all its rows, in the place of those of the same ids, in one transaction.

        ``known`` are the ids of those among them that the index holds already.
        """
        table, replaced = pa.concat_tables(rows), sorted(set(known))
        with _explained(self.uri, "cannot be written"):
            if not replaced:
                self._table.add(table)
                return
            merge = self._table.merge_insert(["document", "number"]).when_matched_update_all()
            merge = merge.when_not_matched_insert_all().when_not_matched_by_source_delete(_one_of(replaced))
            merge.execute(table)

    def touch(self, documents: Iterable[StoredDocument]) -> None:
        """Note new sizes and times of files whose content stayed."""
        with _explained(self.uri, "cannot be written"):
            for one in documents:
                values = {"size": one.size, "modified": one.modified}
                self._table.update(where=f"document = {sql_text(one.id)}", values=values)

    def remove(self, documents: Sequence[str]) -> None:
        """Forget documents; ids that are not there are left alone."""
        if documents:
            with _explained(self.uri, "cannot be written"):
                self._table.delete(_one_of(documents))

    def optimise(self, keep: timedelta = KEPT_VERSIONS) -> None:
        """Bring words and vectors of new passages into their indexes, and small files together.

        What readers that opened the index longer than ``keep`` ago may still use is deleted.
        """
        with _explained(self.uri, "cannot be written"):
            indexed = {column for index in self._table.list_indices() for column in index.columns}
            if VECTOR not in indexed and self._table.count_rows() >= VECTOR_INDEX_ROWS:
                self._table.create_index(VECTOR, config=_nearest_vectors())
            self._table.optimize(cleanup_older_than=keep)

    def search(self, question: str, vector: Any, limit: int, where: str | None = None) -> pa.Table:
        """The rows that suit a question most, best first.

        Args:
            question: its words are searched; "" searches vectors alone.
            vector: float32 [dimension]; None searches words alone. Where both are given, the two rankings are fused by
                their reciprocal ranks (Cormack et al., 2009).
            limit: how many rows.
            where: an SQL condition on the columns.
        """
        with _explained(self.uri, "cannot be searched"):
            try:
                return self._found(question, vector, limit, where)
            except RuntimeError:  # files of an older version were deleted meanwhile
                self._table.checkout_latest()
                return self._found(question, vector, limit, where)

    def _found(self, question: str, vector: Any, limit: int, where: str | None) -> pa.Table:
        from lancedb.rerankers import RRFReranker

        if vector is None:
            query = self._table.search(question, query_type="fts")
        elif not question:
            query = self._table.search(vector, query_type="vector", vector_column_name=VECTOR)
        else:
            query = self._table.search(query_type="hybrid", vector_column_name=VECTOR)
            query = query.vector(vector).text(question).rerank(RRFReranker())
        if vector is not None:
            query = query.distance_type("dot").nprobes(PARTS_SEARCHED).refine_factor(REFINED)
        if where is not None:
            query = query.where(where, prefilter=True)
        return query.limit(limit).to_arrow()


def _one_of(documents: Sequence[str]) -> str:
    return f"document IN ({', '.join(map(sql_text, documents))})"


def _is_local(uri: str) -> bool:
    return "://" not in uri


def _may_hold_index(folder: Path) -> bool:
    """Whether a folder, if it is one, is empty or holds an index already, perhaps a broken or a served one."""
    known = (f"{TABLE}.lance", LOCK, "uploads", "feedback.sqlite", "feedback.sqlite-wal", "feedback.sqlite-shm")
    return folder.is_dir() and all(path.name in known for path in folder.iterdir())


def _connect(uri: str) -> Any:
    os.environ.setdefault("LANCE_LOG", "error")  # it warns of its own deprecations
    import lancedb

    return lancedb.connect(uri, read_consistency_interval=FRESH)


def _full_text() -> Any:
    from lancedb.index import FTS

    return FTS(base_tokenizer="icu", stem=False, remove_stop_words=False)


def _nearest_vectors() -> Any:
    from lancedb.index import IvfRq

    # A bit for each dimension (RaBitQ) is made in seconds where product quantisation takes minutes to learn its codes.
    return IvfRq(distance_type="dot")


def _settings(where: str, header: bytes | None) -> IndexSettings:
    try:
        content = json.loads(header or b"null")
        version = content.pop("format_version")
    except (AttributeError, KeyError, ValueError) as error:
        raise PassageIndexError(f"{where}: holds a table that polyspan did not make; name another folder") from error
    if version != FORMAT_VERSION:
        raise PassageIndexError(
            f"{where}: an index of version {version}, this polyspan makes version {FORMAT_VERSION}; "
            f"index the files anew with polyspan index PATH... --index {where} --rebuild"
        )
    return IndexSettings(**content)


@contextmanager
def _explained(where: str, what: str) -> Iterator[None]:
    """Turn LanceDB's errors, which share no base of their own, into ours."""
    try:
        yield
    except (PassageIndexError, InputError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).partition(", /")[0]  # what follows is a place in LanceDB's source
        raise PassageIndexError(
            f"{where}: {what} ({reason:.300}); if files are missing or cut off, index anew with "
            f"polyspan index PATH... --index {where} --rebuild"
        ) from error
