"""Files to documents: plain text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, EPUB and EML.

A format's own library is imported when the first file of that format is read.
"""

from polyspan.documents.files import find_files, locate_files, read_bytes, read_document, read_documents
from polyspan.documents.pictures import quote_boxes, render_page

__all__ = [
    "find_files",
    "locate_files",
    "quote_boxes",
    "read_bytes",
    "read_document",
    "read_documents",
    "render_page",
]
