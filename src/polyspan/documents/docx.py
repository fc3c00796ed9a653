"""DOCX (Office Open XML) to text."""

from io import BytesIO

from polyspan.documents.archives import open_archive
from polyspan.documents.broken import refuse_broken
from polyspan.documents.ooxml import block_texts, drop_untold


def read_docx(data: bytes, name: str) -> str:
    """Return paragraphs and table rows, one a line, in order; cells are parted by tabs.

    Tracked insertions and content controls count as text; headers, footers and notes are left out.

    Raises:
        DocumentError: the file is broken, or too large when unpacked.
    """
    from docx import Document

    with refuse_broken(name, "DOCX", "a word processor"):
        open_archive(data, name).close()
        body = Document(BytesIO(data)).element.body
        drop_untold(body)
        return "\n".join(block_texts(body))
