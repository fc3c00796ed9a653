"""EPUB: order of reading, what is left out, encryption, what cannot be read."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from zipfile import ZipFile

import pytest

from polyspan.documents import read_bytes
from polyspan.errors import DocumentError

CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/></head>
<body><a id="top"/><h1>{}</h1><p>Text&nbsp;of<br/>it.</p><div class="gap"/><script>bad()</script></body></html>"""


def item(name: str, more: str = "", kind: str = "application/xhtml+xml") -> str:
    return f'<item id="{name}" href="text/{name}.xhtml" media-type="{kind}" {more}/>'


def make_epub(
    items: Sequence[str], spine: Sequence[str], more: str = "", files: Mapping[str, str] | None = None
) -> bytes:
    """An EPUB; each item of its spine is a page with its name as a heading."""
    references = "".join(f'<itemref idref="{name}"/>' for name in spine)
    package = f"<manifest>{''.join(items)}</manifest><spine>{references}</spine>{more}"
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/content.opf", f'<package xmlns="http://www.idpf.org/2007/opf">{package}</package>')
        for name in dict.fromkeys(spine):
            archive.writestr(f"OEBPS/text/{name}.xhtml", PAGE.format(name))
        for name, content in (files or {}).items():
            archive.writestr(name, content)
    return file.getvalue()


def chapter(name: str) -> str:
    return f"{name}\n\nText\xa0of\nit."


@pytest.fixture(scope="module")
def epub_bytes() -> bytes:
    return make_epub([item("one"), item("two"), item("three")], ["two", "one", "three"])


def test_epub_chapters_come_in_the_order_of_the_spine(epub_bytes: bytes) -> None:
    document = read_bytes(epub_bytes, "a.epub")
    assert document.text == "\n\n".join(map(chapter, ["two", "one", "three"]))
    assert document.page_starts == ()
    assert document.meta == {"format": "epub", "title": "two"}


def test_epub_leaves_contents_and_pictures_out_and_reads_each_chapter_once() -> None:
    items = [item("nav", 'properties="nav scripted"'), item("toc"), item("image", kind="image/svg+xml"), item("one")]
    guide = (
        "<guide><reference type='toc' href='text/toc.xhtml#a'/><reference type='text' href='text/one.xhtml'/></guide>"
    )
    data = make_epub(items, ["nav", "toc", "image", "one", "one"], guide)
    assert read_bytes(data, "a.epub").text == chapter("one")


def test_epub_addresses_may_be_quoted_and_go_up() -> None:
    items = [item("one").replace("text/one", "../other/a%20b"), item("two")]
    data = make_epub(items, ["two", "one"], files={"other/a b.xhtml": PAGE.format("Überfahrt")})
    assert read_bytes(data, "a.epub").text == f"{chapter('two')}\n\n{chapter('Überfahrt')}"


def test_epub_encrypted_chapters_are_refused_but_encrypted_fonts_are_not() -> None:
    listed = '<encryption xmlns="urn:x"><CipherReference URI="{}"/></encryption>'
    for address, is_refused in (("OEBPS/font.otf", False), ("OEBPS/text/one.xhtml", True)):
        data = make_epub([item("one")], ["one"], files={"META-INF/encryption.xml": listed.format(address)})
        if is_refused:
            with pytest.raises(DocumentError, match=r"^a\.epub: the EPUB is encrypted"):
                read_bytes(data, "a.epub")
        else:
            assert read_bytes(data, "a.epub").text == chapter("one")


def test_epub_without_chapters_is_refused() -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        read_bytes(make_epub([], []), "a.epub")


def test_epub_missing_members_are_named() -> None:
    data = make_epub([item("one"), item("gone")], ["one"]).replace(b'idref="one"', b'idref="gone"'[:11] + b'"')
    with pytest.raises(DocumentError, match=r"^a\.epub: not a readable EPUB file"):
        read_bytes(data, "a.epub")


def test_epub_that_is_broken_is_refused(epub_bytes: bytes) -> None:
    for end in range(4, len(epub_bytes), len(epub_bytes) // 15):
        with pytest.raises(DocumentError, match=r"^a\.epub: not a readable EPUB file"):
            read_bytes(epub_bytes[:end], "a.epub")


def test_epub_with_changed_bytes_is_read_or_refused(epub_bytes: bytes) -> None:
    for position in range(4, len(epub_bytes), len(epub_bytes) // 60):
        changed = bytearray(epub_bytes)
        changed[position] ^= 0xFF
        with suppress(DocumentError):
            assert "Text" in read_bytes(bytes(changed), "a.epub").text


def test_epub_too_long_a_text_is_refused(epub_bytes: bytes, small_limits: Callable[..., None]) -> None:
    small_limits(MAX_CHARACTERS=30)
    with pytest.raises(DocumentError, match=r"^a\.epub: the text is longer than the limit of 30 characters"):
        read_bytes(epub_bytes, "a.epub")
