"""Files to documents: plain text, Markdown, HTML, PDF and DOCX.

A format's own library is imported when the first file of that format is read.
"""

from polyspan.documents.files import find_files, read_bytes, read_document, read_documents

__all__ = ["find_files", "read_bytes", "read_document", "read_documents"]
