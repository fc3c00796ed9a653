"""Paths of a command line to documents."""

import sys
from collections.abc import Sequence
from pathlib import Path

from polyspan.cli.output import notice
from polyspan.documents import read_bytes, read_documents
from polyspan.errors import DocumentError
from polyspan.types import Document


def documents_of(paths: Sequence[Path]) -> list[Document]:
    """All that can be read of files, folders and - for stdin; bad files are named on stderr.

    Raises:
        DocumentError: where nothing is left.
    """
    files = [path for path in paths if str(path) != "-"]
    documents, errors = read_documents(files) if files else ([], [])
    if len(files) < len(paths):
        documents.append(read_bytes(sys.stdin.buffer.read(), "-"))
    if not documents:
        raise errors[0] if len(errors) == 1 else DocumentError("; ".join(map(str, errors)))
    for error in errors:
        notice(f"skipped {error}")
    return documents
