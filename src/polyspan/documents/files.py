"""Which files there are, which format each has, and who reads it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from polyspan.documents.archives import archive_format
from polyspan.documents.docx import read_docx
from polyspan.documents.eml import read_eml
from polyspan.documents.epub import read_epub
from polyspan.documents.html import page_title, read_html
from polyspan.documents.limits import MAX_FILE_BYTES, MAX_TEXT_BYTES, check_bytes, check_length
from polyspan.documents.markdown import read_markdown
from polyspan.documents.pdf import read_pdf
from polyspan.documents.plain import read_plain
from polyspan.documents.pptx import read_pptx
from polyspan.documents.xlsx import read_xlsx
from polyspan.errors import DocumentError
from polyspan.types import TITLE, Document

_SUFFIXES = {
    "text": (".txt", ".text", ".log", ".rst", ".adoc", ".org", ".tex", ".csv", ".tsv", ".srt", ".vtt"),
    "markdown": (".md", ".markdown"),
    "html": (".html", ".htm", ".xhtml"),
    "pdf": (".pdf",),
    "docx": (".docx",),
    "pptx": (".pptx", ".pptm"),
    "xlsx": (".xlsx", ".xlsm"),
    "epub": (".epub",),
    "eml": (".eml",),
}
_FORMATS = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes}
_ARCHIVES = ("docx", "pptx", "xlsx", "epub")
_BINARY = ("pdf", *_ARCHIVES)
_READERS = {
    "text": read_plain,
    "markdown": read_markdown,
    "html": read_html,
    "docx": read_docx,
    "epub": read_epub,
    "eml": read_eml,
}
_READERS_OF_PAGES = {"pdf": read_pdf, "pptx": read_pptx, "xlsx": read_xlsx}

_PDF_HEADER = b"%PDF-"
_PDF_HEADER_WITHIN = 1024  # as readers of PDF allow
_ZIP_HEADER = b"PK\x03\x04"
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*+<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
# A line that may be that of a mailbox file, and a header.
_MAIL_START = re.compile(rb"(?:\xef\xbb\xbf)?(?:From [^\n]*\n)?[!-9;-~]+:")
_MAIL_BODY = re.compile(rb"\r?\n\r?\n")
# What a message has and a text that begins with a colon in its first line has not.
_MAIL_HEADERS = (
    re.compile(rb"^From:", re.IGNORECASE | re.MULTILINE),
    re.compile(rb"^(?:Message-ID|MIME-Version|Received):", re.IGNORECASE | re.MULTILINE),
)
_MAIL_HEADERS_WITHIN = 100_000
_SURROGATES = re.compile("[\ud800-\udfff]")
_LONGEST_TITLE = 120


def read_document(path: Path, id: str | None = None) -> Document:  # noqa: A002 -- the word of Document.id
    """Read one file. The document's id is the path as given unless ``id`` names another.

    Raises:
        DocumentError: the file is missing, too large, broken or empty, or of no supported format.
    """
    name = path.as_posix()
    return _to_document(load(path), name, name if id is None else id)


def load(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        DocumentError: the file is missing, or too large for its suffix, or no file.
    """
    name = path.as_posix()
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise DocumentError(f"{name}: is a folder; name the files in it")
        if not path.is_file():
            raise DocumentError(f"{name}: not a regular file; save its content to a file first")
        check_bytes(size, _max_bytes(_FORMATS.get(path.suffix.lower())), name)
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(error, path) from error


def read_bytes(data: bytes, name: str) -> Document:
    """Read the content of a file that is called ``name``, which becomes the document's id.

    The suffix of the name tells the format; the content does where the suffix is unknown.

    Raises:
        DocumentError: the content is too large, broken or empty, or of no supported format.
    """
    return _to_document(data, name, name)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return files as given, and the supported files in folders and their subfolders, sorted; each once.

    Hidden files and folders are skipped inside folders, and links to folders are not followed there.

    Raises:
        DocumentError: a path is missing, or a folder cannot be listed or holds no supported file.
    """
    files, errors = locate_files(paths)
    if errors:
        raise errors[0]
    return files


def read_documents(paths: Sequence[Path]) -> tuple[list[Document], list[DocumentError]]:
    """Read files and folders (see ``find_files``); return the documents, and an error for each bad path."""
    files, errors = locate_files(paths)
    documents = []
    for file in files:
        try:
            documents.append(read_document(file))
        except DocumentError as error:
            errors.append(error)
    return documents, errors


def locate_files(paths: Sequence[Path]) -> tuple[list[Path], list[DocumentError]]:
    """Return what ``find_files`` does, and an error for each bad path instead of raising the first."""
    files: dict[str, Path] = {}
    errors: list[DocumentError] = []
    for path in paths:
        try:
            path.stat()
            found = _walk(path, errors) if path.is_dir() else [path]
        except OSError as error:
            errors.append(_unreadable(error, path))
            continue
        for file in found:
            files.setdefault(os.path.realpath(file), file)
    return list(files.values()), errors


def _walk(folder: Path, errors: list[DocumentError]) -> list[Path]:
    failed: list[OSError] = []
    found = []
    for root, folders, names in os.walk(folder, onerror=failed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        candidates = (Path(root, name) for name in names if not name.startswith("."))
        found += [file for file in candidates if file.suffix.lower() in _FORMATS and file.is_file()]
    errors += [_unreadable(error, folder) for error in failed]
    if not found and not failed:
        suffixes = " ".join(_FORMATS)
        errors.append(DocumentError(f"{folder.as_posix()}: the folder holds no file to read; expected {suffixes}"))
    return sorted(found)


def _unreadable(error: OSError, path: Path) -> DocumentError:
    where = path.as_posix() if error.filename is None else error.filename
    return DocumentError(f"{where}: cannot be read ({error.strerror}); check the path and its permissions")


def _to_document(data: bytes, name: str, id: str) -> Document:  # noqa: A002 -- the word of Document.id
    if not data:
        raise DocumentError(f"{name}: the file is empty; name a file with text")
    kind = _format(data, name)
    check_bytes(len(data), _max_bytes(kind), name)
    page_starts: tuple[int, ...] = ()
    if kind in _READERS_OF_PAGES:
        text, page_starts = _READERS_OF_PAGES[kind](data, name)
    else:
        text = _READERS[kind](data, name)
    # One character for one, so that page_starts stay right; surrogates could not be encoded.
    text = _SURROGATES.sub("\ufffd", text.replace("\0", " "))
    check_length(len(text), name)
    if not text.strip():
        raise DocumentError(f"{name}: holds no text; name a file with text")
    title = (page_title(data, name) if kind == "html" else "") or _first_line(text)
    return Document(text, id, page_starts, {"format": kind, **({TITLE: title} if title else {})})


def _first_line(text: str) -> str:
    """The first line that is not blank, where it is as short as a title, says something, and more follows."""
    line, _, rest = text.strip().partition("\n")
    line = " ".join(line.split())
    return line if rest and len(line) <= _LONGEST_TITLE and any(map(str.isalpha, line)) else ""


def _format(data: bytes, name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    sniffed = _sniff(data)
    kind = _FORMATS.get(suffix, sniffed)
    if kind == "pdf":
        fits = _PDF_HEADER in data[:_PDF_HEADER_WITHIN]
    elif kind == "eml":
        fits = _MAIL_START.match(data) is not None
    elif kind in _ARCHIVES:
        fits = sniffed in (kind, "zip")
    else:
        fits = sniffed not in _BINARY
    if not fits:
        raise DocumentError(
            f"{name}: the content is not what the suffix {suffix} says;"
            " check that the file is whole, or give it its right suffix"
        )
    return "text" if kind == "zip" else kind


def _sniff(data: bytes) -> str:
    """The format by content; "zip" for an archive that does not say what it is, and "text" for all else."""
    if data.startswith(_PDF_HEADER):
        return "pdf"
    if data.startswith(_ZIP_HEADER):
        return archive_format(data) or "zip"
    if _HTML_START.match(data):
        return "html"
    return "eml" if _is_mail(data) else "text"


def _is_mail(data: bytes) -> bool:
    if _MAIL_START.match(data) is None:
        return False
    headers = _MAIL_BODY.split(data[:_MAIL_HEADERS_WITHIN], maxsplit=1)[0]
    return all(header.search(headers) for header in _MAIL_HEADERS)


def _max_bytes(kind: str | None) -> int:
    return MAX_FILE_BYTES if kind is None or kind in _BINARY else MAX_TEXT_BYTES
