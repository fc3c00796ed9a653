"""PPTX (Office Open XML) to text, slide by slide."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from polyspan.documents.archives import open_archive
from polyspan.documents.broken import refuse_broken
from polyspan.documents.ooxml import block_texts, drop_untold, local_name
from polyspan.documents.pages import join_pages

_TITLES = ("title", "ctrTitle")
_LEFT_OUT = ("dt", "ftr", "hdr", "sldNum")


def read_pptx(data: bytes, name: str) -> tuple[str, tuple[int, ...]]:
    """Return the text of all slides, also of hidden ones, and the character at which each begins.

    A slide is its title, then its other texts in the order in which they are drawn, one paragraph or table row a line
    with cells parted by tabs, and after a blank line its notes. Dates, footers and slide numbers are left out, and so
    are charts, pictures and comments.

    Raises:
        DocumentError: the file is broken, or too large when unpacked.
    """
    from pptx import Presentation

    with refuse_broken(name, "PPTX", "a presentation program"):
        open_archive(data, name).close()
        return join_pages(map(_slide_text, Presentation(BytesIO(data)).slides), name)


def _slide_text(slide: Any) -> str:
    tree = slide.shapes.element
    drop_untold(tree)
    titles = [shape for shape in tree.iter("{*}sp") if _placeholder(shape) in _TITLES]
    lines = [" ".join(" ".join(block_texts(title)).split()) for title in titles]
    for title in titles:
        title.getparent().remove(title)
    lines += _shape_texts(tree, slide.part)
    notes: list[str] = []
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if frame is not None:
        notes += block_texts(frame._element)
    texts = ("\n".join(filter(str.strip, part)) for part in (lines, notes))
    return "\n\n".join(filter(None, texts))


def _shape_texts(parent: Any, part: Any) -> Iterator[str]:
    for child in parent.iterchildren("{*}*"):
        kind = local_name(child)
        if kind == "sp" and _placeholder(child) in _LEFT_OUT:
            continue
        if kind in ("txBody", "graphicData"):
            yield from block_texts(child)
            for diagram in child.iterchildren("{*}relIds"):
                yield from block_texts(_diagram_data(diagram, part))
        else:
            yield from _shape_texts(child, part)


def _placeholder(shape: Any) -> str | None:
    """What a shape is a placeholder of."""
    placeholder = next(shape.iter("{*}ph"), None)
    return None if placeholder is None else placeholder.get("type")


def _diagram_data(diagram: Any, part: Any) -> Any:
    """The texts of a diagram (SmartArt), which stand in a part of their own."""
    from lxml.etree import XMLParser, fromstring

    relationship = next(value for key, value in diagram.attrib.items() if key.endswith("}dm"))
    return fromstring(part.related_part(relationship).blob, XMLParser(resolve_entities=False))
