"""Archives: what they say they hold, and how much they may hold; the same for all formats that are archives."""

from collections.abc import Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from polyspan.documents import archives, read_bytes
from polyspan.documents.archives import archive_format
from polyspan.errors import DocumentError

FORMATS = ["docx", "pptx", "xlsx", "epub"]


def with_member(data: bytes, content: bytes, kind: int = ZIP_DEFLATED) -> bytes:
    file = BytesIO(data)
    with ZipFile(file, "a", kind) as archive:
        archive.writestr("media/bomb.bin", content)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_archives_say_their_format(kind: str, archive_files: Mapping[str, bytes]) -> None:
    assert archive_format(archive_files[kind]) == kind
    assert archive_format(with_member(archive_files[kind], b"x" * 100)) == kind
    assert archive_format(archive_files[kind][:-30]) is None


def test_archives_of_another_kind_have_no_format() -> None:
    assert archive_format(with_member(b"", b"text")) is None
    assert archive_format(b"PK\x03\x04") is None


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_archives_of_another_format_than_their_suffix_are_refused(
    kind: str, suffix: str, archive_files: Mapping[str, bytes]
) -> None:
    if kind == suffix:
        assert "text" in read_bytes(archive_files[kind], f"a.{suffix}").text
    else:
        with pytest.raises(DocumentError, match=rf"^a\.{suffix}: the content is not what the suffix \.{suffix} says"):
            read_bytes(archive_files[kind], f"a.{suffix}")


@pytest.mark.parametrize("kind", FORMATS)
def test_archives_that_become_too_large_are_refused_before_they_are_unpacked(
    kind: str, archive_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = with_member(archive_files[kind], bytes(2_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(DocumentError, match=rf"^a\.{kind} \(unpacked\): .* more than the limit of 1 MB"):
        read_bytes(bomb, f"a.{kind}")


@pytest.mark.parametrize("kind", FORMATS)
def test_archives_of_too_many_members_are_refused_before_they_are_listed(
    kind: str, archive_files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    monkeypatch.setattr("zipfile.ZipFile", None)
    with pytest.raises(DocumentError, match=rf"^a\.{kind}: holds \d+ files, more than the limit of 2; split the file"):
        read_bytes(archive_files[kind], f"a.{kind}")


def test_archives_cannot_hide_how_large_a_member_is(archive_files: Mapping[str, bytes]) -> None:
    content = b"<w:t>" + b"x" * 5_000_000
    said, true = (100).to_bytes(4, "little"), len(content).to_bytes(4, "little")
    lying = with_member(archive_files["docx"], content).replace(true, said)
    with archives.open_archive(lying, "a.docx") as archive, pytest.raises(Exception, match=r"CRC|overlap|truncated"):
        archive.read("media/bomb.bin")


def test_archives_may_be_stored_without_compression(archive_files: Mapping[str, bytes]) -> None:
    stored = with_member(archive_files["epub"], b"PK\x01\x02", ZIP_STORED)
    assert "text" in read_bytes(stored, "a.epub").text
