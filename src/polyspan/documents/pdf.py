"""PDF to text, page by page."""

import ctypes
import sys
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from polyspan.documents.layout import SPLIT_MARK, Layout, lay_out
from polyspan.documents.limits import check_length
from polyspan.documents.pages import join_pages
from polyspan.errors import DocumentError
from polyspan.types import FloatArray

# pdfium keeps state of its own and may be used by one thread at a time.
_LOCK = threading.Lock()
# What pdfium gives where a font does not say which character it draws.
_UNKNOWN = 0xFFFE
# In points: no page is as large, but broken files place text anywhere.
_FARTHEST = 1e6


@dataclass(frozen=True, slots=True)
class PageText:
    """A page's text, and the box of each of its characters.

    ``boxes`` holds left, top, right and bottom, 0 to 1 from the page's top left corner as it is shown, of each of the
    page's characters [page's characters, 4]; ``layout`` tells which of them each character of the text is.
    """

    layout: Layout
    boxes: FloatArray


def read_pdf(data: bytes, name: str) -> tuple[str, tuple[int, ...]]:
    """Return the text of all pages, and the character at which each page begins.

    Columns are read one after the other. A hyphen that splits a word at a line's end is left out with the line break,
    or only the line break where a digit or a capital follows.

    Raises:
        DocumentError: the file is broken or encrypted, or no page holds text.
    """
    with open_pdf(data, name) as pdf:
        text, starts = join_pages((read_page(pdf, index, name).layout.text for index in range(len(pdf))), name)
    if not text.strip():
        raise DocumentError(f"{name}: the PDF holds no text, so it seems to be scanned; run OCR on it first")
    return text, starts


@contextmanager
def open_pdf(data: bytes, name: str) -> Iterator[Any]:
    """Open a PDF with pypdfium2, for one thread at a time.

    Raises:
        DocumentError: the file is broken or encrypted, also where that shows only later.
    """
    from pypdfium2 import PdfDocument, PdfiumError
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    try:
        with _LOCK, PdfDocument(data) as pdf:
            yield pdf
    except PdfiumError as error:
        if error.err_code == FPDF_ERR_PASSWORD:
            raise DocumentError(f"{name}: the PDF needs a password; save it without one") from error
        raise DocumentError(f"{name}: not a readable PDF ({error}); save it again from its source") from error


def read_page(pdf: Any, index: int, name: str) -> PageText:
    """Return the text of one page, counted from 0.

    Raises:
        DocumentError: the page is longer than a document may be.
    """
    page = pdf[index]
    text_page = page.get_textpage()
    try:
        check_length(text_page.count_chars(), name)
        codes, boxes = _read_characters(text_page)
        boxes = _as_shown(boxes, page.get_bbox(), page.get_rotation())
        drawn = boxes[:, 2] > boxes[:, 0]
        outside = drawn & ((boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= 1).any(axis=1))
        codes = [0 if hidden else code for code, hidden in zip(codes, outside.tolist(), strict=True)]
        width, height = page.get_size()
    finally:
        text_page.close()
        page.close()
    return PageText(lay_out(codes, boxes * np.asarray([width, height] * 2, np.float32)), boxes)


def _read_characters(text_page: Any) -> tuple[list[int], FloatArray]:
    """UTF-16 code units in pdfium's order, and left, bottom, right and top of their boxes in the page's own points."""
    from pypdfium2 import raw

    codes: list[int] = []
    boxes = array("f")
    box = raw.FS_RECTF()
    handle, reference = text_page.raw, ctypes.byref(box)
    for index in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(handle, index)
        if code == SPLIT_MARK and not raw.FPDFText_IsHyphen(handle, index):
            code = 0
        codes.append(0 if code == _UNKNOWN or code > sys.maxunicode else code)
        raw.FPDFText_GetLooseCharBox(handle, index, reference)
        boxes.extend((box.left, box.bottom, box.right, box.top))
    return codes, np.nan_to_num(np.asarray(boxes, np.float32)).clip(-_FARTHEST, _FARTHEST).reshape(-1, 4)


def _as_shown(boxes: FloatArray, area: tuple[float, float, float, float], rotation: int) -> FloatArray:
    """Boxes from points, y upwards, to fractions of the page as it is shown, y downwards.

    ``area`` is left, bottom, right and top of what is shown, ``rotation`` 0, 90, 180 or 270 degrees clockwise.
    """
    left, bottom, right, top = area
    low, high = boxes[:, :2], boxes[:, 2:]
    size = np.maximum([right - left, top - bottom], 1e-3)
    x0, y0 = ((low - (left, bottom)) / size).T
    x1, y1 = ((high - (left, bottom)) / size).T
    shown = {
        0: (x0, 1 - y1, x1, 1 - y0),
        90: (y0, x0, y1, x1),
        180: (1 - x1, y0, 1 - x0, y1),
        270: (1 - y1, 1 - x1, 1 - y0, 1 - x0),
    }
    return np.stack(shown[rotation], axis=1).astype(np.float32)
