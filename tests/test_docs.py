"""What the documentation tells people to run is there to be run."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from polyspan.cli import commands

DOCS = Path(__file__).parent.parent / "docs"
SERVING = (DOCS / "serving.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SERVING, re.DOTALL | re.MULTILINE)


def shown_commands() -> list[list[str]]:
    """The polyspan commands of console blocks and of clients' configurations, without what a shell puts in."""
    typed = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    found = [shlex.split(line) for line in typed if line.startswith("polyspan ")]
    for block in blocks("json"):
        servers = json.loads(block).get("mcpServers", {})
        found += [[one["command"], *one["args"]] for one in servers.values()]
    return found


@pytest.mark.parametrize("arguments", shown_commands(), ids=" ".join)
def test_docs_commands_are_understood(arguments: list[str]) -> None:
    assert arguments[0] == "polyspan"
    command = commands.get_command(click.Context(commands), arguments[1])
    assert command is not None
    command.make_context(arguments[1], arguments[2:])


def test_docs_show_a_client_configuration() -> None:
    assert any(one[:2] == ["polyspan", "mcp"] and "--http" not in one for one in shown_commands())
