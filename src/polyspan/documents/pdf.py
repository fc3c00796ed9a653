"""PDF to text, page by page."""

import threading
from itertools import accumulate

from polyspan.documents.limits import check_length
from polyspan.errors import DocumentError

PAGE_BREAK = "\n\n"

# pdfium keeps state of its own and may be used by one thread at a time.
_LOCK = threading.Lock()
# pdfium puts one of these where a hyphen at a line's end splits a word, and leaves the line break out.
_HYPHENS = str.maketrans("", "", "\x02\ufffe")


def read_pdf(data: bytes, name: str) -> tuple[str, tuple[int, ...]]:
    """Return the text of all pages, and the character at which each page begins.

    Raises:
        DocumentError: the file is broken or encrypted, or no page holds text.
    """
    from pypdfium2 import PdfiumError
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    try:
        with _LOCK:
            pages = _page_texts(data, name)
    except PdfiumError as error:
        if error.err_code == FPDF_ERR_PASSWORD:
            raise DocumentError(f"{name}: the PDF needs a password; save it without one") from error
        raise DocumentError(f"{name}: not a readable PDF ({error}); save it again from its source") from error
    if not any(page.strip() for page in pages):
        raise DocumentError(f"{name}: the PDF holds no text, so it seems to be scanned; run OCR on it first")
    starts = accumulate((len(page) + len(PAGE_BREAK) for page in pages[:-1]), initial=0)
    return PAGE_BREAK.join(pages), tuple(starts)


def _page_texts(data: bytes, name: str) -> list[str]:
    from pypdfium2 import PdfDocument

    pages: list[str] = []
    characters = 0
    with PdfDocument(data) as pdf:
        for index in range(len(pdf)):
            page = pdf[index]
            text_page = page.get_textpage()
            text = text_page.get_text_bounded(errors="replace")
            text_page.close()
            page.close()
            pages.append(text.replace("\r\n", "\n").translate(_HYPHENS))
            characters += len(pages[-1])
            check_length(characters, name)
    return pages
