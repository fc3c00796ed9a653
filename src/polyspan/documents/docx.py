"""DOCX (Office Open XML) to text."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from polyspan.documents.limits import MAX_UNPACKED_BYTES, check_bytes
from polyspan.errors import DocumentError

# Deletions that are only tracked, the old copies of drawings, and settings (whose tab stops look like tabs).
_DROPPED = ("{*}del", "{*}moveFrom", "{*}Fallback", "{*}pPr", "{*}rPr")
_MARKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "p": "\n"}


def read_docx(data: bytes, name: str) -> str:
    """Return paragraphs and table rows, one a line, in order; cells are parted by tabs.

    Tracked insertions and content controls count as text; headers, footers and notes are left out.

    Raises:
        DocumentError: the file is broken, or too large when unpacked.
    """
    from zipfile import ZipFile

    try:
        with ZipFile(BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        check_bytes(unpacked, MAX_UNPACKED_BYTES, f"{name} (unpacked)")
        return "\n".join(_block_texts(_open_body(data)))
    except DocumentError:
        raise
    except Exception as error:  # broken files fail in many ways: zip, XML, relationships, content types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DocumentError(
            f"{name}: not a readable DOCX file ({reason}); open it in a word processor and save it again"
        ) from error


def _open_body(data: bytes) -> Any:
    from docx import Document
    from lxml.etree import strip_elements

    body = Document(BytesIO(data)).element.body
    strip_elements(body, *_DROPPED, with_tail=False)
    return body


def _block_texts(parent: Any) -> Iterator[str]:
    # python-docx's own walk leaves out what stands in content controls and tracked insertions.
    for child in parent.iterchildren("{*}*"):
        kind = _local_name(child)
        if kind == "p":
            yield _paragraph_text(child)
        elif kind == "tbl":
            yield from ("\t".join(map(_cell_text, _nearest(row, "tc"))) for row in _nearest(child, "tr"))
        else:
            yield from _block_texts(child)


def _paragraph_text(paragraph: Any) -> str:
    parts = []
    for element in paragraph.iterdescendants("{*}*"):
        kind = _local_name(element)
        parts.append(element.text or "" if kind == "t" else _MARKS.get(kind, ""))
    return "".join(parts)


def _cell_text(cell: Any) -> str:
    return " ".join(filter(None, _block_texts(cell))).replace("\n", " ")


def _nearest(parent: Any, kind: str) -> Iterator[Any]:
    for child in parent.iterchildren("{*}*"):
        if _local_name(child) == kind:
            yield child
        else:
            yield from _nearest(child, kind)


def _local_name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
