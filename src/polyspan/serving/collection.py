"""What a server answers from: an index, and the uploaded files beside it."""

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from polyspan.backends import TextEncoder, open_encoder
from polyspan.documents import read_bytes, read_document
from polyspan.errors import InputError
from polyspan.pipeline import PipelineOptions, QAPipeline
from polyspan.reader import Reader
from polyspan.retrieval import (
    IndexRanking,
    IndexReport,
    IndexSettings,
    PassageStore,
    index_documents,
    index_paths,
    to_document,
)
from polyspan.retrieval.rows import to_passage
from polyspan.types import Document, Passage, Span

UPLOADS = "uploads"
MAX_NAME_BYTES = 200
_UNSAFE = re.compile(r"[/\\:*?\"<>|]")


class Collection:
    """Documents that can be asked, added and removed; safe to use from several threads.

    An uploaded file is first written to ``uploads`` in the index's folder, whole, and then indexed; so what was taken
    is there after a kill, and what was not indexed yet is when the collection is opened again.
    """

    def __init__(
        self, reader: Reader, folder: Path, encoder: TextEncoder | None = None, *, takes_uploads: bool = True
    ) -> None:
        """Open the index in a folder, or make one there.

        Args:
            reader: answers.
            folder: of the index.
            encoder: the one the index was made with; None opens it.
            takes_uploads: False leaves what is in ``uploads`` alone, as another process may be writing there.

        Raises:
            PassageIndexError: where the folder holds something else, or an index of another encoder.
        """
        self.reader = reader
        if PassageStore.exists(folder):
            self.store = PassageStore.open(folder)
            self.encoder = encoder or open_encoder(self.store.settings.encoder or None)
        else:
            self.encoder = encoder or open_encoder()
            self.store = PassageStore.create(folder, IndexSettings("", self.encoder.digest, self.encoder.dimension))
        self._uploads = folder / UPLOADS
        self._writing = Lock()
        if takes_uploads:
            self._uploads.mkdir(exist_ok=True)
            self._finish_uploads()

    def pipeline_of(self, options: PipelineOptions) -> QAPipeline:
        """A pipeline over the same index that reads so many passages."""
        return QAPipeline(self.reader, self.ranking(), options)

    def ranking(self) -> IndexRanking:
        """What ranks the passages of the index."""
        return IndexRanking(self.store, self.encoder)

    def index(self, paths: Iterable[Path]) -> IndexReport:
        """Bring files and folders into the index, as ``polyspan index`` does."""
        with self._writing:
            return index_paths(self.store, self.encoder, list(paths))

    def documents(self) -> list[dict[str, Any]]:
        """What there is, by id."""
        return [{"id": one.id, "uploaded": _is_upload(one.id)} for one in self.store.documents()]

    def add(self, name: str, content: bytes) -> str:
        """Take a file under the last part of its name, in the place of the one of that name; its document's id.

        Raises:
            InputError: where the name is none.
            DocumentError: where the content cannot be read.
        """
        safe = safe_name(name)
        document = read_bytes(content, safe)  # refused before anything is written
        with self._writing:
            file = self._uploads / safe
            unfinished = file.with_name(f".{safe}.part")
            with unfinished.open("wb") as written:
                written.write(content)
                written.flush()
                os.fsync(written.fileno())
            unfinished.replace(file)
            index_documents(self.store, self.encoder, [replace(document, id=_id(file))])
        return _id(file)

    def remove(self, document: str) -> bool:
        """Forget a document, and delete its file if it was uploaded; whether there was one."""
        with self._writing:
            held = any(one.id == document for one in self.store.documents())
            if _is_upload(document):
                (self._uploads / safe_name(document)).unlink(missing_ok=True)
            if held:
                with self.store.exclusive():
                    self.store.remove([document])
        return held

    def text(self, document: str) -> Document | None:
        """A document's text as its offsets count it, with its pages; None where there is no such document."""
        rows = self.store.document_rows(document)
        return to_document(rows) if rows else None

    def passage(self, document: str, span: Span) -> Passage | None:
        """The passage that a span stands in, of several the one with most text on both sides; None where in none."""
        around = [
            row for row in self.store.document_rows(document) if row["start"] <= span.start < span.end <= row["end"]
        ]
        if not around:
            return None
        return to_passage(max(around, key=lambda row: min(span.start - row["start"], row["end"] - span.end)))

    def pdf(self, document: str) -> Path | None:
        """A document's file, where it is a PDF that is still there."""
        if not document.lower().endswith(".pdf") or not self.store.document_rows(document):
            return None
        file = self._uploads / Path(document).name if _is_upload(document) else Path(document)
        return file if file.is_file() else None

    def _finish_uploads(self) -> None:
        """Index what was uploaded but not indexed, and delete what was never whole."""
        for unfinished in self._uploads.glob(".*"):
            unfinished.unlink()
        files = sorted(self._uploads.iterdir())
        index_documents(self.store, self.encoder, (read_document(file, _id(file)) for file in files))


def safe_name(name: str) -> str:
    """The last part of a file's name, without what a file system may take for something else.

    Raises:
        InputError: where nothing is left, or too much.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    plain = "".join(one for one in last if unicodedata.category(one)[0] != "C")
    safe = _UNSAFE.sub("_", plain).strip().lstrip(".")
    if not safe or len(safe.encode()) > MAX_NAME_BYTES:
        raise InputError(f"{name!r:.80} is no name of a file; give one of 1 to {MAX_NAME_BYTES} bytes")
    return safe


def _id(file: Path) -> str:
    return f"{UPLOADS}/{file.name}"


def _is_upload(document: str) -> bool:
    return document.startswith(f"{UPLOADS}/")
