"""ZIP archives that hold a document: of which format, and how large it is when unpacked."""

from io import BytesIO
from typing import TYPE_CHECKING

from polyspan.documents.limits import MAX_MEMBERS, MAX_UNPACKED_BYTES, check_bytes
from polyspan.errors import DocumentError

if TYPE_CHECKING:
    from zipfile import ZipFile

# The member that says what an archive holds, and how it names each format, macros or not.
_SIGNS = (
    ("mimetype", b"application/epub+zip", "epub"),
    ("[Content_Types].xml", b"wordprocessingml.document.main+xml", "docx"),
    ("[Content_Types].xml", b"presentationml.presentation.main+xml", "pptx"),
    ("[Content_Types].xml", b"ms-powerpoint.presentation.macroEnabled.main+xml", "pptx"),
    ("[Content_Types].xml", b"spreadsheetml.sheet.main+xml", "xlsx"),
    ("[Content_Types].xml", b"ms-excel.sheet.macroEnabled.main+xml", "xlsx"),
)
_SIGNS_WITHIN = 1_000_000
_MEMBER_HEADER = b"PK\x01\x02"


def open_archive(data: bytes, name: str) -> "ZipFile":
    """Open an archive that is small enough when unpacked; what it says of its sizes binds whoever reads it.

    Raises:
        DocumentError: too many members, or too large.
        BadZipFile: no archive.
    """
    from zipfile import ZipFile

    # Counted before the list is read, which takes much more memory than the file.
    members = data.count(_MEMBER_HEADER)
    if members > MAX_MEMBERS:
        raise DocumentError(f"{name}: holds {members:,} files, more than the limit of {MAX_MEMBERS:,}; split the file")
    archive = ZipFile(BytesIO(data))
    check_bytes(sum(member.file_size for member in archive.infolist()), MAX_UNPACKED_BYTES, f"{name} (unpacked)")
    return archive


def archive_format(data: bytes) -> str | None:
    """The format that an archive says it has: docx, pptx, xlsx or epub. None where it says nothing, or is broken."""
    try:
        with open_archive(data, "") as archive:
            contents = {}
            for member in {member for member, _, _ in _SIGNS}.intersection(archive.namelist()):
                with archive.open(member) as file:
                    contents[member] = file.read(_SIGNS_WITHIN)
    except Exception:  # noqa: BLE001 -- the reader of the format that the suffix names says what is wrong
        return None
    return next((kind for member, sign, kind in _SIGNS if sign in contents.get(member, b"")), None)
