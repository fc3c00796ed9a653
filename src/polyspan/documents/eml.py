"""EML (RFC 5322 messages) to text."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any

from polyspan.documents.broken import refuse_broken
from polyspan.documents.html import read_xhtml
from polyspan.documents.plain import decode

_HEADERS = ("Subject", "From", "To", "Date")


def read_eml(data: bytes, name: str) -> str:
    """Return subject, sender, recipients and date, one a line, the text of the message, and names of attachments.

    Of a text and its HTML the text is taken, if it is not blank. What is attached is not read.

    Raises:
        DocumentError: the message is broken, or its text is in no encoding that can be read.
    """
    from email import message_from_bytes, policy

    with refuse_broken(name, "EML", "a mail program"):
        message = message_from_bytes(data.removeprefix(BOM_UTF8), policy=policy.default)
        headers = [f"{header}: {' '.join(str(message[header]).split())}" for header in _HEADERS if message[header]]
        attached: list[str] = []
        texts = list(_texts(message, name, attached))
    names = [f"Attachments: {', '.join(attached)}"] if attached else []
    return "\n\n".join(filter(None, ["\n".join(headers), *texts, *names]))


def _texts(part: Any, name: str, attached: list[str]) -> Iterator[str]:
    """The texts of a part in order; names of what is attached are added to ``attached``."""
    kind = part.get_content_type()
    is_forwarded = part.get_content_maintype() == "message"
    if is_forwarded or part.is_attachment() or part.get_filename():
        # Pictures within HTML are not attached by anyone.
        if part.is_attachment() or not part["Content-ID"]:
            inner = next(part.iter_parts(), part) if is_forwarded else part
            attached.append(part.get_filename() or inner["Subject"] or kind)
    elif kind == "multipart/alternative":
        # From the plainest to the richest.
        alternatives = (list(filter(None, _texts(one, name, attached))) for one in part.iter_parts())
        yield from next(filter(None, alternatives), [])
    elif part.is_multipart():
        for one in part.iter_parts():
            yield from _texts(one, name, attached)
    elif part.get_content_maintype() == "text":
        content = part.get_payload(decode=True)
        read = read_xhtml if kind == "text/html" else decode
        yield read(content, name, part.get_content_charset()).replace("\r\n", "\n").strip()
