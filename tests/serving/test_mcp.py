import asyncio
import importlib
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

import polyspan.serving.mcp
from polyspan.errors import MissingExtraError
from polyspan.serving import Collection, ServeOptions
from polyspan.serving.mcp import MAX_CHARS, create_mcp, http_app
from polyspan.types import Document
from serving_fakes import listening, open_collection

ANNA = "uploads/anna.txt"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    made = open_collection(tmp_path_factory.mktemp("mcp") / "index")
    made.add("anna.txt", b"Anna lives in Rome .")
    return made


def with_client(server: Any, use: Callable[[Client], Awaitable[Any]]) -> Any:
    """What comes of talking to a server as the SDK's client does."""

    async def talk() -> Any:
        async with Client(server) as client:
            return await use(client)

    return asyncio.run(talk())


def call(collection: Collection, tool: str, arguments: dict[str, Any], **options: Any) -> CallToolResult:
    server = create_mcp(collection, ServeOptions(**options))
    found = with_client(server, lambda client: client.call_tool(tool, arguments))
    assert isinstance(found, CallToolResult)
    return found


def content(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def test_mcp_tells_its_tools(collection: Collection) -> None:
    tools = with_client(create_mcp(collection), lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == ["ask", "quote", "list_documents", "read_document"]
    for tool in tools:
        assert tool.annotations.read_only_hint
        assert tool.description
        assert tool.output_schema
    assert tools[0].input_schema["required"] == ["question"]


def test_mcp_answers_with_quotes_or_says_no_answer(collection: Collection) -> None:
    found = content(call(collection, "ask", {"question": "find rome"}))
    (answer,) = found["answers"]
    assert (answer["text"], answer["document"], answer["start"], answer["end"]) == ("Rome", ANNA, 14, 18)
    assert 0 < answer["score"] <= 1
    none = content(call(collection, "ask", {"question": "find paris"}))
    assert (none["answers"], none["no_answer"]["chosen"]) == ([], True)
    assert content(call(collection, "ask", {"question": "find paris", "return_no_answer": False}))["answers"]


def test_mcp_quotes_for_claims_and_says_what_is_only_near(collection: Collection) -> None:
    found = content(call(collection, "quote", {"claim": "find rome"}))
    assert [(one["text"], one["found"]) for one in found["quotes"]] == [("Rome", True)]
    near = content(call(collection, "quote", {"claim": "find paris", "top_k": 2}))["quotes"]
    assert near
    assert {one["found"] for one in near} == {False}
    assert all("Anna lives in Rome ."[one["start"] : one["end"]] == one["text"] for one in near)


@pytest.mark.parametrize(
    ("claim", "question", "verdict"),
    [
        ("Rome", "find rome", "supported"),
        ("Oslo", "find rome", "contradicted"),
        ("Rome", "find paris", "insufficient"),
    ],
)
def test_mcp_tells_whether_documents_support_a_claim(
    collection: Collection, claim: str, question: str, verdict: str
) -> None:
    found = content(call(collection, "quote", {"claim": claim, "question": question}))
    assert found["verdict"] == verdict
    assert [one["text"] for one in found["quotes"]] == ([] if verdict == "insufficient" else ["Rome"])


def test_mcp_lists_documents_in_parts(collection: Collection) -> None:
    collection.add("bert.txt", b"Bert lives in Oslo .")
    everything = content(call(collection, "list_documents", {}))
    assert everything == {
        "documents": [{"id": ANNA, "uploaded": True}, {"id": "uploads/bert.txt", "uploaded": True}],
        "total": 2,
    }
    part = content(call(collection, "list_documents", {"first": 1, "limit": 1}))
    assert ([one["id"] for one in part["documents"]], part["total"]) == (["uploads/bert.txt"], 2)
    assert content(call(collection, "list_documents", {"contains": "BERT"}))["total"] == 1
    collection.remove("uploads/bert.txt")


def test_mcp_reads_documents_in_pieces(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = content(call(collection, "read_document", {"document": ANNA}))
    assert whole["text"] == "Anna lives in Rome ."
    assert (whole["start"], whole["end"], whole["next_start"], whole["page"]) == (0, 20, None, None)
    part = content(call(collection, "read_document", {"document": ANNA, "start": 5, "chars": 5}))
    assert (part["text"], part["next_start"], part["length"]) == ("lives", 10, 20)
    book = Document("One.\n\nTwo two.", "book", (0, 6))
    monkeypatch.setattr(Collection, "text", lambda *_: book)
    page = content(call(collection, "read_document", {"document": "book", "page": 2}))
    assert (page["text"], page["start"], page["page"], page["pages"]) == ("Two two.", 6, 2, 2)


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("ask", {}, "question"),
        ("ask", {"question": " "}, "expected a text with something in it"),
        ("ask", {"question": 7}, "question"),
        ("ask", {"question": "x" * 3_000}, "question: at most 2000 characters"),
        ("ask", {"question": "x", "top_k": 0}, "top_k"),
        ("ask", {"question": "x", "top_k": 99}, "top_k: at most 50 answers"),
        ("quote", {"claim": ""}, "claim"),
        ("quote", {"claim": "x", "top_k": 99}, "top_k: at most 50"),
        ("quote", {"claim": "x", "question": "x" * 3_000}, "question: at most 2000 characters"),
        ("quote", {"claim": "?", "question": "x"}, "with letters or digits in it"),
        ("list_documents", {"limit": 10_000}, "limit"),
        ("read_document", {"document": "../../etc/passwd"}, "there is no document '../../etc/passwd'"),
        ("read_document", {"document": ANNA, "start": 99}, "start 99 is behind the end"),
        ("read_document", {"document": ANNA, "start": -1}, "start"),
        ("read_document", {"document": ANNA, "page": 1}, "has no pages; there is no page 1"),
        ("read_document", {"document": ANNA, "page": 1, "start": 0}, "give start or page, not both"),
        ("read_document", {"document": ANNA, "chars": MAX_CHARS + 1}, "chars"),
        ("nonsense", {}, "nonsense"),
    ],
)
def test_mcp_answers_bad_input_with_tool_errors(
    collection: Collection, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    result = call(collection, tool, arguments)
    (said,) = result.content
    assert isinstance(said, TextContent)
    assert result.is_error
    assert reason in said.text
    assert "Traceback" not in said.text


def test_mcp_gives_up_on_what_takes_too_long(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(Collection, "text", lambda *_: release.wait(30))
    try:
        result = call(collection, "read_document", {"document": ANNA}, answer_seconds=0.05)
    finally:
        release.set()
    assert result.is_error
    assert "took longer than 0.05 seconds" in str(result.content)


def test_mcp_over_http_wants_its_token_and_keeps_its_limits(collection: Collection) -> None:
    async def ask(client: Client) -> list[CallToolResult]:
        questions = ["find rome", "find anna"] * 4
        return list(await asyncio.gather(*(client.call_tool("ask", {"question": one}) for one in questions)))

    async def talk(address: str) -> list[CallToolResult]:
        http = httpx2.AsyncClient(headers={"Authorization": "Bearer secret"})
        async with http, Client(streamable_http_client(address, http_client=http)) as client:
            return await ask(client)

    options = ServeOptions(token="secret", max_body_bytes=5_000)
    with listening(http_app(create_mcp(collection, options), "127.0.0.1", options)) as server:
        address = f"{server}/mcp"
        results = asyncio.run(talk(address))
        refused = httpx.post(address, json={})
        headers = {"Authorization": "Bearer secret", "Accept": "application/json, text/event-stream"}
        large = httpx.post(address, headers=headers, json={"x": "y" * 10_000})
        elsewhere = httpx.post(address, headers={**headers, "Host": "evil.example"}, json={})
        broken = httpx.post(address, headers={**headers, "Content-Type": "application/json"}, content=b"{")
    texts = [content(result)["answers"][0]["text"] for result in results]
    assert texts == ["Rome", "Anna"] * 4
    statuses = [refused.status_code, large.status_code, elsewhere.status_code, broken.status_code]
    assert statuses == [401, 413, 421, 400]


def test_mcp_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mcp.server.mcpserver", None)
        with pytest.raises(MissingExtraError, match=r'pip install "polyspan\[mcp\]"'):
            importlib.reload(polyspan.serving.mcp)
    importlib.reload(polyspan.serving.mcp)
