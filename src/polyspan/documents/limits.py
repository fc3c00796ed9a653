"""How large a document may be."""

from polyspan.errors import DocumentError

MAX_CHARACTERS = 10_000_000
# A character takes at most four bytes in the usual encodings, so a longer text file needs no reading.
MAX_TEXT_BYTES = 4 * MAX_CHARACTERS
MAX_FILE_BYTES = 500_000_000
MAX_UNPACKED_BYTES = 500_000_000
MAX_MEMBERS = 100_000


def check_length(characters: int, name: str) -> None:
    """Raise DocumentError where a text is longer than ``MAX_CHARACTERS``."""
    if characters > MAX_CHARACTERS:
        raise DocumentError(
            f"{name}: the text is longer than the limit of {MAX_CHARACTERS:,} characters; split the file"
        )


def check_bytes(size: int, limit: int, name: str) -> None:
    """Raise DocumentError where a file of ``size`` bytes is larger than ``limit``."""
    if size > limit:
        raise DocumentError(
            f"{name}: {size / 1e6:,.1f} MB is more than the limit of {limit / 1e6:,.0f} MB"
            " for a file of this kind; split the file"
        )
