import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fake_encoder import FakeEncoder
from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three documents, in a folder of which the command line is given relative paths."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "anna.txt").write_text("Anna lives in Rome.")
    (folder / "bert.md").write_text("# Bert\n\nBert lives in Oslo.")
    (folder / "copy.txt").write_text("Anna lives in Rome!")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def run(polyspan_here: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line with a reader and an encoder that go by words."""
    for place in ("pipeline", "cli.index"):
        monkeypatch.setattr(f"polyspan.{place}.open_encoder", lambda model, _=None: FakeEncoder(model or "fake0"))
    scorer = FakeScorer("anna bert lives in oslo rome")
    reader = Reader(scorer, NativeSettings(no_answer=True))
    monkeypatch.setattr("polyspan.reader.Reader.from_pretrained", lambda *_: reader)
    return polyspan_here


def test_index_is_filled_and_asked(run: Run, docs: Path) -> None:
    made = run("index", docs.name, "--index", "ix")
    assert (made.returncode, made.stdout) == (0, "ix: 3 added, 0 changed, 0 unchanged, 0 removed; 3 passages\n")
    again = json.loads(run("index", "--index", "ix", "--json", docs.name).stdout)
    assert (again["added"], again["unchanged"], again["errors"]) == (0, 3, [])
    asked = run("ask", "find oslo", "--index", "ix")
    assert asked.stdout.splitlines()[0] == "Bert lives in [Oslo]."
    assert "docs/bert.md, characters" in asked.stdout
    folded = json.loads(run("ask", "find rome", "--index", "ix", "--json").stdout)
    (answer,) = folded["answers"]
    assert {answer["document"], *(one["document"] for one in answer["also"])} == {"docs/anna.txt", "docs/copy.txt"}


def test_index_asks_with_conditions(run: Run, docs: Path) -> None:
    run("index", docs.name, "--index", "ix")
    only = ("--index", "ix", "--json", "--where", "format=markdown")
    assert json.loads(run("ask", "find rome", *only).stdout)["answers"] == []
    assert json.loads(run("ask", "find oslo", *only, "--ranking", "words").stdout)["answers"]


def test_index_skips_bad_files_and_says_so_at_the_end(run: Run, docs: Path) -> None:
    (docs / "empty.txt").write_text("")
    result = run("index", docs.name, "--index", "ix")
    assert result.returncode == 0
    assert result.stderr == "polyspan: skipped docs/empty.txt: the file is empty; name a file with text\n"
    assert result.stdout.startswith("ix: 3 added, 0 changed, 0 unchanged, 0 removed, 1 skipped;")
    nothing = run("index", "docs/empty.txt", "--index", "none")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "nothing could be indexed" in nothing.stderr


def test_index_status_remove_and_compact(run: Run, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", docs.name, "--index", "ix")
    status = json.loads(run("index", "status", "--index", "ix", "--json", "--documents").stdout)
    assert (status["documents"], status["passages"], status["encoder_digest"]) == (3, 3, "fake0")
    assert status["names"] == ["docs/anna.txt", "docs/bert.md", "docs/copy.txt"]
    assert "docs/anna.txt" in run("index", "status", "--index", "ix", "--documents").stdout
    assert run("index", "remove", "docs/copy.txt", "--index", "ix").stdout.startswith("ix: 0 added, 0 changed")
    unknown = run("index", "remove", "docs/copy.txt", "--index", "ix")
    assert (unknown.returncode, unknown.stderr.count("holds no document docs/copy.txt")) == (2, 1)
    monkeypatch.setattr("polyspan.cli.index.KEPT", timedelta(milliseconds=1))
    compacted = json.loads(run("index", "compact", "--index", "ix", "--json").stdout)
    assert 0 < compacted["bytes"] < compacted["bytes_before"]
    assert json.loads(run("index", "remove", "docs", "--index", "ix", "--json").stdout)["removed"] == 2


def test_index_keeps_its_encoder_and_sizes(run: Run, docs: Path) -> None:
    run("index", docs.name, "--index", "ix", "--encoder", "mine", "--passage-bytes", 300)
    refused = run("index", docs.name, "--index", "ix", "--encoder", "other")
    assert refused.returncode == 2
    assert "ix: was made with encoder mine, not other; add --rebuild" in refused.stderr
    refused = run("index", docs.name, "--index", "ix", "--passage-bytes", 400)
    assert "ix: was made with passage_bytes 300, not 400; add --rebuild" in refused.stderr
    assert run("ask", "find rome", "--index", "ix").returncode == 0
    rebuilt = run("index", docs.name, "--index", "ix", "--encoder", "other", "--rebuild")
    assert rebuilt.stdout.startswith("ix: 3 added")


def test_index_help_names_the_other_commands(run: Run) -> None:
    text = run("index", "--help").stdout
    assert "Bring an index up to date" in text
    for command in ("status", "remove", "compact"):
        assert command in text
    assert run("index").returncode == run("index", "docs").returncode == 2


def test_ask_refuses_an_unclear_call(run: Run, docs: Path) -> None:
    assert "name what is asked" in run("ask", "find rome").stderr
    assert "name what is asked" in run("ask", "find rome", docs.name, "--index", "ix").stderr
    assert "no index there" in run("ask", "find rome", "--index", "absent").stderr
    assert "need an --index" in run("ask", "find rome", docs.name, "--ranking", "words").stderr
    assert "go together" in run("ask", docs.name, "--questions", docs / "anna.txt").stderr


def test_ask_answers_a_file_of_questions_and_goes_on(run: Run, docs: Path, tmp_path: Path) -> None:
    questions, out = tmp_path / "questions.txt", tmp_path / "answers.jsonl"
    questions.write_text('find rome\n\n{"id": "b", "question": "find oslo"}\nfind anna\n')
    whole = run("ask", docs.name, "--questions", questions, "--out", out)
    assert (whole.returncode, whole.stdout) == (0, f"{out}: 3 answers, 3 of them new\n")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["answers"][0]["text"]) for row in rows] == [("1", "Rome"), ("b", "Oslo"), ("4", "Anna")]
    text = out.read_text()
    out.write_text(text[: text.index("\n") + 30])
    assert run("ask", docs.name, "--questions", questions, "--out", out).stdout.endswith("3 answers, 2 of them new\n")
    assert out.read_text() == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no question"),
        ('{"id": 1}', "line 1: expected a text as question"),
        ("{", "line 1: not JSON"),
        ('{"id": "2", "question": "find rome"}\nfind oslo', "two questions have the id 2"),
    ],
)
def test_ask_refuses_bad_files_of_questions(run: Run, docs: Path, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "bad.txt").write_text(content)
    result = run("ask", docs.name, "--questions", tmp_path / "bad.txt", "--out", tmp_path / "out")
    assert (result.returncode, result.stderr.count(reason)) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_ask_refuses_to_go_on_with_something_else(run: Run, docs: Path, tmp_path: Path) -> None:
    questions, out = tmp_path / "questions.txt", tmp_path / "answers.jsonl"
    questions.write_text("find rome\n")
    run("ask", docs.name, "--questions", questions, "--out", out)
    kept = out.read_text()
    other = run("ask", docs.name, "--questions", questions, "--out", out, "--top-k", 2)
    assert "was made with another model, index or options" in other.stderr
    elsewhere = run("ask", docs.name + "/anna.txt", "--questions", questions, "--out", out)
    assert "was made with another model, index or options" in elsewhere.stderr
    questions.write_text("find oslo\n")
    assert "answers another question" in run("ask", docs.name, "--questions", questions, "--out", out).stderr
    assert out.read_text() == kept
