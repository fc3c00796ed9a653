from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from polyspan.errors import MissingExtraError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training import parse_recipe, train
from polyspan.training.card import flat


def test_card_of_a_run_says_what_was_done(plain: dict[str, Any], squad_file: Path, tmp_path: Path) -> None:
    plain |= {"epochs": 3, "name": "facts", "licence": "cc-by-sa-4.0", "dev": [{"path": str(squad_file)}]}
    plain["unanswerable"] = {"removed_sentence": 0.5}
    source = {"language": "en", "weight": 2.0, "licence": "CC BY-SA 4.0", "source": "https://example.org/facts"}
    plain["data"] = [
        {"path": str(squad_file), **source},
        {"path": str(squad_file), "weight": 0.5, "questions_from": str(squad_file)},
    ]
    plain["distillation"] = {"teachers": [{"model": plain["model"]}], "temperature": 2.0}
    report = train(parse_recipe(plain), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    data: Any = ModelCard(text).data
    known = data.to_dict()
    assert (known["license"], known["language"], known["pipeline_tag"]) == (
        "cc-by-sa-4.0",
        ["en"],
        "question-answering",
    )
    assert "base_model" not in known  # a folder is no id of the hub
    assert report.best_epoch is not None
    (kept,) = report.dev[report.best_epoch - 1]["files"].values()
    (result,) = known["model-index"][0]["results"]
    assert {one["type"]: one["value"] for one in result["metrics"]} == pytest.approx(kept, abs=5e-5)
    folder = Path(plain["model"]).name
    for line in (
        "# facts",
        f"- base model: {folder} (a folder)",
        f"- distilled from: {folder} (a folder)",
        "| distillation.temperature | 2.0 |",
        f"| epochs | {report.best_epoch} |",
        "| unanswerable.removed\\_sentence | 0.5 |",
    ):
        assert f"\n{line}\n" in text
    assert "| en | 6 | 2 | CC BY-SA 4.0 | https://example.org/facts |" in text
    assert f"dataset:{squad_file.name}" in text
    assert f"| {squad_file.name}, questions of {squad_file.name} |" in text
    assert f"The recipe states no licence of {squad_file.name}." in text
    assert str(squad_file.parent) not in text


def test_card_of_a_run_that_measures_nothing(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["epochs"] = 1
    train(parse_recipe(plain), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert text.count("\n# out\n") == 1
    assert "Nothing was measured while it was trained." in text
    assert "made by rule" not in text


def test_card_flat_names_settings_by_dots() -> None:
    content = {"a": {"b": 1, "c": {"d": None, "e": False}}, "f": [], "g": "", "h": ["x", "y"], "i": 0.0}
    assert dict(flat(content)) == {"a.b": 1, "a.c.e": False, "h": "x, y", "i": 0.0}
