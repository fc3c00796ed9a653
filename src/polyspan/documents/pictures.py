"""Pages of PDFs as pictures, and where quotes stand in them."""

from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np

from polyspan.documents.files import load
from polyspan.documents.pages import PAGE_BREAK
from polyspan.documents.pdf import PageText, open_pdf, read_page
from polyspan.errors import DocumentError, InputError
from polyspan.types import Document, PageBox, Span

MAX_WIDTH = 10_000
_MAX_PIXELS = 50_000_000


def quote_boxes(pdf: Path | bytes, document: Document, span: Span) -> list[PageBox]:
    """Return where a quote stands on the pages of a PDF: a box for each of its lines, in reading order.

    Args:
        pdf: the file, or its content.
        document: what ``read_document`` or ``read_bytes`` made of it.
        span: the characters of the quote in the document's text.

    Raises:
        DocumentError: the file cannot be read, or is not the one that the document was made from.
        InputError: the span is empty or not within the text.
    """
    if not 0 <= span.start < span.end <= len(document.text):
        raise InputError(
            f"no quote stands at characters {span.start} to {span.end} of a text of {len(document.text)} characters;"
            " give the start and the end of an answer"
        )
    data, name = _content(pdf)
    ends = [start - len(PAGE_BREAK) for start in document.page_starts[1:]] + [len(document.text)]
    boxes: list[PageBox] = []
    with open_pdf(data, name) as opened:
        if len(opened) != len(document.page_starts):
            raise _other_file(name)
        for number, (start, end) in enumerate(zip(document.page_starts, ends, strict=True), start=1):
            if start < span.end and span.start < end:
                page = read_page(opened, number - 1, name)
                if page.layout.text != document.text[start:end]:
                    raise _other_file(name)
                boxes += _boxes_of_lines(page, max(span.start - start, 0), span.end - start, number)
    return boxes


def _boxes_of_lines(page: PageText, start: int, end: int, number: int) -> list[PageBox]:
    """A box for each line of characters ``start`` to ``end`` of the page's text."""
    sources = np.asarray(page.layout.sources[start:end], np.int64)
    lines = np.asarray(page.layout.lines[start:end], np.int64)
    boxes = np.clip(page.boxes[sources], 0, 1)
    drawn = (sources >= 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    found = []
    for line in dict.fromkeys(lines[drawn].tolist()):
        box = boxes[drawn & (lines == line)]
        found.append(PageBox(number, *box[:, :2].min(axis=0).tolist(), *box[:, 2:].max(axis=0).tolist()))
    return found


def render_page(pdf: Path | bytes, page: int, width: int = 1000) -> bytes:
    """Return a PNG picture of a page, counted from 1, as many pixels wide as ``width`` says (1 to ``MAX_WIDTH``).

    Raises:
        DocumentError: the file cannot be read.
        InputError: the page does not exist, or the picture would be too large.
    """
    data, name = _content(pdf)
    with open_pdf(data, name) as opened:
        if not 1 <= page <= len(opened):
            raise InputError(f"{name}: has no page {page}; expected a number from 1 to {len(opened)}")
        opened.init_forms()
        shown = opened[page - 1]
        scale = width / shown.get_width()
        if not (1 <= width <= MAX_WIDTH and width * ceil(shown.get_height() * scale) <= _MAX_PIXELS):
            raise InputError(
                f"{name}: a picture {width} pixels wide of page {page} has no useful size;"
                f" expected a width from 1 to {MAX_WIDTH} and at most {_MAX_PIXELS:,} pixels"
            )
        file = BytesIO()
        # What is less than a pixel too large would be rounded up.
        shown.render(scale=scale * (1 - 1e-6)).to_pil().save(file, "PNG")
        shown.close()
    return file.getvalue()


def _content(pdf: Path | bytes) -> tuple[bytes, str]:
    """The file's content, and what to call it in errors."""
    return (load(pdf), pdf.as_posix()) if isinstance(pdf, Path) else (pdf, "PDF")


def _other_file(name: str) -> DocumentError:
    return DocumentError(f"{name}: is not the file that the document was made from; read it again")
