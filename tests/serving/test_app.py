import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from polyspan import Reader, Reading
from polyspan.serving import routes
from polyspan.serving.schemas import ReadingBody

Serve = Callable[..., TestClient]
PROBLEM = "application/problem+json"


def refused(response: Any, status: int, reason: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, PROBLEM), response.text
    body = response.json()
    assert body["status"] == status
    assert reason in body["detail"], body


def test_server_answers_from_the_index_and_from_given_documents(serve: Serve) -> None:
    client = serve()
    found = client.post("/v1/answer", json={"question": "find rome"}).json()
    (answer,) = found["answers"]
    assert (answer["text"], answer["document"], answer["start"], answer["page"]) == (
        "Rome",
        "uploads/anna.txt",
        14,
        None,
    )
    assert list(found) == [
        "question",
        "answers",
        "no_answer",
        "candidates",
        "passages_read",
        "conflicts",
        "model",
        "elapsed_ms",
    ]
    documents = [{"text": "Bert lives in Oslo ."}, {"text": "Bert lives in Paris .", "id": "b"}]
    given = client.post("/v1/answer", json={"question": "find paris", "documents": documents}).json()
    assert given["answers"][0]["document"] == "b"
    none = client.post("/v1/answer", json={"question": "find paris"}).json()
    assert (none["answers"], none["no_answer"]["chosen"]) == ([], True)
    always = client.post("/v1/answer", json={"question": "find paris", "return_no_answer": False}).json()
    assert always["answers"]


def test_server_answers_a_batch_in_order(serve: Serve) -> None:
    questions = [{"question": "find rome"}, {"question": "find anna"}] * 3
    found = serve().post("/v1/answer/batch", json={"questions": questions}).json()["readings"]
    assert [one["answers"][0]["text"] for one in found] == ["Rome", "Anna"] * 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "body.question: Field required"),
        ({"question": ""}, "at least 1 character"),
        ({"question": " \n"}, "question: expected a text with something in it"),
        ({"question": 7}, "valid string"),
        ({"question": "x" * 3000}, "question: at most 2000 characters, not 3000"),
        ({"question": "x", "top_k": 0}, "greater than or equal to 1"),
        ({"question": "x", "top_k": 1000}, "top_k: at most 50 answers"),
        ({"question": "x", "passages": 1000}, "passages: at most 50 passages"),
        ({"question": "x", "documents": [{"body": "y"}]}, "documents.0.text"),
        ({"question": "x", "documents": [{"text": "y", "title": 7}]}, "documents.0.title"),
        ({"question": "x", "topk": 3}, "Extra inputs are not permitted"),
    ],
)
def test_server_refuses_bad_questions(serve: Serve, body: dict[str, Any], reason: str) -> None:
    refused(serve().post("/v1/answer", json=body), 422, reason)


def test_server_refuses_what_is_no_json_or_no_route(serve: Serve) -> None:
    client = serve()
    json_body = {"content-type": "application/json"}
    refused(client.post("/v1/answer", content=b"{", headers=json_body), 422, "JSON decode error")
    refused(client.get("/v1/nothing"), 404, "Not Found")
    refused(client.get("/v1/answer"), 405, "Method Not Allowed")
    refused(client.post("/v1/answer/batch", json={"questions": []}), 422, "at least 1 item")
    many = {"questions": [{"question": "x"}] * 257}
    refused(client.post("/v1/answer/batch", json=many), 422, "questions: at most 256, not 257")


def test_server_wants_its_token(serve: Serve) -> None:
    client = serve(token="secret")
    response = client.post("/v1/answer", json={"question": "find rome"})
    refused(response, 401, "send Authorization: Bearer TOKEN")
    assert response.headers["www-authenticate"] == "Bearer"
    wrong = client.post("/v1/answer", json={"question": "find rome"}, headers={"authorization": "Bearer other"})
    assert wrong.status_code == 401
    right = client.post("/v1/answer", json={"question": "find rome"}, headers={"authorization": "Bearer secret"})
    assert right.json()["answers"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_server_refuses_large_bodies_before_any_work(serve: Serve) -> None:
    client = serve(max_body_bytes=1_000)
    refused(client.post("/v1/answer", json={"question": "x" * 2_000}), 413, "larger than 1,000 bytes")
    pieces = (b"x" * 100 for _ in range(20))  # without a length
    refused(client.post("/v1/answer", content=pieces), 413, "larger than 1,000 bytes")


def test_server_lets_no_more_wait_than_there_is_room_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    answer = routes.Server.answer

    def slow(server: routes.Server, requests: list[Any]) -> list[ReadingBody]:
        release.wait(30)
        return answer(server, requests)

    monkeypatch.setattr(routes.Server, "answer", slow)
    client = serve(threads=1, most_waiting=2)
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(client.post("/v1/answer", json={"question": "find rome"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30
    while "polyspan_queue 3.0" not in client.get("/metrics").text and time.monotonic() < end:
        time.sleep(0.01)
    response = client.post("/v1/answer", json={"question": "find rome"})
    refused(response, 429, "try again in a second")
    assert response.headers["retry-after"] == "1"
    release.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 3


def test_server_reads_questions_that_come_together_at_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    read_stream = Reader.read_stream

    def counted(reader: Reader, pairs: Any, *rest: Any) -> Iterator[Reading]:
        asked = list(pairs)
        together.append(len(asked))
        return read_stream(reader, asked, *rest)

    monkeypatch.setattr(Reader, "read_stream", counted)
    client = serve(batch_seconds=2.0, threads=8)
    words = ["rome", "oslo", "paris"]
    bodies = [
        {"question": f"find {word}", "documents": [{"text": f"Bert lives in {word.title()} ."}]} for word in words
    ]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda body: client.post("/v1/answer", json=body).json(), bodies))
    assert [one["answers"][0]["text"] for one in found] == ["Rome", "Oslo", "Paris"]
    assert max(together) > 1
    assert sum(together) == 3


def test_server_reads_given_documents_with_their_titles(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[Any] = []
    read_stream = Reader.read_stream

    def noted(reader: Reader, pairs: Any, *rest: Any) -> Iterator[Reading]:
        asked = [(question, list(passages)) for question, passages in pairs]
        titles.extend(passage.document.meta["title"] for _, passages in asked for passage in passages)
        return read_stream(reader, asked, *rest)

    monkeypatch.setattr(Reader, "read_stream", noted)
    documents = [{"text": "Bert lives in Oslo .", "title": "Paris"}, {"text": "Anna lives in Rome ."}]
    found = serve().post("/v1/answer", json={"question": "find paris", "documents": documents}).json()
    assert sorted(titles) == ["", "Paris"]
    assert found["no_answer"]["chosen"]


def test_server_gives_up_on_what_takes_too_long(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes.Server, "answer", lambda *_: time.sleep(0.5))
    response = serve(answer_seconds=0.05).post("/v1/answer", json={"question": "find rome"})
    refused(response, 503, "took longer than 0.05 seconds")


def test_server_counts_and_logs_without_texts(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "polyspan.serving")
    client = serve()
    client.post("/v1/answer", json={"question": "find rome"})
    client.post("/v1/answer", json={"question": "find paris"})
    client.get("/nowhere/at/all")
    text = client.get("/metrics").text
    assert 'polyspan_requests_total{method="POST",route="/v1/answer",status="200"} 2.0' in text
    assert "polyspan_questions_total 2.0" in text
    assert "polyspan_no_answers_total 1.0" in text
    assert 'route="other",status="404"' in text
    lines = [json.loads(record.message) for record in caplog.records if record.name == "polyspan.serving"]
    assert [(line["route"], line["status"]) for line in lines[:3]] == [("/v1/answer", 200)] * 2 + [("other", 404)]
    assert "rome" not in caplog.text.lower()


def test_server_lets_named_sites_ask(serve: Serve) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in serve().options("/v1/answer", headers=asked).headers
    client = serve(origins=("https://a.example",), token="secret")
    assert client.options("/v1/answer", headers=asked).headers["access-control-allow-origin"] == "https://a.example"


def test_server_describes_itself(serve: Serve) -> None:
    client = serve()
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/v1/answer",
        "/v1/answer/batch",
        "/v1/documents",
        "/v1/documents/{name}",
        "/v1/documents/{name}/text",
        "/v1/documents/{name}/pages/{page}.png",
        "/v1/documents/{name}/boxes",
        "/v1/explain",
        "/v1/feedback",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert schema["components"]["schemas"]["AnswerRequest"]["examples"]
    assert client.get("/readyz").json() == {"status": "ok", "model": "fake", "documents": 1}


def test_server_shows_its_page_and_runs_no_other_script(serve: Serve) -> None:
    client = serve(token="secret")
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for script in ("page", "common", "viewer", "heat"):
        text = client.get(f"/page/{script}.js").text
        assert text
        assert not [word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write") if word in text]
    assert client.get("/page/style.css").status_code == 200
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/%2e%2e%2fapp.py"):
        assert client.get(path).status_code in (401, 404)
