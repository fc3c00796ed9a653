import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
QUESTION = "When was the harbour of Tessin built?"
TEXT = "Notes.\n\nThe harbour of Tessin was built in 1888. It has two piers."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "harbour.txt"
    path.write_text(TEXT)
    return path


def test_highlight_marks_places_in_their_sentences(polyspan_here: Run, file: Path) -> None:
    result = polyspan_here("highlight", QUESTION, file)
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first == "The harbour of Tessin was built in [1888]."
    assert second.endswith(f"{file}, characters 43 to 47")
    content = json.loads(polyspan_here("highlight", QUESTION, file, "--json", "--level", "sentence").stdout)
    assert [one["text"] for one in content["highlights"]] == ["The harbour of Tessin was built in 1888."]


def test_highlight_says_that_there_is_nothing(polyspan_here: Run, file: Path) -> None:
    result = polyspan_here("highlight", "What do bees eat?", file)
    assert (result.returncode, result.stdout) == (0, "Nothing in these documents answers that.\n")


@pytest.mark.parametrize(("answer", "verdict", "code"), [("in 1888", "supported", 0), ("1901", "contradicted", 1)])
def test_supports_says_the_verdict_and_shows_the_quote(
    polyspan_here: Run, file: Path, answer: str, verdict: str, code: int
) -> None:
    result = polyspan_here("supports", QUESTION, answer, file, "--fail-unless-supported")
    assert result.returncode == code
    assert result.stdout.startswith(f"{verdict} (")
    assert "built in [1888]." in result.stdout
    content = json.loads(polyspan_here("supports", QUESTION, answer, file, "--json").stdout)
    assert (content["verdict"], content["answer"], content["quote"]["text"]) == (verdict, answer, "1888")


def test_evidence_bad_input_is_one_line(polyspan_here: Run, file: Path, tmp_path: Path) -> None:
    for arguments in (
        ("highlight", "", file),
        ("highlight", QUESTION, tmp_path / "absent.txt"),
        ("highlight", QUESTION, file, "--min-probability", "2"),
        ("supports", QUESTION, "?", file),
    ):
        result = polyspan_here(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == 1
