"""Small files that the tests of this folder build themselves."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import docx
import openpyxl
import pptx
import pytest

from pdfs import Page, build_pdf, lines
from polyspan.documents import limits

SaveDocx = Callable[[Any], bytes]


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    """See ``_make_pdf``."""
    return _make_pdf


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set limits, by name, for one test."""

    def set_limits(**limits_to_set: int) -> None:
        for name, limit in limits_to_set.items():
            monkeypatch.setattr(limits, name, limit)

    return set_limits


@pytest.fixture(scope="session")
def docx_bytes() -> bytes:
    """A DOCX with a paragraph, a table of two rows and another paragraph."""
    document = docx.Document()
    document.add_paragraph("Before the table.")
    table = document.add_table(2, 2)
    for cell, text in zip(
        [*table.rows[0].cells, *table.rows[1].cells], ["City", "River", "Köln", "Rhein"], strict=True
    ):
        cell.text = text
    document.add_paragraph("After the table.")
    return _save(document)


@pytest.fixture(scope="session")
def save_docx() -> SaveDocx:
    """The bytes of a python-docx document."""
    return _save


@pytest.fixture(scope="session")
def archive_files() -> Mapping[str, bytes]:
    """A file of each format that is an archive, with "Some text." in it."""
    document = docx.Document()
    document.add_paragraph("Some text.")
    slides = pptx.Presentation()
    slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "Some text."
    workbook = openpyxl.Workbook()
    workbook.active["A1"] = "Some text."
    return {"docx": _save(document), "pptx": _save(slides), "xlsx": _save(workbook), "epub": _make_epub()}


def _make_epub() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", "<container><rootfile full-path='book.opf'/></container>")
        item = "<item id='one' href='one.xhtml' media-type='application/xhtml+xml'/>"
        spine = "<spine><itemref idref='one'/></spine>"
        archive.writestr("book.opf", f"<package><manifest>{item}</manifest>{spine}</package>")
        archive.writestr("one.xhtml", "<html><body><p>Some text.</p></body></html>")
    return file.getvalue()


def _save(document: Any) -> bytes:
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def _make_pdf(pages: Sequence[Sequence[str]], *, encrypted: bool = False) -> bytes:
    """A PDF with one page for each list of lines; an empty list gives a page with a drawing, no text."""
    key = "00" * 32
    trailer = f"/ID [<{key}> <{key}>] /Encrypt << /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>"
    return build_pdf([Page(lines(page)) for page in pages], trailer=trailer if encrypted else "")
