import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polyspan.cli import COMMANDS

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *[[command, "-h"] for command in COMMANDS]])
def test_commands_help(polyspan: Run, arguments: list[str]) -> None:
    result = polyspan(*arguments)
    assert result.returncode == 0
    assert "Usage: polyspan" in result.stdout
    assert "--help" in result.stdout


def test_commands_version(polyspan: Run) -> None:
    assert polyspan("--version").stdout.startswith("polyspan, version ")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["ask"], ["ask", "x"], ["score", "a"], ["ask", "--nonsense", "x", "y"]]
)
def test_commands_usage_errors_exit_with_2(polyspan: Run, arguments: list[str]) -> None:
    result = polyspan(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_commands_complete_in_shells() -> None:
    variables = {**os.environ, "_POLYSPAN_COMPLETE": "bash_complete", "COMP_WORDS": "polyspan ev", "COMP_CWORD": "1"}
    command = [sys.executable, "-c", "from polyspan.cli import main; import sys; sys.argv[0] = 'polyspan'; main()"]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert "evaluate" in result.stdout


def test_commands_bring_no_torch(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("The harbour of Tessin was built in 1888.")
    code = (
        "import sys; from polyspan.cli import commands\n"
        f"commands(['ask', 'When was the harbour built?', {str(file)!r}], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'lxml', 'docx', 'pypdfium2', 'pptx', 'openpyxl', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "1888" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"
