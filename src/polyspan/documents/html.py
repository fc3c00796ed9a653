"""HTML to tidy plain text."""

import re

from polyspan.documents.plain import decode

# The extractor drops these with images and form fields, or glues them to what follows.
_BLOCKS = re.compile(r"(</?)(?:figure|figcaption|summary|legend)\b", re.IGNORECASE)
_INLINES = re.compile(r"(</?)(?:label|button)\b", re.IGNORECASE)
_SKIPPED = ["rt", "rp"]

# Of XML, where other elements than the void ones of HTML may be closed at once.
_SELF_CLOSED = re.compile(
    r"<((?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)[a-z][\w:-]*)((?:\s[^<>]*)?)/>",
    re.IGNORECASE,
)

_DECLARATION = re.compile(rb"<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_DECLARED_WITHIN = 4096

_LIST_INDENT = re.compile(r"^ +(?=(?:•|\d+\.) )", re.MULTILINE)
_BULLET_GAP = re.compile(r"^• {2,}", re.MULTILINE)
_CELL_BREAK = re.compile(r"(?<=\S) ?((?:\t\t)+)")
_BLANK_LINES = re.compile(r"\n(?:[ \t\xa0]*\n){2,}")


def read_html(data: bytes, name: str) -> str:
    """Return the text of a page; the encoding comes from a byte order mark or the page's declaration."""
    return html_to_text(decode(data, name, _declared_encoding(data)))


def page_title(data: bytes, name: str) -> str:
    """Return what a page calls itself, in one line; "" where it does not."""
    from resiliparse.parse.html import HTMLTree

    return " ".join((HTMLTree.parse(decode(data, name, _declared_encoding(data))).title or "").split())


def read_xhtml(data: bytes, name: str, encoding: str | None = None) -> str:
    """Return the text of a page in XML, where any element may be closed as it is opened: ``<title/>``.

    ``encoding`` is what is known from elsewhere; else it comes from the page as in ``read_html``.
    """
    markup = decode(data, name, encoding or _declared_encoding(data))
    return html_to_text(_SELF_CLOSED.sub(r"<\1\2></\1>", markup))


def html_to_text(markup: str) -> str:
    """Return the text of HTML: blocks on their own lines, table cells parted by tabs.

    Lines of ``<pre>`` are kept, but nowhere do two blank lines follow each other, nor two tabs a word.
    Images, scripts, form fields, link targets and readings (ruby) are left out.
    """
    from resiliparse.extract.html2text import extract_plain_text

    markup = _INLINES.sub(r"\1span", _BLOCKS.sub(r"\1div", markup))
    text = extract_plain_text(markup, preserve_formatting=True, alt_texts=False, skip_elements=_SKIPPED)
    text = _BULLET_GAP.sub("• ", _LIST_INDENT.sub("", text))
    text = _CELL_BREAK.sub(lambda tabs: "\t" * (len(tabs[1]) // 2), text)
    return _BLANK_LINES.sub("\n\n", text)


def _declared_encoding(data: bytes) -> str | None:
    from resiliparse.parse.encoding import map_encoding_to_html5

    match = _DECLARATION.search(data[:_DECLARED_WITHIN])
    if match is None:
        return None
    encoding = map_encoding_to_html5(match[1].decode("ascii", "replace"), fallback_utf8=False)
    # A declaration that can be read byte by byte proves that the page is not in UTF-16.
    return None if encoding is None or encoding.startswith("utf-16") else encoding
