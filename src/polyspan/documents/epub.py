"""EPUB 2 and 3 to text, in the order of reading."""

from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag

from polyspan.documents.archives import open_archive
from polyspan.documents.broken import refuse_broken
from polyspan.documents.html import read_xhtml
from polyspan.documents.limits import MAX_TEXT_BYTES, check_bytes
from polyspan.documents.pages import join_pages
from polyspan.errors import DocumentError

if TYPE_CHECKING:
    from zipfile import ZipFile

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html")


def read_epub(data: bytes, name: str) -> str:
    """Return the text of the chapters, with blank lines between them. Tables of contents are left out.

    Raises:
        DocumentError: the file is broken or encrypted, or too large when unpacked.
    """
    with refuse_broken(name, "EPUB", "an e-book program"), open_archive(data, name) as archive:
        encrypted = _encrypted(archive, name)
        chapters = _chapters(archive, name)
        if not encrypted.isdisjoint(chapters):
            raise DocumentError(f"{name}: the EPUB is encrypted; only its own reading program can open it")
        texts = (read_xhtml(_read(archive, chapter, name), name).strip() for chapter in chapters)
        return join_pages(filter(None, texts), name)[0]


def _chapters(archive: "ZipFile", name: str) -> list[str]:
    """The members with the book's text, in the order of its spine."""
    container = _parse(archive, _CONTAINER, name)
    package_path = next(container.iter("{*}rootfile")).get("full-path")
    package = _parse(archive, package_path, name)
    items = {item.get("id"): item for item in package.iterfind("{*}manifest/{*}item")}
    contents = {
        _member(package_path, reference.get("href"))
        for reference in package.iterfind("{*}guide/{*}reference")
        if reference.get("type") == "toc"
    }
    chapters = []
    for reference in package.iterfind("{*}spine/{*}itemref"):
        item = items[reference.get("idref")]
        is_contents = "nav" in item.get("properties", "").split()
        if item.get("media-type") in _CHAPTER_TYPES and not is_contents:
            chapters.append(_member(package_path, item.get("href")))
    return [chapter for chapter in dict.fromkeys(chapters) if chapter not in contents]


def _encrypted(archive: "ZipFile", name: str) -> set[str]:
    """The members that are encrypted; often only fonts are."""
    if _ENCRYPTION not in archive.namelist():
        return set()
    references = _parse(archive, _ENCRYPTION, name).iter("{*}CipherReference")
    return {_member("", reference.get("URI")) for reference in references}


def _member(base: str, address: str) -> str:
    """The member that an address in the member ``base`` names."""
    return normpath(join(dirname(base), unquote(urldefrag(address).url)))


def _parse(archive: "ZipFile", member: str, name: str) -> Any:
    from lxml.etree import XMLParser, fromstring

    return fromstring(_read(archive, member, name), XMLParser(resolve_entities=False))


def _read(archive: "ZipFile", member: str, name: str) -> bytes:
    check_bytes(archive.getinfo(member).file_size, MAX_TEXT_BYTES, f"{name}: {member}")
    return archive.read(member)
