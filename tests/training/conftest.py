"""A tiny dataset and a tiny model to learn it."""

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from facts import squad_content


@pytest.fixture(scope="session")
def squad_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "facts.json"
    path.write_text(json.dumps(squad_content()))
    return path


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_reader_folder(tmp_path_factory.mktemp("student") / "reader", "bert", positions=64)


@pytest.fixture
def plain(squad_file: Path, student: Path) -> dict[str, Any]:
    """A recipe as plain values, for tests to change."""
    return {
        "model": str(student),
        "data": [{"path": str(squad_file), "language": "en"}],
        "epochs": 2,
        "windows": {"max_seq_len": 64, "doc_stride": 16, "max_question_len": 20},
        "batch": {"windows": 2},
        "optimisation": {"learning_rate": 1e-3},
    }


@pytest.fixture(autouse=True)
def quick(one_thread: None) -> None:
    """All of these train tiny models."""
