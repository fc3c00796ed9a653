import json
from pathlib import Path
from typing import Any

import pytest

from polyspan.backends import BackendOptions
from polyspan.errors import MissingExtraError
from polyspan.features import WindowSettings

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training.development import dev_mean, dev_reports
from polyspan.training.recipe import DataFile

SETTINGS = WindowSettings(max_seq_len=64, doc_stride=16, max_question_len=20)
CHINESE = {"question": "桥是哪一年开通的？", "context": "桥于1874年开通。", "answer": "1874年"}


def dataset(folder: Path, *questions: dict[str, Any]) -> DataFile:
    folder.mkdir()
    paragraphs = [
        {
            "context": one["context"],
            "qas": [
                {
                    "id": str(number),
                    "question": one["question"],
                    "answers": [{"text": one["answer"], "answer_start": one["context"].index(one["answer"])}]
                    if one["answer"]
                    else [],
                }
            ],
        }
        for number, one in enumerate(questions)
    ]
    (folder / "dev.json").write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))
    return DataFile(str(folder / "dev.json"))


def test_development_reports_each_file_by_its_path(student: Path, tmp_path: Path) -> None:
    answerable = dataset(tmp_path / "a", CHINESE)
    mixed = dataset(tmp_path / "b", CHINESE, {**CHINESE, "answer": ""})
    reports = dev_reports(student, [answerable, mixed], SETTINGS, BackendOptions(backend="torch"))
    scores = {path: report.scores for path, report in reports.items()}
    assert list(scores) == [answerable.path, mixed.path]
    assert reports[mixed.path].signature["dataset"] == "dev.json"
    assert scores[answerable.path]["total"] == 1
    assert scores[mixed.path]["total"] == 2
    assert "best_f1" not in scores[answerable.path]
    assert scores[mixed.path]["best_f1"] >= 50
    assert dev_mean(reports) == (scores[answerable.path]["f1"] + scores[mixed.path]["best_f1"]) / 2


def test_development_counts_characters_where_words_have_no_spaces(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polyspan.training.development as module
    from polyspan.types import Answer, NoAnswer, Reading

    answer = Answer("1874", 2, 6, 1.0, 1.0, -1.0, "", None, "", 0)
    reading = Reading(CHINESE["question"], (answer,), NoAnswer(0.0, chosen=False, null_margin=-1.0))
    monkeypatch.setattr(module, "predict", lambda *_: iter([reading]))
    file = dataset(tmp_path / "a", CHINESE)
    scores = dev_reports(student, [file], SETTINGS, BackendOptions(backend="torch"))[file.path].scores
    assert scores["exact"] == 0
    assert 0 < scores["f1"] < 100
