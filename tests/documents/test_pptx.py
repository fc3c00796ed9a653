"""PPTX: slides as pages, order, tables, notes, diagrams, what cannot be read."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pptx
import pytest
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml

from polyspan.documents import read_bytes
from polyspan.errors import DocumentError

TITLE_ONLY, TITLE_AND_BODY, BLANK = 5, 1, 6

DIAGRAM = """<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
 <a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/diagram">
 <dgm:relIds xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" r:dm="{}" r:lo="x"/>
 </a:graphicData></a:graphic></p:graphicFrame>"""
DIAGRAM_DATA = b"""<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst>
 <dgm:pt><dgm:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p></dgm:t></dgm:pt>
 <dgm:pt><dgm:t><a:p/></dgm:t></dgm:pt>
 <dgm:pt><dgm:t><a:p><a:r><a:t>Build</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"""


def save(presentation: Any) -> bytes:
    file = BytesIO()
    presentation.save(file)
    return file.getvalue()


def with_slide(layout: int) -> tuple[Any, Any]:
    presentation = pptx.Presentation()
    return presentation, presentation.slides.add_slide(presentation.slide_layouts[layout])


def add_box(shapes: Any, text: str) -> Any:
    box = shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = text
    return box


@pytest.fixture(scope="module")
def pptx_bytes() -> bytes:
    presentation, slide = with_slide(TITLE_AND_BODY)
    slide.shapes.title.text = "The\vferry"
    slide.placeholders[1].text = "It runs daily.\nIt stops in fog."
    slide.notes_slide.notes_text_frame.text = "Mention the price.\nSmile."
    presentation.slides.add_slide(presentation.slide_layouts[BLANK])
    presentation.slides.add_slide(presentation.slide_layouts[TITLE_ONLY]).shapes.title.text = "Questions"
    return save(presentation)


def test_pptx_slides_are_pages_of_title_body_and_notes(pptx_bytes: bytes) -> None:
    document = read_bytes(pptx_bytes, "a.pptx")
    slide = "The ferry\nIt runs daily.\nIt stops in fog.\n\nMention the price.\nSmile."
    assert document.text == f"{slide}\n\n\n\nQuestions"
    assert document.page_starts == (0, len(slide) + 2, len(slide) + 4)
    assert document.page_at(document.text.index("Questions")) == 3
    assert document.meta == {"format": "pptx", "title": "The ferry"}


def test_pptx_title_comes_first_and_other_shapes_as_they_are_drawn() -> None:
    presentation, slide = with_slide(TITLE_ONLY)
    add_box(slide.shapes, "first")
    add_box(slide.shapes.add_group_shape().shapes, "grouped")
    add_box(slide.shapes, "last")
    slide.shapes.title.text = "Title"
    slide.shapes._spTree.append(slide.shapes.title._element)
    assert read_bytes(save(presentation), "a.pptx").text == "Title\nfirst\ngrouped\nlast"


def test_pptx_tables_are_rows_with_tabs() -> None:
    presentation, slide = with_slide(BLANK)
    table = slide.shapes.add_table(2, 2, 0, 0, 9, 9).table
    for cell, text in zip(table.iter_cells(), ["City", "River", "Port\nSelwick", "Merrow"], strict=True):
        cell.text = text
    assert read_bytes(save(presentation), "a.pptx").text == "City\tRiver\nPort Selwick\tMerrow"


def test_pptx_leaves_dates_footers_and_numbers_out() -> None:
    presentation, slide = with_slide(TITLE_ONLY)
    slide.shapes.title.text = "Title"
    for number, kind in enumerate(["dt", "ftr", "sldNum"], start=20):
        shape = add_box(slide.shapes, kind)._element
        shape.nvSpPr.nvPr.append(parse_xml(f'<p:ph xmlns:p="{shape.nsmap["p"]}" type="{kind}" idx="{number}"/>'))
    assert read_bytes(save(presentation), "a.pptx").text == "Title"


def test_pptx_reads_diagrams_and_the_first_of_alternatives() -> None:
    presentation, slide = with_slide(BLANK)
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", slide.part.package, DIAGRAM_DATA)
    relationship = slide.part.relate_to(part, f"{RELATIONSHIP_TYPE.SLIDE.rpartition('/')[0]}/diagramData")
    slide.shapes._spTree.append(parse_xml(DIAGRAM.format(relationship)))
    box = add_box(slide.shapes, "new")._element
    alternatives = parse_xml(
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        "<mc:Choice/><mc:Fallback/></mc:AlternateContent>"
    )
    box.getparent().append(alternatives)
    alternatives[0].append(box)
    alternatives[1].append(add_box(slide.shapes, "old")._element)
    assert read_bytes(save(presentation), "a.pptx").text == "Plan\nBuild\nnew"


def test_pptx_without_text_is_refused() -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        read_bytes(save(with_slide(BLANK)[0]), "a.pptx")


def test_pptx_that_is_broken_is_refused(pptx_bytes: bytes) -> None:
    for end in range(4, len(pptx_bytes), len(pptx_bytes) // 8):
        with pytest.raises(DocumentError, match=r"^a\.pptx: not a readable PPTX file"):
            read_bytes(pptx_bytes[:end], "a.pptx")


def test_pptx_with_changed_bytes_is_read_or_refused(pptx_bytes: bytes) -> None:
    for position in range(4, len(pptx_bytes), len(pptx_bytes) // 15):
        changed = bytearray(pptx_bytes)
        changed[position] ^= 0xFF
        with suppress(DocumentError):
            assert read_bytes(bytes(changed), "a.pptx").page_starts


def test_pptx_too_long_a_text_is_refused(pptx_bytes: bytes, small_limits: Callable[..., None]) -> None:
    small_limits(MAX_CHARACTERS=50)
    with pytest.raises(DocumentError, match=r"^a\.pptx: the text is longer than the limit of 50 characters"):
        read_bytes(pptx_bytes, "a.pptx")
