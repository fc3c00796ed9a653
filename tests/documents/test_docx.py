"""DOCX: order, tables, tracked changes, what cannot be read."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from polyspan.documents import read_bytes
from polyspan.errors import DocumentError

SaveDocx = Callable[[Any], bytes]


def _xml(markup: str) -> Any:
    return parse_xml(markup.replace(">", f" {nsdecls('w')}>", 1))


def test_docx_keeps_the_order_of_paragraphs_and_tables(docx_bytes: bytes) -> None:
    document = read_bytes(docx_bytes, "a.docx")
    assert document.text == "Before the table.\nCity\tRiver\nKöln\tRhein\nAfter the table."
    assert document.page_starts == ()


def test_docx_leaves_headers_and_footers_out(save_docx: SaveDocx) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "HEADER"
    document.sections[0].footer.paragraphs[0].text = "FOOTER"
    document.add_paragraph("Body.")
    assert read_bytes(save_docx(document), "a.docx").text == "Body."


def test_docx_keeps_breaks_and_tabs_but_no_tab_stops(save_docx: SaveDocx) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("one\ttwo\nthree")
    paragraph.paragraph_format.tab_stops.add_tab_stop(914400)
    assert read_bytes(save_docx(document), "a.docx").text == "one\ttwo\nthree"


def test_docx_counts_insertions_and_content_controls_as_text_but_not_deletions(save_docx: SaveDocx) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("The ")
    element = paragraph._p
    element.append(_xml('<w:ins w:id="1" w:author="a"><w:r><w:t>new </w:t></w:r></w:ins>'))
    element.append(_xml('<w:del w:id="2" w:author="a"><w:r><w:delText>old </w:delText></w:r></w:del>'))
    element.append(_xml('<w:moveFrom w:id="3" w:author="a"><w:r><w:t>moved </w:t></w:r></w:moveFrom>'))
    paragraph.add_run("bridge")
    control = "<w:sdt><w:sdtContent><w:p><w:r><w:t>Chosen</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    element.addnext(_xml(control))
    assert read_bytes(save_docx(document), "a.docx").text == "The new bridge\nChosen"


def test_docx_puts_merged_nested_and_many_lined_cells_on_their_row(save_docx: SaveDocx) -> None:
    document = docx.Document()
    table = document.add_table(2, 3)
    table.cell(0, 0).text = "a"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "merged"
    table.cell(1, 0).text = "line\nbreak"
    nested = table.cell(1, 1).add_table(1, 2)
    nested.cell(0, 0).text, nested.cell(0, 1).text = "in", "ner"
    table.cell(1, 2).text = "z"
    assert read_bytes(save_docx(document), "a.docx").text == "a\tmerged\nline break\tin\tner\tz"


def test_docx_without_text_is_refused(save_docx: SaveDocx) -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        read_bytes(save_docx(docx.Document()), "a.docx")


def test_docx_that_is_broken_is_refused(docx_bytes: bytes) -> None:
    for end in range(4, len(docx_bytes), len(docx_bytes) // 15):
        with pytest.raises(DocumentError, match=r"^a\.docx: not a readable DOCX file"):
            read_bytes(docx_bytes[:end], "a.docx")


def test_docx_with_changed_bytes_is_read_or_refused(docx_bytes: bytes) -> None:
    for position in range(4, len(docx_bytes), len(docx_bytes) // 60):
        changed = bytearray(docx_bytes)
        changed[position] ^= 0xFF
        with suppress(DocumentError):
            assert "table" in read_bytes(bytes(changed), "a.docx").text


def test_docx_that_is_another_zip_is_refused() -> None:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "text")
    with pytest.raises(DocumentError, match=r"^a\.docx: not a readable DOCX file"):
        read_bytes(file.getvalue(), "a.docx")
