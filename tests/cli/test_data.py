import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyspan.datasets import FORMATS, read_squad
from polyspan.serving.feedback import Feedback, FeedbackStore

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CONTEXT = "The harbour of Tessin was built in 1888. It has two piers."


def write(path: Path, *answers: dict[str, Any]) -> Path:
    """A dataset with one question for each answer, and one that has none."""
    qas: list[dict[str, Any]] = [
        {"id": f"q{number}", "question": f"Question {number}?", "answers": [answer], "is_impossible": False}
        for number, answer in enumerate(answers)
    ]
    qas.append({"id": "opera", "question": "Which opera?", "answers": [], "is_impossible": True})
    content = {"version": "v2.0", "data": [{"title": "Harbours", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write(tmp_path / "clean.json", {"text": "1888", "answer_start": 35})


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    return write(
        tmp_path / "faulty.json", *[{"text": "1888", "answer_start": 30}] * 4, {"text": "X", "answer_start": 0}
    )


@pytest.mark.parametrize("command", ["check", "convert", "detach", "attach"])
def test_data_commands_have_help(polyspan: Run, command: str) -> None:
    result = polyspan("data", command, "-h")
    assert result.returncode == 0
    assert f"Usage: polyspan data {command}" in result.stdout
    assert "--json" in result.stdout
    assert command in polyspan("data").stderr


def test_data_convert_help_names_all_formats(polyspan: Run) -> None:
    shown = " ".join(polyspan("data", "convert", "-h").stdout.split())
    assert all(f"{name}, {form.title}" in shown for name, form in FORMATS.items())


def test_data_check_clean_file_exits_with_0(polyspan: Run, clean: Path) -> None:
    result = polyspan("data", "check", clean)
    assert (result.returncode, result.stdout, result.stderr) == (0, "findings: 0 in 2 questions\n", "")


def test_data_check_counts_and_shows_the_first_of_each_kind(polyspan: Run, faulty: Path) -> None:
    result = polyspan("data", "check", faulty)
    assert result.returncode == 1
    assert [line.split() for line in result.stdout.splitlines()[:3]] == [
        ["findings:", "5", "in", "6", "questions"],
        ["wrong-offset", "4"],
        ["absent-answer", "1"],
    ]
    place = "    data[0].paragraphs[0].qas[0] (id 'q0'): answers[0]: '1888' stands at 35, not at 30"
    assert place in result.stdout.splitlines()
    assert "qas[2]" in result.stdout
    assert "qas[3]" not in result.stdout
    assert "    … 1 more, which --json prints" in result.stdout.splitlines()


def test_data_check_json_has_all_findings(polyspan: Run, faulty: Path) -> None:
    result = polyspan("data", "check", faulty, "--json")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert (report["file"], report["questions"]) == (str(faulty), 6)
    assert report["counts"] == {"wrong-offset": 4, "absent-answer": 1}
    assert report["findings"][3] == {
        "kind": "wrong-offset",
        "place": "data[0].paragraphs[0].qas[3]",
        "id": "q3",
        "message": "answers[0]: '1888' stands at 35, not at 30",
    }
    assert "fixed" not in report


def test_data_check_fix_writes_a_clean_copy(polyspan: Run, faulty: Path, tmp_path: Path) -> None:
    before, fixed = faulty.read_bytes(), tmp_path / "fixed.json.gz"
    result = polyspan("data", "check", faulty, "--fix", fixed)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == f"{fixed}: 5 questions written; 4 offsets moved, 1 questions dropped"
    assert faulty.read_bytes() == before
    assert json.loads(gzip.decompress(fixed.read_bytes()))["version"] == "v2.0"
    assert polyspan("data", "check", fixed).returncode == 0


def test_data_check_fix_overwrites_by_force_only(polyspan: Run, faulty: Path, tmp_path: Path) -> None:
    existing = tmp_path / "existing.json"
    existing.write_text("before")
    for target in (existing, faulty):
        before = target.read_bytes()
        result = polyspan("data", "check", faulty, "--fix", target)
        assert (result.returncode, result.stdout, target.read_bytes()) == (2, "", before)
        assert result.stderr.startswith(f"polyspan: {target}: exists already")
    report = json.loads(polyspan("data", "check", faulty, "--fix", existing, "--force", "--json").stdout)
    changes = {"offsets moved": 4, "questions dropped": 1}
    assert report["fixed"] == {"file": str(existing), "questions": 5, "changes": changes}
    assert polyspan("data", "check", existing).returncode == 0


def test_data_check_against_evaluation_files(polyspan: Run, clean: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"data": []}')
    result = polyspan("data", "check", clean, "--against", other, "--against", clean)
    assert result.returncode == 1
    assert f"data[0].paragraphs[0]: the context is that of {clean}: data[0].paragraphs[0]" in result.stdout
    refused = polyspan("data", "check", clean, "--against", clean, "--fix", tmp_path / "fixed.json")
    assert refused.returncode == 2
    assert "no question would be left" in refused.stderr
    assert not (tmp_path / "fixed.json").exists()


def test_data_bad_files_are_one_line_and_exit_2(polyspan: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    for content in ("", "[1]", "{}", '{"data": 1}'):
        bad.write_text(content)
        for arguments in (["check", bad], ["convert", bad, tmp_path / "out.csv", "--to", "csv"]):
            result = polyspan("data", *arguments)
            assert (result.returncode, result.stdout) == (2, "")
            assert len(result.stderr.splitlines()) == 1
    assert polyspan("data", "check", tmp_path / "missing.json").returncode == 2
    assert not (tmp_path / "out.csv").exists()


def test_data_convert_says_what_is_left_out(polyspan: Run, clean: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl.gz"
    result = polyspan("data", "convert", clean, target, "--to", "mrqa")
    assert result.returncode == 0
    assert result.stdout == f"{target}: 1 questions, from squad2 to mrqa\n"
    assert result.stderr.splitlines() == [
        "polyspan: 1 unanswerable questions left out: MRQA JSONL cannot hold them",
        "polyspan: 1 titles left out: MRQA cannot hold them",
    ]
    assert gzip.decompress(target.read_bytes()).startswith(b'{"header"')


def test_data_convert_json(polyspan: Run, clean: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    result = polyspan("data", "convert", clean, target, "--from", "squad2", "--to", "squad1", "--json")
    assert json.loads(result.stdout) == {
        "source": str(clean),
        "target": str(target),
        "source_format": "squad2",
        "target_format": "squad1",
        "questions": 1,
        "notes": {"unanswerable questions left out: SQuAD 1.1 JSON cannot hold them": 1},
    }


def test_data_convert_overwrites_by_force_only(polyspan: Run, clean: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")
    for path in (target, clean, tmp_path):
        result = polyspan("data", "convert", clean, path, "--to", "csv")
        assert result.returncode == 2
        assert "exists already" in result.stderr
    assert target.read_text() == "before"
    assert polyspan("data", "convert", clean, target, "--to", "csv", "--force").returncode == 0
    assert polyspan("data", "convert", clean, tmp_path, "--to", "csv", "--force").returncode == 2
    assert target.read_text().startswith("id,title,context,question,answers,answer_starts")


def test_data_detach_and_attach_give_the_same_questions(polyspan: Run, clean: Path, tmp_path: Path) -> None:
    alone, whole = tmp_path / "questions.jsonl", tmp_path / "whole.json"
    result = polyspan("data", "detach", clean, alone)
    assert (result.returncode, result.stdout) == (0, f"{alone}: 2 questions\n")
    assert "harbour" not in alone.read_text()
    assert "1888" not in alone.read_text()
    result = polyspan("data", "attach", alone, clean, "--out", whole, "--json")
    assert json.loads(result.stdout) == {"target": str(whole), "questions": 2}
    assert [(one.question, one.context, one.answers) for one in read_squad(whole)] == [
        (one.question, one.context, one.answers) for one in read_squad(clean)
    ]
    for command in (("detach", clean, alone), ("attach", alone, clean, "--out", whole)):
        again = polyspan("data", *command)
        assert (again.returncode, again.stderr.count("\n")) == (2, 1)
        assert "exists already" in again.stderr
        assert polyspan("data", *command, "--force").returncode == 0


def test_data_detach_and_attach_refuse_what_does_not_fit(
    polyspan: Run, clean: Path, faulty: Path, tmp_path: Path
) -> None:
    alone, whole, other = tmp_path / "questions.jsonl", tmp_path / "whole.json", tmp_path / "other.json"
    other.write_text(clean.read_text().replace("harbour", "airport"))
    assert polyspan("data", "detach", clean, alone).returncode == 0
    for command, message in (
        (("detach", clean, tmp_path / "questions.json"), "expected a name that ends in .jsonl"),
        (("detach", faulty, tmp_path / "new.jsonl"), "does not stand at character 30"),
        (("attach", alone, other, "--out", whole), "no question is about a text of"),
    ):
        result = polyspan("data", *command)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert message in result.stderr
    assert not whole.exists()


def test_data_export_feedback_writes_what_people_said(polyspan_here: Run, tmp_path: Path) -> None:
    nothing = polyspan_here("data", "export-feedback", tmp_path, tmp_path / "out.json")
    assert (nothing.returncode, nothing.stderr.count("holds no feedback")) == (2, 1)
    store = FeedbackStore(tmp_path)
    store.add(Feedback("When was it built?", "harbour.txt", CONTEXT, "wrong", 4, 11))
    silent = polyspan_here("data", "export-feedback", tmp_path, tmp_path / "out.json")
    assert (silent.returncode, silent.stderr.count("none of 1 judgements says what is right")) == (2, 1)
    store.add(Feedback("When was it built?", "harbour.txt", CONTEXT, "corrected", 35, 39))
    store.add(Feedback("Who paid?", "harbour.txt", CONTEXT, "unanswerable", None, None))
    result = polyspan_here("data", "export-feedback", tmp_path, tmp_path / "out.json")
    assert result.stdout == f"{tmp_path / 'out.json'}: 2 questions from 3 judgements\n"
    built, paid = read_squad(tmp_path / "out.json")
    assert (built.answers[0].text, built.answers[0].start, paid.is_impossible) == ("1888", 35, True)
    assert polyspan_here("data", "export-feedback", tmp_path, tmp_path / "out.json").returncode == 2
    assert polyspan_here("data", "check", tmp_path / "out.json").returncode == 0
