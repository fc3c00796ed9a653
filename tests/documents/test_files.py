"""Finding files, choosing formats, and errors that name the file."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polyspan.documents import files, find_files, limits, read_bytes, read_document, read_documents
from polyspan.errors import DocumentError
from polyspan.types import Document

SUFFIXES = [".txt", ".md", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".epub", ".eml", ".zzz", ""]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ["b.txt", "a.md", "sub/c.html", "sub/.hidden.txt", ".git/d.txt", "image.png", "E.TXT"]:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"Text of {name}.", encoding="utf-8")
    return tmp_path


def _names(found: list[Path], folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in found]


def test_files_are_found_sorted_without_hidden_and_unsupported_ones(folder: Path) -> None:
    assert _names(find_files([folder]), folder) == ["E.TXT", "a.md", "b.txt", "sub/c.html"]


def test_files_that_are_named_are_tried_whatever_they_are_called(folder: Path) -> None:
    named = [folder / "image.png", folder / "sub/.hidden.txt"]
    assert find_files(named) == named
    assert [document.text for document in read_documents(named)[0]] == [
        "Text of image.png.",
        "Text of sub/.hidden.txt.",
    ]


def test_files_come_once_and_in_the_order_given(folder: Path) -> None:
    found = find_files([folder / "sub/c.html", folder, folder / "sub/../b.txt"])
    assert _names(found, folder) == ["sub/c.html", "E.TXT", "a.md", "b.txt"]


def test_files_survive_loops_of_links_and_broken_links(folder: Path) -> None:
    try:
        (folder / "sub/loop").symlink_to(folder, target_is_directory=True)
        (folder / "broken.txt").symlink_to(folder / "gone.txt")
        (folder / "same.txt").symlink_to(folder / "b.txt")
    except OSError:
        pytest.skip("links cannot be made here")
    assert _names(find_files([folder]), folder) == ["E.TXT", "a.md", "b.txt", "sub/c.html"]


def test_files_missing_path_is_an_error(folder: Path) -> None:
    with pytest.raises(DocumentError, match=r"gone\.txt: cannot be read \(No such file"):
        find_files([folder, folder / "gone.txt"])


def test_files_folder_without_readable_files_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    documents, errors = read_documents([tmp_path])
    assert documents == []
    assert len(errors) == 1
    assert str(errors[0]).startswith(tmp_path.as_posix())
    assert all(suffix in str(errors[0]) for suffix in SUFFIXES[:-2])


def test_files_bad_ones_are_named_and_the_rest_is_read(folder: Path) -> None:
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "empty.txt").write_bytes(b"")
    documents, errors = read_documents([folder, folder / "gone.txt"])
    assert [Path(document.id).name for document in documents] == ["E.TXT", "a.md", "b.txt", "c.html"]
    assert sorted(Path(str(error).split(": ")[0]).name for error in errors) == ["bad.pdf", "empty.txt", "gone.txt"]


def test_files_that_cannot_be_opened_are_errors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DocumentError, match=r"b\.txt: cannot be read \(Permission denied\)"):
        read_document(folder / "b.txt")


def test_files_document_id_is_the_path_as_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    document = read_document(Path("sub/c.html"))
    assert (document.id, document.meta) == ("sub/c.html", {"format": "html"})
    assert read_document(Path("sub/c.html"), id="").id == ""


@pytest.mark.parametrize(
    ("name", "data", "title"),
    [
        ("a.html", b"<html><head><title>The\n ferry</title></head><body><nav>Home</nav><p>It sails.", "The ferry"),
        ("a.html", b"<title> </title><h1>The ferry</h1><p>It sails.", "The ferry"),
        ("a.md", b"---\ntitle: x\n---\n# The *ferry*\n\nIt sails.", "The ferry"),
        ("a.txt", b"\n\n  The ferry \r\n\r\nIt sails.", "The ferry"),
        ("a.txt", b"The ferry", None),
        ("a.txt", b"----\nThe ferry", None),
        ("a.txt", b"x" * 121 + b"\nThe ferry", None),
        ("a.txt", b"x" * 120 + b"\nThe ferry", "x" * 120),
    ],
)
def test_files_title_is_the_page_s_own_or_a_short_first_line(name: str, data: bytes, title: str | None) -> None:
    assert read_bytes(data, name).meta.get("title") == title


def test_files_folder_is_not_a_document(folder: Path) -> None:
    with pytest.raises(DocumentError, match="is a folder"):
        read_document(folder)


@pytest.mark.parametrize("suffix", [".txt", ".html", ".md"])
def test_files_too_large_a_text_is_refused_unread(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / f"large{suffix}"
    with file.open("wb") as stream:
        stream.truncate(50_000_000)
    monkeypatch.delattr(Path, "read_bytes")
    with pytest.raises(DocumentError, match=r"large\.\w+: 50\.0 MB is more than the limit of 40 MB.*split"):
        read_document(file)


def test_files_too_long_a_text_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"10,000,000 characters; split the file"):
        read_bytes(b"x" * (limits.MAX_CHARACTERS + 1), "a.txt")
    assert len(read_bytes(b"x" * limits.MAX_CHARACTERS, "a.txt").text) == limits.MAX_CHARACTERS


@pytest.mark.parametrize("name", ["-", "upload", "file.unknown"])
def test_files_formats_are_recognised_without_a_suffix(
    name: str, make_pdf: Callable[..., bytes], archive_files: Mapping[str, bytes]
) -> None:
    contents = {
        **archive_files,
        "pdf": make_pdf([["Some text."]]),
        "eml": b"Return-Path: <a@b.example>\r\nFrom: a@b.example\r\nMIME-Version: 1.0\r\n\r\nSome text.",
        "html": b"<!-- a --><!-- b -->\n<!DOCTYPE html><p>Some text.",
        "text": b"Some <b>text</b>.",
    }
    documents = {kind: read_bytes(data, name) for kind, data in contents.items()}
    assert {kind: document.meta["format"] for kind, document in documents.items()} == {kind: kind for kind in contents}
    assert documents["text"].text == "Some <b>text</b>."
    assert documents["html"].text == "Some text."
    assert all("text" in document.text for document in documents.values())


@pytest.mark.parametrize("data", [b"Note: see From: and\n\nMIME-Version:", b"From: Ann\nTo: Bob\n\nText", b"a:b"])
def test_files_text_with_colons_is_no_mail(data: bytes) -> None:
    document = read_bytes(data, "-")
    assert (document.meta["format"], document.text) == ("text", data.decode())


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"plain text", "a.pdf"),
        (b"plain text", "a.docx"),
        (b"\xd0\xcf\x11\xe0 old Word", "a.docx"),
        (b"%PDF-1.4", "a.txt"),
        (b"plain text", "a.pptx"),
        (b"%PDF-1.4", "a.xlsx"),
        (b"plain text", "a.eml"),
        (b"<html>", "a.eml"),
    ],
)
def test_files_content_that_belies_its_suffix_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(DocumentError, match=f"^{name}: the content is not what the suffix {name[1:]} says"):
        read_bytes(data, name)


def test_files_pdf_header_may_follow_some_junk(make_pdf: Callable[..., bytes]) -> None:
    assert read_bytes(b"\r\njunk\r\n" + make_pdf([["Some text."]]), "a.pdf").text == "Some text."


def test_files_many_comments_are_sniffed_in_no_time() -> None:
    assert read_bytes(b"<!---->" * 5000 + b"text", "-").meta["format"] == "text"


@given(
    st.binary(),
    st.sampled_from(SUFFIXES),
    st.sampled_from([b"", b"%PDF-1.4\n", b"PK\x03\x04", b"<html>", b"\xff\xfe", b"To: "]),
)
@example(b"---\n\x00", ".md", b"")
@example(b"&#xD800; &#0;", ".html", b"")
@example(b'<meta charset="unicode_escape">\\ud800', ".html", b"")
@example(b"word/document.xml", ".docx", b"PK\x03\x04")
def test_files_any_bytes_give_a_document_or_a_document_error(data: bytes, suffix: str, start: bytes) -> None:
    name = "name" + suffix
    outcome = _outcome(start + data, name)
    if isinstance(outcome, DocumentError):
        assert str(outcome).startswith(name)
        assert "\n" not in str(outcome)
    else:
        assert outcome.text.strip()
        assert "\0" not in outcome.text
        assert outcome.text.encode().decode() == outcome.text


def _outcome(data: bytes, name: str) -> Document | DocumentError:
    try:
        return read_bytes(data, name)
    except DocumentError as error:
        return error


def test_files_extracted_text_has_no_surrogates_or_nul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files._READERS, "html", lambda _data, _name: "a\0b\ud83dc")
    assert read_bytes(b"<p>x", "a.html").text == "a b\ufffdc"


def test_files_import_brings_no_format_library() -> None:
    code = "import sys, polyspan.documents; print(*sys.modules)"
    modules = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    heavy = {"docx", "lxml", "pypdfium2", "resiliparse", "markdown_it", "charset_normalizer", "pptx", "openpyxl", "PIL"}
    heavy |= {"zipfile", "email"}
    assert modules & heavy == set()
