"""Plain text, and the decoding of all formats that are text."""

import re

from polyspan.errors import DocumentError

# UTF-32 comes first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Backspace and escape are left out: terminal logs are full of them.
_CONTROLS = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
_MAX_CONTROL_SHARE = 0.05


def read_plain(data: bytes, name: str) -> str:
    """Return the text exactly as it is stored, without a byte order mark."""
    return decode(data, name)


def decode(data: bytes, name: str, declared: str | None = None) -> str:
    """Decode by byte order mark, the ``declared`` encoding, UTF-8, or else by a guess.

    Raises:
        DocumentError: no encoding fits, or what comes out is not text.
    """
    text = _decode_strictly(data, declared)
    if text is None:
        from charset_normalizer import from_bytes

        guess = from_bytes(data).best()
        if guess is None:
            raise DocumentError(f"{name}: not text in an encoding that can be recognised; convert the file to UTF-8")
        text = str(guess)
    if "\0" in text or len(_CONTROLS.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise DocumentError(
            f"{name}: binary data; expected text, PDF, DOCX, PPTX, XLSX, EPUB or EML; convert it to one of these"
        )
    return text


def _decode_strictly(data: bytes, declared: str | None) -> str | None:
    marked = [encoding for mark, encoding in _MARKS if data.startswith(mark)]
    for encoding in (*marked, declared, "utf-8"):
        if encoding is not None:
            try:
                return data.decode(encoding)
            except (UnicodeError, LookupError):
                continue
    return None
