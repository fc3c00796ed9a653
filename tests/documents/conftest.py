"""Small PDF and DOCX files that the tests of this folder build themselves."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import docx
import pytest

SaveDocx = Callable[[Any], bytes]


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    """See ``_build_pdf``."""
    return _build_pdf


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


def _save(document: Any) -> bytes:
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def _page_content(lines: Sequence[str]) -> bytes:
    shown = "".join(f"({line.replace('(', chr(92) + '(').replace(')', chr(92) + ')')}) Tj T* " for line in lines)
    return f"BT /F1 12 Tf 14 TL 50 750 Td {shown}ET".encode("cp1252") if lines else b"0 0 100 100 re f"


def _build_pdf(pages: Sequence[Sequence[str]], *, encrypted: bool = False) -> bytes:
    """A PDF with one page for each list of lines; an empty list gives a page with a drawing, no text."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        content = _page_content(lines)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R"
    if encrypted:
        key = "00" * 32
        trailer += f" /ID [<{key}> <{key}>] /Encrypt << /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>"
    return _assemble(objects, trailer)


def _assemble(objects: Sequence[bytes], trailer: str) -> bytes:
    file = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    xref = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    start = len(file)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{xref}".encode()
    file += f"trailer\n<< {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(file)
