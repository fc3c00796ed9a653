import json
from pathlib import Path

import numpy as np
import pytest

from polyspan.bench.workloads import (
    PAGE_CHARS,
    Material,
    made_up_material,
    many_paragraphs,
    own_paragraphs,
    squad_material,
)
from polyspan.errors import DatasetError


def squad(path: Path, contexts: dict[str, list[str]]) -> Path:
    paragraphs = [
        {
            "context": context,
            "qas": [{"id": f"{context}{n}", "question": one, "answers": []} for n, one in enumerate(asked)],
        }
        for context, asked in contexts.items()
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return path


def test_workloads_of_a_file_take_its_questions_and_all_paragraphs(tmp_path: Path) -> None:
    file = squad(tmp_path / "dev.json", {"one": ["a?", "b?"], "two": ["c?"], " ": ["d?"]})
    found = squad_material(file, 2, seed=1)
    assert set(found.pairs) < {("a?", "one"), ("b?", "one"), ("c?", "two")}
    assert len(found.pairs) == 2
    assert found.paragraphs == ["one", "two"]
    assert found.source["dataset"] == "dev.json"
    assert squad_material(file, 2, seed=1) == found
    assert len(squad_material(file, 9, seed=1).pairs) == 3


def test_workloads_of_a_file_without_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no question has a context"):
        squad_material(squad(tmp_path / "dev.json", {" ": ["a?"]}), 1, seed=1)


def test_workloads_made_up_are_as_long_as_squad_and_the_same_each_time() -> None:
    found = made_up_material(30, seed=1)
    assert found == made_up_material(30, seed=1)
    assert found != made_up_material(30, seed=2)
    assert len(found.pairs) == 30
    assert all(question.endswith("?") and "{" not in question + context for question, context in found.pairs)
    assert len(set(found.paragraphs)) == len(found.paragraphs)
    assert 600 < np.median([len(one) for one in found.paragraphs]) < 850


def test_workloads_own_and_many_paragraphs(material: Material) -> None:
    own = own_paragraphs(material)
    assert own.name == "4 questions, each on its own paragraph"
    assert own.items[3] == ("find bergen", ["rain falls in bergen"])
    many = many_paragraphs(material)
    assert many.name == "1 question on 3 paragraphs"
    assert many.items == [("find anna", ["anna lives in oslo", "trams run in bergen", "rain falls in bergen"])]
    ((_, documents),) = many_paragraphs(made_up_material(1, seed=1)).items
    assert len(documents) == 100


@pytest.mark.parametrize("pages", [0.01, 1, 2.5])
def test_workloads_document_has_so_many_pages(material: Material, pages: float) -> None:
    text = material.document(pages)
    assert len(text) == pages * PAGE_CHARS
    assert text.startswith("anna lives in oslo\n\ntrams"[: len(text)])
