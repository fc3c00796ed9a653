import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from polyspan import Reader

Run = Callable[..., "subprocess.CompletedProcess[str]"]
QUESTION = "When was the harbour of Tessin built?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "harbour.txt").write_text("Notes.\n\nThe harbour of Tessin was built in 1888. It has two piers.")
    (tmp_path / "bees.md").write_text("# Bees\n\nBees dance to tell each other where **flowers** grow.")
    return tmp_path


def test_ask_prints_the_quote_with_its_source(polyspan: Run, folder: Path) -> None:
    result = polyspan("ask", QUESTION, folder)
    assert result.returncode == 0
    assert result.stderr == ""
    first, second = result.stdout.splitlines()[:2]
    assert first == "The harbour of Tessin was built in [1888]."
    assert second.endswith(f"{folder}/harbour.txt, characters 43 to 47")
    assert "%" in second


def test_ask_prints_json(polyspan: Run, folder: Path) -> None:
    content = json.loads(polyspan("ask", QUESTION, folder, "--json").stdout)
    assert list(content) == [
        "question",
        "answers",
        "no_answer",
        "candidates",
        "passages_read",
        "conflicts",
        "model",
        "elapsed_ms",
    ]
    assert content["question"] == QUESTION
    answer = content["answers"][0]
    assert list(answer) == ["text", "start", "end", "score", "document", "page", "context", "context_start", "also"]
    text = (folder / "harbour.txt").read_text()
    assert text[answer["start"] : answer["end"]] == answer["text"] == "1888"
    assert text[answer["context_start"] :].startswith(answer["context"])
    assert answer["page"] is None
    assert 0 < answer["score"] <= 1
    assert content["no_answer"]["chosen"] is False
    assert content["candidates"] == []
    assert content["elapsed_ms"] > 0


def test_ask_says_no_answer_plainly(polyspan: Run, folder: Path) -> None:
    question = "Which composer wrote the opera about the miller's daughter?"
    result = polyspan("ask", question, folder)
    assert result.returncode == 0
    assert result.stdout.startswith("No answer in these documents")
    content = json.loads(polyspan("ask", question, folder, "--json").stdout)
    assert content["answers"] == []
    assert content["no_answer"]["chosen"] is True
    assert content["no_answer"]["score"] > 0.5
    assert content["candidates"]
    assert polyspan("ask", question, folder, "--fail-on-no-answer").returncode == 1
    assert polyspan("ask", QUESTION, folder, "--fail-on-no-answer").returncode == 0


def test_ask_always_answer_and_thresholds(polyspan: Run, folder: Path) -> None:
    question = "Which composer wrote the opera about the miller's daughter?"
    assert json.loads(polyspan("ask", question, folder, "--json", "--always-answer").stdout)["answers"]
    strict = polyspan("ask", QUESTION, folder, "--json", "--no-answer-threshold", "-100").stdout
    assert json.loads(strict)["no_answer"]["chosen"] is True


@pytest.fixture
def strict_in_german(tmp_path: Path) -> Path:
    """A copy of the shipped reader that never answers in German, and in other languages always."""
    shipped = Reader.from_pretrained()
    thresholds = {"de": -100.0}
    calibration = replace(shipped.settings.calibration, no_answer_threshold=100.0, thresholds=thresholds)
    reader = Reader(shipped.scorer, replace(shipped.settings, calibration=calibration))
    reader.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_ask_decides_by_the_language_given_or_told(polyspan_here: Run, folder: Path, strict_in_german: Path) -> None:
    german = "Wann wurde der Hafen von Tessin gebaut?"
    asked = [
        ((question, "--language", language), chosen)
        for question, language, chosen in (
            (QUESTION, "de", True),
            (QUESTION, "fr", False),
            (QUESTION, "auto", False),
            (german, "auto", True),
        )
    ]
    for arguments, chosen in [*asked, ((german,), False)]:
        result = polyspan_here("ask", *arguments, folder / "harbour.txt", "--model", strict_in_german, "--json")
        assert json.loads(result.stdout)["no_answer"]["chosen"] == chosen


def test_ask_reads_stdin(polyspan: Run) -> None:
    result = polyspan("ask", QUESTION, "-", stdin=b"Der Hafen. The harbour of Tessin was built in 1888.")
    assert "[1888]" in result.stdout
    assert ", characters 46 to 50" in result.stdout


def test_ask_names_bad_files_and_answers_from_the_rest(polyspan: Run, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "garbage.txt").write_bytes(bytes(range(256)) * 20)
    result = polyspan("ask", QUESTION, folder)
    assert result.returncode == 0
    assert "[1888]" in result.stdout
    assert len(result.stderr.splitlines()) == 3
    for name in ("broken.pdf", "empty.txt", "garbage.txt"):
        assert f"{name}:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "x"], "the question is empty"),
        (["   ", "x"], "the question is empty"),
        ([QUESTION, "missing.txt"], "missing.txt"),
        ([QUESTION, "only-empty"], "only-empty"),
        ([QUESTION, "here", "--model", "missing-folder/x/y"], "missing-folder/x/y"),
        ([QUESTION, "here", "--top-k", "0"], "top_k must be"),
        ([QUESTION, "here", "--language", "German"], "language must be"),
        ([QUESTION, "here", "--passages", "0"], "passages_read must be"),
    ],
)
def test_ask_bad_input_is_one_line_and_exit_2(
    polyspan: Run, tmp_path: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only-empty").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("The harbour of Tessin was built in 1888.")
    monkeypatch.chdir(tmp_path)
    result = polyspan("ask", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("polyspan: ")


def test_ask_long_text_of_50_mb_is_refused_or_answered(polyspan: Run, tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    big.write_bytes(b"The harbour of Tessin was built in 1888. " * 1_250_000)
    (tmp_path / "small.txt").write_text("The harbour of Tessin was built in 1888.")
    result = polyspan("ask", QUESTION, tmp_path)
    assert result.returncode == 0
    assert "big.txt:" in result.stderr
    assert "[1888]" in result.stdout
    alone = polyspan("ask", QUESTION, big)
    assert alone.returncode == 2
    assert len(alone.stderr.splitlines()) == 1


def test_ask_needs_no_index_library_for_files() -> None:
    code = "import sys, polyspan.cli.ask; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"lancedb", "pyarrow", "onnxruntime"}.isdisjoint(modules)
