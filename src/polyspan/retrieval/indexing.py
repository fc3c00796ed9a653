"""Files and documents into an index; of files only what changed is read again."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import starmap
from pathlib import Path

import pyarrow as pa

from polyspan.backends import TextEncoder
from polyspan.documents import locate_files, read_document
from polyspan.errors import DocumentError, InputError
from polyspan.retrieval.hybrid import check_encoder
from polyspan.retrieval.passages import cut_passages
from polyspan.retrieval.rows import StoredDocument, to_rows
from polyspan.retrieval.store import IndexSettings, PassageStore
from polyspan.types import Document, Passage

COMMIT_PASSAGES = 512
COMMIT_SECONDS = 20.0
OPTIMISE_PASSAGES = 50_000
"""After so many new passages those whose words are not indexed yet would make questions slow."""


@dataclass(slots=True)
class IndexReport:
    """What a run did: how many documents were what, ``passages`` written, and an error for each bad file."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    errors: list[DocumentError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file on its way into an index: ``rows`` to write, or none where its content is known, or an ``error``."""

    stored: StoredDocument
    rows: pa.Table | None = None
    error: DocumentError | None = None


Prepare = Callable[[Sequence[tuple[Path, StoredDocument | None]]], Iterable[Prepared]]
Watch = Callable[[Iterable[Prepared], int], Iterable[Prepared]]


def index_paths(
    store: PassageStore,
    encoder: TextEncoder,
    paths: Sequence[Path],
    watch: Watch | None = None,
    prepare: Prepare | None = None,
) -> IndexReport:
    """Bring an index up to date with files and folders.

    A document's id is its file's path as found. Files of the size and time that the index knows are not opened; those
    that changed replace what was there; what the index holds of a given folder, but the folder no longer does, is
    removed. What cannot be read stays as it was. After an interruption the same call goes on.

    Args:
        store: the index.
        encoder: the one it was made with.
        paths: files and folders.
        watch: given files as they are done and their number, gives the same back, as a progress bar does.
        prepare: makes files into rows in any order, each with what the index knows of it; by default ``prepare_files``.

    Raises:
        PassageIndexError: where the index was made with another encoder or cannot be written.
    """
    check_encoder(store, encoder)
    if prepare is None:
        prepare = partial(prepare_files, encoder=encoder, settings=store.settings)
    with store.exclusive():
        known = {one.id: one for one in store.documents()}
        gone = [path.as_posix() for path in paths if path.as_posix() in known and _is_gone(path)]
        files, errors = locate_files([path for path in paths if path.as_posix() not in gone])
        report = IndexReport(errors=errors)
        writer = _Writer(store, known, report)
        done = prepare([(file, known.get(file.as_posix())) for file in files])
        for one in done if watch is None else watch(done, len(files)):
            writer.take(one)
        writer.finish()
        gone += _vanished(known, paths, files)
        store.remove(gone)
        report.removed = len(gone)
        store.optimise()  # also what an interrupted run left
    return report


def index_documents(store: PassageStore, encoder: TextEncoder, documents: Iterable[Document]) -> IndexReport:
    """Put documents into an index, each in the place of the one of the same id; those that are there stay unread.

    Raises:
        InputError: where a document has no id.
        PassageIndexError: where the index was made with another encoder or cannot be written.
    """
    check_encoder(store, encoder)
    with store.exclusive():
        known = {one.id: one for one in store.documents()}
        report = IndexReport()
        writer = _Writer(store, known, report)
        for one in _encoded(_read_documents(documents, known), encoder, store.settings):
            writer.take(one)
        writer.finish()
        store.optimise()
    return report


def prepare_files(
    files: Iterable[tuple[Path, StoredDocument | None]], encoder: TextEncoder, settings: IndexSettings
) -> Iterator[Prepared]:
    """Read, cut and encode files, those of which the index knows the present content aside."""
    return _encoded(starmap(_read_file, files), encoder, settings)


Read = tuple[StoredDocument, Document | DocumentError | None]


def _read_file(file: Path, known: StoredDocument | None) -> Read:
    """What the index is to know of a file, and its document, None where its content is known, or what is wrong."""
    name = file.as_posix()
    stored = StoredDocument(name, "")
    try:
        status = file.stat()
        if known is not None and (known.size, known.modified) == (status.st_size, status.st_mtime_ns):
            return known, None
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        stored = StoredDocument(name, digest, status.st_size, status.st_mtime_ns)
        return stored, None if known is not None and known.digest == digest else read_document(file)
    except OSError as error:
        return stored, DocumentError(f"{name}: cannot be read ({error.strerror}); check the path and its permissions")
    except DocumentError as error:
        return stored, error


def _read_documents(documents: Iterable[Document], known: Mapping[str, StoredDocument]) -> Iterator[Read]:
    for document in documents:
        if not document.id:
            raise InputError("a document without an id cannot be kept in an index; give each one a name of its own")
        content = [document.text, document.page_starts, {key: str(value) for key, value in document.meta.items()}]
        stored = StoredDocument(document.id, hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest())
        yield stored, None if known.get(document.id) == stored else document


def _encoded(read: Iterable[Read], encoder: TextEncoder, settings: IndexSettings) -> Iterator[Prepared]:
    """What was read, with rows; many documents are encoded together, as that is quicker."""
    waiting: list[tuple[StoredDocument, list[Passage]]] = []
    since = time.monotonic()
    for stored, content in read:
        if isinstance(content, Document):
            waiting.append((stored, cut_passages(content, settings.passage_bytes, settings.overlap_bytes)))
        else:
            yield Prepared(stored, error=content)
        many = sum(len(passages) for _, passages in waiting) >= COMMIT_PASSAGES
        if many or (waiting and time.monotonic() - since >= COMMIT_SECONDS):
            yield from _with_vectors(waiting, encoder)
            waiting, since = [], time.monotonic()
    yield from _with_vectors(waiting, encoder)


def _with_vectors(
    documents: Sequence[tuple[StoredDocument, Sequence[Passage]]], encoder: TextEncoder
) -> Iterator[Prepared]:
    vectors = encoder.encode_passages([one.text for _, passages in documents for one in passages])
    begin = 0
    for stored, passages in documents:
        yield Prepared(stored, to_rows(passages, stored, vectors[begin : begin + len(passages)]))
        begin += len(passages)


class _Writer:
    """Gathers documents until a transaction is worth its cost; counts what becomes of them."""

    def __init__(self, store: PassageStore, known: Mapping[str, StoredDocument], report: IndexReport) -> None:
        self._store = store
        self._known = known
        self._held = set(known)
        self._report = report
        self._waiting: dict[str, pa.Table] = {}
        self._touched: list[StoredDocument] = []
        self._since = time.monotonic()

    def take(self, one: Prepared) -> None:
        """Count a document; write it, perhaps later, where it has rows."""
        if one.error is not None:
            self._report.errors.append(one.error)
        elif one.rows is None:
            self._report.unchanged += 1
            if one.stored != self._known[one.stored.id]:
                self._touched.append(one.stored)
        else:
            self._waiting[one.stored.id] = one.rows
            rows = sum(map(len, self._waiting.values()))
            if rows >= COMMIT_PASSAGES or time.monotonic() - self._since >= COMMIT_SECONDS:
                self._flush()

    def finish(self) -> None:
        """Write what is waiting."""
        self._flush()
        self._store.touch(self._touched)

    def _flush(self) -> None:
        full = {name: rows for name, rows in self._waiting.items() if len(rows)}
        changed = self._held & set(self._waiting)
        if full:
            self._store.write(list(full.values()), self._held & set(full))
        self._store.remove(sorted(changed - set(full)))
        self._report.changed += len(changed)
        self._report.added += len(set(full) - self._held)
        written = self._report.passages + sum(map(len, full.values()))
        if self._report.passages // OPTIMISE_PASSAGES < written // OPTIMISE_PASSAGES:
            self._store.optimise()
        self._report.passages = written
        self._held |= set(full)
        self._waiting = {}
        self._since = time.monotonic()


def _vanished(known: Iterable[str], paths: Sequence[Path], files: Iterable[Path]) -> list[str]:
    """What is known of the given folders, but whose file is there no more."""
    found = {file.as_posix() for file in files}
    roots = [path.as_posix() for path in paths if path.is_dir()]
    left = [name for name in known if name not in found and any(_inside(name, root) for root in roots)]
    return [name for name in left if _is_gone(Path(name))]


def _is_gone(path: Path) -> bool:
    """Whether there is certainly no such file; a folder that cannot be opened leaves that open."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _inside(name: str, root: str) -> bool:
    return name.startswith(root.rstrip("/") + "/") or (root == "." and not name.startswith(("/", "../")))
