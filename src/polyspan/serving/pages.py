"""The pages of a collection's PDFs as pictures, and where quotes stand in them."""

import hashlib
from functools import lru_cache
from pathlib import Path

from polyspan.documents import quote_boxes, read_document, render_page
from polyspan.types import Document, PageBox, Span


def picture_tag(file: Path, page: int, width: int) -> str:
    """What tells one picture from others, without drawing it: an HTTP entity tag."""
    status = file.stat()
    known = f"{file.as_posix()} {status.st_mtime_ns} {status.st_size} {page} {width}"
    return f'"{hashlib.sha256(known.encode()).hexdigest()[:32]}"'


def picture(file: Path, page: int, width: int) -> bytes:
    """A page, counted from 1, as PNG.

    Raises:
        DocumentError: the file cannot be read.
        InputError: there is no such page.
    """
    return render_page(file, page, width)


def boxes(file: Path, start: int, end: int) -> list[PageBox]:
    """Where characters ``start`` to ``end`` stand, a box for each line.

    Raises:
        DocumentError: the file cannot be read.
        InputError: no quote stands there.
    """
    status = file.stat()
    return quote_boxes(file, _read(file, status.st_mtime_ns, status.st_size), Span(start, end))


@lru_cache(maxsize=4)
def _read(file: Path, modified: int, size: int) -> Document:  # noqa: ARG001 -- a changed file is another one
    """The document of a PDF, which quotes of it are found in one after another."""
    return read_document(file)
