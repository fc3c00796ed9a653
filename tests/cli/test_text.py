import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_text_prints_what_offsets_count(polyspan: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("# Title\n\nSome **bold** words.")
    text = polyspan("text", file).stdout
    assert "**" not in text
    assert "Some bold words." in text
    content = json.loads(polyspan("text", file, "--json").stdout)
    assert content["text"] == text
    assert content["page_starts"] == []


def test_text_keeps_line_ends_and_takes_stdin(polyspan: Run) -> None:
    assert polyspan("text", "-", stdin=b"one\r\ntwo \xf0\x9f\x8f\x81").stdout == "one\r\ntwo 🏁"


def test_text_bad_files_are_one_line_and_exit_2(polyspan: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    for name in ("missing.txt", "empty.txt", "."):
        result = polyspan("text", tmp_path / name)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
