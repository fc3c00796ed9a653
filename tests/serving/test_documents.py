from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from polyspan.errors import InputError
from polyspan.serving.collection import safe_name
from serving_fakes import open_collection

Serve = Callable[..., TestClient]


def upload(client: TestClient, *files: tuple[str, bytes]) -> Any:
    return client.post("/v1/documents", files=[("files", file) for file in files])


def ids(client: TestClient) -> list[str]:
    return [one["id"] for one in client.get("/v1/documents").json()["documents"]]


def test_documents_are_added_asked_shown_and_removed(serve: Serve) -> None:
    client = serve()
    body = upload(client, ("bert.txt", b"Bert lives in Oslo ."), ("empty.txt", b"")).json()
    assert body["added"] == ["uploads/bert.txt"]
    assert body["refused"] == [{"name": "empty.txt", "detail": "empty.txt: the file is empty; name a file with text"}]
    assert ids(client) == ["uploads/anna.txt", "uploads/bert.txt"]
    (answer,) = client.post("/v1/answer", json={"question": "find oslo"}).json()["answers"]
    text = client.get(f"/v1/documents/{answer['document']}/text").json()
    assert text == {"id": "uploads/bert.txt", "text": "Bert lives in Oslo .", "page_starts": []}
    assert text["text"][answer["start"] : answer["end"]] == "Oslo"
    assert client.delete("/v1/documents/uploads/bert.txt").status_code == 204
    assert ids(client) == ["uploads/anna.txt"]
    for method, path in (("DELETE", "uploads/bert.txt"), ("GET", "uploads/bert.txt/text")):
        assert client.request(method, f"/v1/documents/{path}").status_code == 404


def test_documents_of_one_name_replace_each_other(serve: Serve) -> None:
    client = serve()
    upload(client, ("anna.txt", b"Anna lives in Paris ."))
    assert ids(client) == ["uploads/anna.txt"]
    assert client.post("/v1/answer", json={"question": "find rome"}).json()["answers"] == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.txt", "uploads/passwd.txt"),
        ("C:\\docs\\a.txt", "uploads/a.txt"),
        ("/abs/..hidden.txt", "uploads/hidden.txt"),
        ("name?<>.txt", "uploads/name___.txt"),
    ],
)
def test_documents_keep_to_their_folder(serve: Serve, folder: Path, name: str, kept: str) -> None:
    client = serve()
    assert upload(client, (name, b"Bert lives in Oslo .")).json()["added"] == [kept]
    assert (folder / kept).read_bytes() == b"Bert lives in Oslo ."


@pytest.mark.parametrize("name", ["", "..", "/", ".", "x" * 201])
def test_documents_need_a_name(name: str) -> None:
    with pytest.raises(InputError, match="is no name of a file"):
        safe_name(name)


def test_documents_refuse_what_cannot_be_read(serve: Serve) -> None:
    client = serve()
    response = upload(client, ("a.pdf", b"no pdf"))
    assert response.status_code == 422
    assert "the content is not what the suffix .pdf says" in response.json()["detail"]
    assert client.post("/v1/documents").status_code == 422


def test_documents_of_a_read_only_server_stay(serve: Serve) -> None:
    client = serve(read_only=True)
    assert upload(client, ("b.txt", b"Bert")).status_code == 403
    assert client.delete("/v1/documents/uploads/anna.txt").status_code == 403
    assert client.post("/v1/feedback", json={"question": "x", "document": "y", "verdict": "wrong"}).status_code == 403
    assert ids(client) == ["uploads/anna.txt"]


def test_collection_finishes_uploads_that_were_interrupted(folder: Path) -> None:
    open_collection(folder).add("anna.txt", b"Anna lives in Rome .")
    (folder / "uploads" / "bert.txt").write_text("Bert lives in Oslo .")
    (folder / "uploads" / ".half.txt.part").write_text("Be")
    (folder / "uploads" / "anna.txt").write_text("Anna lives in Paris .")
    collection = open_collection(folder)
    assert [one["id"] for one in collection.documents()] == ["uploads/anna.txt", "uploads/bert.txt"]
    found = collection.text("uploads/anna.txt")
    assert found is not None
    assert found.text == "Anna lives in Paris ."
    assert not (folder / "uploads" / ".half.txt.part").exists()


def test_collection_puts_long_texts_together(folder: Path, tmp_path: Path) -> None:
    text = "".join(f"Sentence {i} of a long text. " for i in range(400))
    (tmp_path / "long.txt").write_text(text)
    collection = open_collection(folder)
    collection.index([tmp_path / "long.txt"])
    name = (tmp_path / "long.txt").as_posix()
    found = collection.text(name)
    assert found is not None
    assert (found.text, found.page_starts) == (text, ())
    assert collection.documents() == [{"id": name, "uploaded": False}]
