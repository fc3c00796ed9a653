"""The texts of pages to one text."""

from collections.abc import Iterable

from polyspan.documents.limits import check_length

PAGE_BREAK = "\n\n"


def join_pages(pages: Iterable[str], name: str) -> tuple[str, tuple[int, ...]]:
    """Return the text of all pages, and the character at which each page begins.

    Raises:
        DocumentError: the text becomes too long; the pages that are left are not asked for then.
    """
    texts: list[str] = []
    starts: list[int] = []
    length = 0
    for page in pages:
        starts.append(length)
        texts.append(page)
        length += len(page) + len(PAGE_BREAK)
        check_length(length - len(PAGE_BREAK), name)
    return PAGE_BREAK.join(texts), tuple(starts)
