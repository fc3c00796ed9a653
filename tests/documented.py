"""Code in documents, which runs and prints what it says."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
_BLOCK = re.compile(r"^```(\w[\w ]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PERCENT = re.compile(r"\d+ ?%")


def blocks_of(document: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a Markdown file: language, and what is said behind it, with the content."""
    return _BLOCK.findall(document.read_text(encoding="utf-8"))


def without_percents(lines: str) -> list[str]:
    """The lines with all percentages alike."""
    return [_PERCENT.sub("N", line) for line in lines.splitlines()]


def run_code(code: str, capsys: pytest.CaptureFixture[str], names: dict[str, object]) -> None:
    """Run code among these names; what it prints are its "# -> " comments, but for percentages."""
    exec(compile(code, "a document", "exec"), names)  # noqa: S102 -- the documents are what is tested
    shown = "\n".join(re.findall(r"# -> (.*)", code))
    assert without_percents(capsys.readouterr().out) == without_percents(shown)
