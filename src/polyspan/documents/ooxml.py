"""The text of paragraphs and tables in Office Open XML: WordprocessingML and DrawingML name them alike."""

from collections.abc import Iterator
from typing import Any

# Deletions that are only tracked, the old copies of drawings, and settings (whose tab stops look like tabs).
_DROPPED = ("{*}del", "{*}moveFrom", "{*}Fallback", "{*}pPr", "{*}rPr")
_MARKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "p": "\n"}


def drop_untold(element: Any) -> None:
    """Take out of an element what is no text of the document."""
    from lxml.etree import strip_elements

    strip_elements(element, *_DROPPED, with_tail=False)


def block_texts(parent: Any) -> Iterator[str]:
    """The paragraphs and the rows of tables in an element, in order; cells are parted by tabs."""
    # The libraries' own walks leave out what stands in content controls, tracked insertions and alternatives.
    for child in parent.iterchildren("{*}*"):
        kind = local_name(child)
        if kind == "p":
            yield _paragraph_text(child)
        elif kind == "tbl":
            yield from ("\t".join(map(_cell_text, _nearest(row, "tc"))) for row in _nearest(child, "tr"))
        else:
            yield from block_texts(child)


def local_name(element: Any) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _paragraph_text(paragraph: Any) -> str:
    parts = []
    for element in paragraph.iterdescendants("{*}*"):
        kind = local_name(element)
        parts.append(element.text or "" if kind == "t" else _MARKS.get(kind, ""))
    return "".join(parts)


def _cell_text(cell: Any) -> str:
    return " ".join(filter(None, block_texts(cell))).replace("\n", " ")


def _nearest(parent: Any, kind: str) -> Iterator[Any]:
    for child in parent.iterchildren("{*}*"):
        if local_name(child) == kind:
            yield child
        else:
            yield from _nearest(child, kind)
