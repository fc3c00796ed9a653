"""Boxes of quotes, held against the picture of their page: what a quote draws lies in its boxes, and nothing else."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pdfs import A4, Page, Text, build_pdf, by_rows, lines
from polyspan.documents import quote_boxes, read_bytes, read_document, render_page
from polyspan.documents.pictures import MAX_WIDTH
from polyspan.errors import DocumentError, InputError
from polyspan.types import Document, PageBox, Span

WIDTH = 600
LEFT = [
    "The river rises in the hills and",
    "crosses seven counties with many",
    "old bridges, some of them of oak, exam-",
]
LEFT += ["ples of what the towns could build", "and of what they liked to look at."]
RIGHT = [
    "Nobody knows who built the oldest",
    "tower of the town, but some hold it",
    "was a merchant from the south coast",
]
RIGHT += ["who had become rich by selling silk", "and salt to all the villages around."]

Mask = npt.NDArray[np.bool_]


def pixels(pdf: bytes, page: int = 1) -> npt.NDArray[np.int16]:
    return np.asarray(Image.open(BytesIO(render_page(pdf, page, WIDTH))).convert("L"), np.int16)


def boxes_of(pdf: bytes, quote: str, document: Document | None = None) -> list[PageBox]:
    document = read_bytes(pdf, "a.pdf") if document is None else document
    start = document.text.index(quote)
    return quote_boxes(pdf, document, Span(start, start + len(quote)))


def mask(boxes: Sequence[PageBox], shape: tuple[int, int], margin: int) -> Mask:
    """The pixels of boxes, with so many more or fewer on each side."""
    height, width = shape
    within = np.zeros(shape, np.bool_)
    for box in boxes:
        rows = slice(max(round(box.top * height) - margin, 0), round(box.bottom * height) + margin)
        within[rows, max(round(box.left * width) - margin, 0) : round(box.right * width) + margin] = True
    return within


def turned(texts: Sequence[str], x: float, y: float, turn: int) -> list[Text]:
    """Lines as they look upright on a page that is turned clockwise."""
    step_x, step_y = {0: (0, -14), 90: (14, 0), 180: (0, 14), 270: (-14, 0)}[turn]
    return [Text(x + step_x * n, y + step_y * n, text, turned=turn) for n, text in enumerate(texts)]


@pytest.mark.parametrize("crop", [A4, (30, 40, 560, 800)], ids=["whole", "cropped"])
@pytest.mark.parametrize(("turn", "x", "y"), [(0, 60, 700), (90, 100, 60), (180, 540, 100), (270, 500, 780)])
def test_pictures_what_a_quote_draws_is_within_its_boxes(
    turn: int, x: float, y: float, crop: tuple[float, float, float, float]
) -> None:
    texts = turned(LEFT, x, y, turn)
    pdf = build_pdf([Page(texts, turn, crop)])
    drawn = pixels(pdf) != pixels(build_pdf([Page([texts[0], *texts[2:]], turn, crop)]))
    boxes = boxes_of(pdf, LEFT[1])
    within = mask(boxes, drawn.shape, margin=1)
    assert len(boxes) == 1
    assert not drawn[~within].any()
    columns, rows = np.flatnonzero(drawn.any(axis=0)), np.flatnonzero(drawn.any(axis=1))
    assert columns[[0, -1]] == pytest.approx([boxes[0].left * WIDTH, boxes[0].right * WIDTH], abs=2.5)
    assert len(rows) > 0.6 * (boxes[0].bottom - boxes[0].top) * len(drawn)


@pytest.mark.parametrize("word", ["river", "hills", "seven", "oak", "examples", "liked", "town", "silk", "salt"])
def test_pictures_boxes_hold_a_word_and_no_more(word: str) -> None:
    pdf = build_pdf([Page(by_rows(lines(LEFT, y=700), lines(RIGHT, x=310, y=700)), crop=(40, 600, 540, 740))])
    shown = pixels(pdf)
    for box in boxes_of(pdf, word):
        area = mask([box], shown.shape, margin=0)
        columns = np.flatnonzero(area.any(axis=0))
        dark = (shown < 128) & area
        # Ink begins at both sides of the box, and between the neighbours there is a space.
        assert dark[:, columns[:4]].any()
        assert dark[:, columns[-4:]].any()
        beside = (shown < 200) & mask([replace(box, left=box.left - 3 / WIDTH)], shown.shape, 0) & ~area
        assert not beside.any()


def test_pictures_a_quote_of_several_lines_has_a_box_for_each() -> None:
    pdf = build_pdf([Page(by_rows(lines(LEFT, y=700), lines(RIGHT, x=310, y=700)))])
    boxes = boxes_of(
        pdf, "oak, examples of what the towns could build\nand of what they liked to look at.\nNobody knows"
    )
    assert [box.page for box in boxes] == [1] * 4
    assert [box.left < 0.5 for box in boxes] == [True, True, True, False]
    assert [box.top for box in boxes[:3]] == sorted(box.top for box in boxes[:3])
    assert boxes[3].top < boxes[0].top
    first, second = boxes_of(pdf, "examples")
    assert first.top < second.top
    assert first.right == boxes[0].right
    assert second.left == pytest.approx(50 / 595, abs=1e-3)


def test_pictures_boxes_are_those_of_the_page() -> None:
    pdf = build_pdf([Page(lines(["Same text."])), Page(), Page(lines(["Same text."], y=400))])
    document = read_bytes(pdf, "a.pdf")
    boxes = [quote_boxes(pdf, document, Span(start, start + 4)) for start in (0, document.page_starts[2])]
    assert [[box.page for box in page] for page in boxes] == [[1], [3]]
    over = quote_boxes(pdf, document, Span(5, document.page_starts[2] + 4))
    assert [box.page for box in over] == [1, 3]
    assert over[1] == boxes[1][0]
    assert quote_boxes(pdf, document, Span(document.page_starts[1], document.page_starts[2])) == []


def test_pictures_half_of_a_ligature_has_the_box_of_all() -> None:
    pdf = build_pdf([Page([Text(50, 700, "an \ufb01x")])])
    document = read_bytes(pdf, "a.pdf")
    f, i, x = (quote_boxes(pdf, document, Span(start, start + 1))[0] for start in (3, 4, 5))
    assert f == i
    assert x.left == pytest.approx(i.right)


def test_pictures_boxes_end_at_the_edge_of_the_page() -> None:
    pdf = build_pdf([Page(lines(["Cut off on the right"]), crop=(60, 100, 120, 800))])
    document = read_bytes(pdf, "a.pdf")
    box = quote_boxes(pdf, document, Span(0, len(document.text)))[0]
    assert (box.left, box.right) == (0, 1)


def test_pictures_of_examples_hold_their_quotes(tmp_path: Path) -> None:
    path = tmp_path / "two.pdf"
    path.write_bytes(build_pdf([Page(lines(["One line.", "Another line."]))]))
    document = read_document(path)
    boxes = [box for word in ("One", "Another") for box in boxes_of(path.read_bytes(), word, document)]
    assert boxes == [box for span in (Span(0, 3), Span(10, 17)) for box in quote_boxes(path, document, span)]


@pytest.mark.parametrize("width", [1, 333, 1000])
@pytest.mark.parametrize("turn", [0, 90])
def test_pictures_have_the_width_that_is_asked_for(width: int, turn: int) -> None:
    picture = Image.open(BytesIO(render_page(build_pdf([Page(lines(["Text."]), turn)]), 1, width)))
    assert picture.format == "PNG"
    assert picture.width == width
    assert picture.height == pytest.approx(width * (595 / 842 if turn else 842 / 595), abs=1)


def test_pictures_of_pages_that_do_not_exist_and_of_no_size_are_refused() -> None:
    pdf = build_pdf([Page(lines(["Text."]))])
    for page in (0, 2, -1):
        with pytest.raises(InputError, match=f"has no page {page}; expected a number from 1 to 1"):
            render_page(pdf, page)
    for width in (0, -5, MAX_WIDTH + 1, MAX_WIDTH):
        with pytest.raises(InputError, match=f"a picture {width} pixels wide"):
            render_page(pdf, 1, width)


@pytest.mark.parametrize("span", [Span(0, 0), Span(3, 2), Span(-1, 2), Span(0, 99)])
def test_pictures_spans_outside_of_the_text_are_refused(span: Span) -> None:
    pdf = build_pdf([Page(lines(["Text."]))])
    with pytest.raises(InputError, match=f"characters {span.start} to {span.end} of a text of 5 characters"):
        quote_boxes(pdf, read_bytes(pdf, "a.pdf"), span)


def test_pictures_of_another_file_are_refused(tmp_path: Path) -> None:
    pdf = build_pdf([Page(lines(["Text."]))])
    for other in (Document("Text.", page_starts=(0, 3)), Document("Test.", page_starts=(0,)), Document("Text.")):
        with pytest.raises(DocumentError, match="is not the file that the document was made from"):
            quote_boxes(pdf, other, Span(0, 4))
    with pytest.raises(DocumentError, match=r"gone\.pdf: cannot be read"):
        render_page(tmp_path / "gone.pdf", 1)
    with pytest.raises(DocumentError, match="not a readable PDF"):
        quote_boxes(b"no PDF", Document("Text."), Span(0, 4))


def test_pictures_are_drawn_by_several_threads() -> None:
    files = [build_pdf([Page(lines([f"Text {number}."] * 5))]) for number in range(6)]
    alone = [(render_page(pdf, 1, 200), boxes_of(pdf, "Text")) for pdf in files]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda pdf: (render_page(pdf, 1, 200), boxes_of(pdf, "Text")), files)) == alone
