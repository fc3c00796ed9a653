"""Real servers in processes of their own, asked by the SDK's client."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CODE = "from polyspan.cli import main; main()"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "harbour.txt").write_text("The harbour of Tessin was built in 1888. It has two piers.")
    return folder


async def use(server: Any, document: str) -> tuple[list[str], dict[str, Any], dict[str, Any], bool]:
    """What a client gets that looks around."""
    async with Client(server) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        found = await client.call_tool("ask", {"question": "When was the harbour of Tessin built?"})
        read = await client.call_tool("read_document", {"document": document})
        wrong = await client.call_tool("read_document", {"document": "nothing"})
        again = await client.call_tool("list_documents", {})
        assert not again.is_error
        return tools, found.structured_content, read.structured_content, wrong.is_error


def check(got: tuple[list[str], dict[str, Any], dict[str, Any], bool]) -> None:
    tools, found, read, wrong = got
    assert tools == ["ask", "quote", "list_documents", "read_document"]
    answer = found["answers"][0]
    assert (answer["text"], read["text"][answer["start"] : answer["end"]]) == ("1888", "1888")
    assert wrong


def test_mcp_over_stdio(docs: Path, tmp_path: Path) -> None:
    arguments = ["-c", CODE, "mcp", str(docs), "--index", str(tmp_path / "index")]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    check(asyncio.run(use(server, (docs / "harbour.txt").as_posix())))


def test_mcp_prints_nothing_but_the_protocol(polyspan: Run, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"no pdf")
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    sent = b"no json\n" + json.dumps(hello).encode() + b"\n"
    result = polyspan("mcp", docs, stdin=sent)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert [message["result"]["serverInfo"]["name"] for message in messages if message.get("id") == 1] == ["polyspan"]
    assert "skipped" in result.stderr
    assert "answers about 1 documents over stdio" in result.stderr
    assert "Traceback" not in result.stderr


@contextmanager
def http_server(port: int, *arguments: object) -> Iterator[dict[str, Any]]:
    """What a server says of itself that has begun to listen."""
    command = [sys.executable, "-c", CODE, "mcp", "--http", "--json", "--port", str(port), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "the server ended"
            said += line
        yield json.loads(said)
    finally:
        process.kill()
        process.communicate()


async def _use_when_it_listens(address: str, document: str) -> Any:
    for _ in range(100):
        try:
            return await use(address, document)
        except BaseExceptionGroup:  # nothing listens yet
            await asyncio.sleep(0.1)
    raise AssertionError("nothing listens")


def test_mcp_over_http(docs: Path, port: int) -> None:
    with http_server(port, docs) as said:
        assert said == {"address": f"http://127.0.0.1:{port}/mcp", "documents": 1}
        check(asyncio.run(_use_when_it_listens(said["address"], (docs / "harbour.txt").as_posix())))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "name what is asked"),
        (["--json", "x"], "--json needs --http"),
        (["--index", "/nowhere/at/all"], "no index there; make one with polyspan index"),
        (["--http", "--token", " ", "x"], "the token must be printable ASCII"),
    ],
)
def test_mcp_refuses_what_cannot_be_asked(polyspan: Run, arguments: list[str], reason: str) -> None:
    result = polyspan("mcp", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
