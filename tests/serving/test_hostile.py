"""Requests that mean harm, against a server that listens: each is refused, and the server goes on."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import httpx
import pytest
from docx import Document as Docx

from pdfs import Page, build_pdf, lines
from polyspan.documents import archives
from polyspan.serving import FeedbackStore, ServeOptions, create_app
from serving_fakes import listening, open_collection

Send = Callable[[str, bytes], httpx.Response]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile") / "index"
    collection = open_collection(folder)
    collection.add("anna.txt", b"Anna lives in Rome .")
    options = ServeOptions(max_body_bytes=5_000_000, body_seconds=0.5)
    with listening(create_app(collection, FeedbackStore(folder), options)) as found:
        yield found


@pytest.fixture(autouse=True)
def _still_answers(address: str) -> Iterator[None]:
    """Whatever was sent, the server answers afterwards."""
    yield
    found = httpx.post(f"{address}/v1/answer", json={"question": "find rome"}, timeout=60)
    assert found.json()["answers"][0]["text"] == "Rome"


@pytest.fixture
def send(address: str) -> Send:
    """Uploads a file."""
    return lambda name, content: httpx.post(f"{address}/v1/documents", files={"files": (name, content)}, timeout=60)


def bomb() -> bytes:
    """A DOCX whose picture is a hundred times larger than the file."""
    file = BytesIO()
    Docx().save(file)
    with ZipFile(file, "a", ZIP_DEFLATED) as archive:
        archive.writestr("word/media/bomb.bin", bytes(20_000_000))
    return file.getvalue()


def test_hostile_archives_are_refused_before_they_are_unpacked(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 10_000_000)
    response = send("bomb.docx", bomb())
    assert response.status_code == 422
    assert "more than the limit of 10 MB" in response.json()["detail"]


def test_hostile_pdfs_of_many_pages_are_read_within_limits(send: Send, address: str) -> None:
    page = Page(lines(["Anna lives in Paris ."]))
    response = send("many.pdf", build_pdf([page] * 1_000))
    assert response.status_code == 200, response.text
    text = httpx.get(f"{address}/v1/documents/uploads/many.pdf/text", timeout=60).json()
    assert len(text["page_starts"]) == 1_000
    httpx.delete(f"{address}/v1/documents/uploads/many.pdf", timeout=60)


@pytest.mark.parametrize("name", ["../../../../etc/cron.d/x.txt", "..\\..\\x.txt", "/root/.ssh/x.txt", "a/../../x.txt"])
def test_hostile_names_stay_in_their_folder(send: Send, name: str) -> None:
    assert send(name, b"Bert lives in Oslo .").json()["added"] == ["uploads/x.txt"]


def test_hostile_html_loses_its_scripts(send: Send, address: str) -> None:
    html = b"<html><body><script>alert(1)</script><p onclick='alert(2)'>Bert lives in Oslo .</p></body></html>"
    assert send("x.html", html).status_code == 200
    response = httpx.get(f"{address}/v1/documents/uploads/x.html/text", timeout=60)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["text"] == "Bert lives in Oslo ."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.pdf", b"<html>no pdf</html>"),
        ("x.docx", b"%PDF-1.4 no docx"),
        ("x.exe", b"MZ\x00\x01\x02\x03"),
        ("x.txt", b""),
        ("", b"Bert"),
        ("\x00.txt", b""),
        ("x.xlsx", b"PK\x03\x04"),
    ],
)
def test_hostile_files_that_are_not_what_they_say_are_refused(send: Send, name: str, content: bytes) -> None:
    response = send(name, content)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/answer", "/v1/documents", "/v1/feedback", "/v1/explain"])
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=x", ""])
def test_hostile_content_types_are_refused(address: str, path: str, kind: str) -> None:
    response = httpx.post(f"{address}{path}", content=b'--x\r\n"', headers={"content-type": kind}, timeout=60)
    assert response.status_code in (400, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"


def raw(address: str, *parts: bytes, pause: float = 0) -> bytes:
    """What comes back for bytes that are sent one after another, as far as the server takes them."""
    host, _, port = address.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answered = b""
        while b"\r\n\r\n" not in answered:
            more = connection.recv(10_000)
            if not more:
                break
            answered += more
    return answered


def head(*lines_: str) -> bytes:
    return "\r\n".join(("POST /v1/documents HTTP/1.1", "Host: x", *lines_, "", "")).encode()


def test_hostile_bodies_are_refused_by_their_length(address: str) -> None:
    began = time.monotonic()
    assert b" 413 " in raw(address, head("Content-Length: 1000000000")).splitlines()[0]
    assert time.monotonic() - began < 20


def test_hostile_bodies_without_a_length_are_refused_where_they_grow_too_large(address: str) -> None:
    pieces = (bytes(500_000) for _ in range(12))
    response = httpx.post(f"{address}/v1/documents", content=pieces, timeout=60)
    assert response.status_code == 413


def test_hostile_bodies_that_trickle_are_given_up(address: str) -> None:
    parts = [head("Content-Length: 100"), b"x", b"x", b"x"]
    assert b" 408 " in raw(address, *parts, pause=0.3).splitlines()[0]
