import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan import Reader

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    return tiny.make_reader_folder(tmp_path_factory.mktemp("tiny") / "model", "xlm-roberta")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    context = tiny.SENTENCES[2]
    answers = [{"text": "1874", "answer_start": context.index("1874")}]
    qas = [{"id": str(n), "question": f"When was bridge {n} opened?", "answers": answers} for n in range(6)]
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


def test_export_writes_and_measures(polyspan_here: Run, model: Path, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = polyspan_here(
        "export", model, out, "--precision", "int8-stored", "--gate", f"{dataset}:en", "--sample", 4, "--max-loss", 100,
        "--json",
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    printed = json.loads(result.stdout)
    assert printed["folder"] == str(out)
    assert (printed["precision"], printed["embeddings"], printed["excluded"]) == ("int8-stored", "8", [])
    whole = printed["report"]["whole"]
    assert whole["questions"] == 4
    assert whole["loss"]["difference"] == pytest.approx(whole["f1_float"] - whole["f1"])
    assert [one["language"] for one in printed["report"]["languages"]] == ["en"]
    assert Reader.from_pretrained(out).scorer.name == "out"

    again = polyspan_here("export", model, out)
    assert again.returncode == 2
    assert f"{out}: exists already" in again.stderr


def test_export_exits_with_1_where_the_model_loses_too_much(
    polyspan_here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyspan.export import Exported, Plan

    failures = ["in de it loses 3.00 points of F1 (1.00 to 5.00), beyond chance more than 0.5"]
    refused = Exported(Plan("int8", "8", frozenset({"a.weight"})), 1.0, ("a.weight",), None, failures)
    monkeypatch.setattr("polyspan.export.export_reader", lambda *_: refused)
    result = polyspan_here("export", model, tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr == f"polyspan: refused: {failures[0]}\n"
    assert result.stdout == "left out of quantisation, worst first: a.weight\n"
    as_json = polyspan_here("export", model, tmp_path / "out", "--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["folder"] is None


def test_export_exits_with_2_where_the_input_is_bad(
    polyspan_here: Run, model: Path, dataset: Path, tmp_path: Path
) -> None:
    arguments: tuple[list[Any], ...] = (
        ["--gate", tmp_path / "nothing.json"],
        ["--precision", "int3"],
        ["--precision", "int8-static"],
        ["--precision", "int8", "--calibration-data", dataset],
    )
    for given, message in zip(
        arguments, ("nothing.json", "'int3' is not one of", "needs calibration data", "takes no"), strict=True
    ):
        result = polyspan_here("export", model, tmp_path / "out", *given)
        assert result.returncode == 2
        assert message in result.stderr
    assert not (tmp_path / "out").exists()
