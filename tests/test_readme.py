"""Every block of the README runs, and prints what it says."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from documented import REPOSITORY, blocks_of, run_code, without_percents

BLOCKS = blocks_of(REPOSITORY / "README.md")


def blocks(language: str) -> list[str]:
    return [content for name, content in BLOCKS if name == language]


def console_commands() -> list[tuple[str, str]]:
    """Each command of the console blocks with the output shown below it."""
    found = []
    for block in blocks("console"):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output.strip()))
    return found


def run(command: str, folder: Path = REPOSITORY) -> str:
    name, *arguments = shlex.split(command)
    assert name == "polyspan", "console blocks show polyspan alone"
    code = "from polyspan.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, check=True, env=os.environ
    )
    return result.stdout.decode().strip()


def test_readme_has_two_set_up_lines_and_only_known_blocks() -> None:
    assert {name for name, _ in BLOCKS} == {"bash", "console", "python"}
    assert len(blocks("bash")) == 2
    assert blocks("bash")[0].startswith("pip install . && polyspan ask ")
    assert ".venv/bin/python -m pytest" in blocks("bash")[1]
    assert all(block.count("\n") == 1 for block in blocks("bash"))


def test_readme_console_blocks(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")  # what commands write stays out of the repository
    for command, shown in console_commands():
        printed = run(command, tmp_path)
        lines = iter(without_percents(printed))
        missing = [line for line in without_percents(shown) if line != "…" and line not in lines]
        assert not missing, printed


def test_readme_first_line_runs_as_written() -> None:
    command = blocks("bash")[0].strip().removeprefix("pip install . && ")
    assert "[" in run(command)


@pytest.mark.parametrize("code", blocks("python"))
def test_readme_python_block(code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(REPOSITORY)
    run_code(code, capsys, {"__name__": "readme"})
