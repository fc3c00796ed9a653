from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from pdfs import Page, build_pdf, lines

Serve = Callable[..., TestClient]
PDF = build_pdf([Page(lines(["Anna lives in Rome ."])), Page(lines(["Bert lives in Oslo ."]))])
NAME = "uploads/two.pdf"


@pytest.fixture
def client(serve: Serve) -> TestClient:
    made = serve()
    made.post("/v1/documents", files=[("files", ("two.pdf", PDF))])
    return made


def test_pages_of_pdfs_are_pictures_that_caches_keep(client: TestClient) -> None:
    response = client.get(f"/v1/documents/{NAME}/pages/2.png", params={"width": 300})
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(response.content)).size[0] == 300
    assert response.headers["cache-control"] == "private, no-cache"
    tag = response.headers["etag"]
    again = client.get(f"/v1/documents/{NAME}/pages/2.png", params={"width": 300}, headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"/v1/documents/{NAME}/pages/1.png", params={"width": 300}, headers={"if-none-match": tag})
    assert other.status_code == 200


def test_boxes_stand_where_the_picture_has_the_quote(client: TestClient) -> None:
    (answer,) = client.post("/v1/answer", json={"question": "find oslo"}).json()["answers"]
    where = {"start": answer["start"], "end": answer["end"]}
    (box,) = client.get(f"/v1/documents/{NAME}/boxes", params=where).json()["boxes"]
    assert box["page"] == answer["page"] == 2
    picture = client.get(f"/v1/documents/{NAME}/pages/2.png", params={"width": 600}).content
    ink = np.asarray(Image.open(BytesIO(picture)).convert("L")) < 128
    rows, columns = (
        slice(int(a * size), int(b * size) + 1) for a, b, size in zip(*_sides(box), ink.shape, strict=True)
    )
    assert 0.01 < ink[rows, columns].sum() / ink.sum() < 0.5


def _sides(box: dict[str, Any]) -> tuple[tuple[float, float], tuple[float, float]]:
    return (box["top"], box["left"]), (box["bottom"], box["right"])


def test_boxes_are_those_of_the_file_as_it_is_now(client: TestClient) -> None:
    where = {"start": 0, "end": 4}
    before = client.get(f"/v1/documents/{NAME}/boxes", params=where).json()
    moved = build_pdf([Page(lines(["Bert lives in Paris ."], y=300))])
    client.post("/v1/documents", files=[("files", ("two.pdf", moved))])
    after = client.get(f"/v1/documents/{NAME}/boxes", params=where).json()
    assert after["boxes"][0]["top"] > before["boxes"][0]["top"] + 0.3


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("uploads/anna.txt/pages/1.png", 404, "there is no PDF 'uploads/anna.txt'"),
        ("uploads/other.pdf/pages/1.png", 404, "there is no PDF"),
        ("/etc/other.pdf/pages/1.png", 404, "there is no PDF"),
        (f"{NAME}/pages/3.png", 422, "has no page 3"),
        (f"{NAME}/pages/0.png", 422, "greater than or equal to 1"),
        (f"{NAME}/pages/1.png?width=9999", 422, "less than or equal to 2000"),
        (f"{NAME}/boxes?start=5&end=5", 422, "no quote stands at characters 5 to 5"),
        (f"{NAME}/boxes?start=5&end=9999", 422, "no quote stands"),
        (f"{NAME}/boxes", 422, "query.start"),
    ],
)
def test_looking_refuses_what_is_not_there(client: TestClient, path: str, status: int, reason: str) -> None:
    response = client.get(f"/v1/documents/{path}")
    assert response.status_code == status
    assert reason in response.json()["detail"]


def test_explain_tells_where_an_answer_begins(client: TestClient) -> None:
    (answer,) = client.post("/v1/answer", json={"question": "find oslo"}).json()["answers"]
    asked = {"question": "find oslo", "document": NAME, "start": answer["start"], "end": answer["end"]}
    found = client.post("/v1/explain", json=asked).json()
    best = max(found["tokens"], key=lambda token: token["start_probability"])
    assert (best["start"], best["end"]) == (answer["start"], answer["end"])
    assert found["text"][best["start"] - found["start"] : best["end"] - found["start"]] == "Oslo"
    given = client.post("/v1/explain", json={"question": "find paris", "text": "Anna lives in Rome ."}).json()
    assert given["null_start"] > 0.99
    assert (given["text"], given["start"]) == ("Anna lives in Rome .", 0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "give either text, or document, start and end"),
        ({"text": "x", "document": NAME, "start": 0, "end": 1}, "give either text"),
        ({"document": NAME}, "give either text"),
        ({"document": NAME, "start": 4, "end": 4}, "no passage holds characters 4 to 4"),
        ({"document": "other", "start": 0, "end": 4}, "no passage holds characters 0 to 4 of 'other'"),
        ({"text": "x" * 10_001}, "at most 10000 characters"),
    ],
)
def test_explain_refuses_what_names_no_passage(client: TestClient, body: dict[str, Any], reason: str) -> None:
    response = client.post("/v1/explain", json={"question": "find oslo", **body})
    assert response.status_code == 422
    assert reason in response.json()["detail"]
