import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
DATASET = {
    "version": "v2.0",
    "data": [
        {
            "title": "Harbours",
            "paragraphs": [
                {
                    "context": "The harbour of Tessin was built in 1888. It has two piers.",
                    "qas": [
                        {
                            "id": "built",
                            "question": "When was the harbour of Tessin built?",
                            "answers": [{"text": "1888", "answer_start": 35}],
                            "is_impossible": False,
                        },
                        {
                            "id": "opera",
                            "question": "Which composer wrote the opera about the miller's daughter?",
                            "answers": [],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        }
    ],
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(DATASET))
    return path


def test_score_prints_official_keys(polyspan: Run, dataset: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps({"built": "in 1888", "opera": ""}))
    result = polyspan("score", predictions, dataset)
    assert result.returncode == 0
    assert result.stdout.splitlines()[0].split()[:2] == ["exact", "50.00"]
    assert "metric:squad2|normaliser:squad-v2-official" in result.stdout.splitlines()[-1]
    report = json.loads(polyspan("score", predictions, dataset, "--json").stdout)
    assert report["scores"]["f1"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert report["scores"]["NoAns_exact"] == 100
    assert set(report["intervals"]) == {"exact", "f1"}


def test_score_bad_files_are_one_line_and_exit_2(polyspan: Run, dataset: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions.json"
    for content in ("", "[1]", '{"built": 1}', '{"built": "x"}', '{"other": "x"}', '{"built": "x", "built": "y"}'):
        predictions.write_text(content)
        result = polyspan("score", predictions, dataset)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert result.stdout == ""
    assert polyspan("score", tmp_path / "missing.json", dataset).returncode == 2


def test_evaluate_runs_the_shipped_reader(polyspan: Run, dataset: Path, tmp_path: Path) -> None:
    said, margins = tmp_path / "said.json", tmp_path / "margins.json"
    result = polyspan("evaluate", "default", dataset, "--json", "--predictions", said, "--na-probs", margins)
    assert result.returncode == 0
    report = json.loads(result.stdout)
    assert report["scores"]["exact"] == 100
    assert report["scores"]["best_f1"] == 100
    assert report["signature"]["model"]
    assert report["signature"]["no_answer"] == "auto"
    assert json.loads(said.read_text()) == {"built": "1888", "opera": ""}
    values = json.loads(margins.read_text())
    assert values["built"] < report["signature"]["na_threshold"] < values["opera"]
    again = json.loads(polyspan("score", said, dataset, "--json").stdout)
    assert again["scores"]["exact"] == 100


def test_evaluate_no_answer_modes(polyspan: Run, dataset: Path, tmp_path: Path) -> None:
    never = json.loads(polyspan("evaluate", "default", dataset, "--json", "--no-answer", "off").stdout)
    assert never["scores"]["NoAns_exact"] == 0
    assert "best_f1" not in never["scores"]
    answerable = tmp_path / "answerable.json"
    paragraph = DATASET["data"][0]["paragraphs"][0]  # type: ignore[index]
    only = {**paragraph, "qas": paragraph["qas"][:1]}
    answerable.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [only]}]}))
    auto = json.loads(polyspan("evaluate", "default", answerable, "--json").stdout)
    assert "best_f1" not in auto["scores"]
    on = json.loads(polyspan("evaluate", "default", answerable, "--json", "--no-answer", "on").stdout)
    assert on["scores"]["best_f1"] == 100


def test_evaluate_unwritable_predictions_are_one_line(polyspan: Run, dataset: Path, tmp_path: Path) -> None:
    result = polyspan("evaluate", "default", dataset, "--predictions", tmp_path / "no" / "folder.json")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
