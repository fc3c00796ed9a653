import gzip
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from onnx_graphs import RUINED, silent
from polyspan import InputError, ModelError, Reader
from polyspan.backends import BackendOptions, ModelFolder, NativeSettings
from polyspan.evaluation import Questions
from tiny import SENTENCES

pytest.importorskip("onnxscript")
pytest.importorskip("nncf")


@pytest.fixture(autouse=True)
def _exported_once(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's exporter takes seconds."""
    monkeypatch.setattr("polyspan.export.run.export_onnx", lambda _: graph)


def export(source: Path, out: Path, *options: Any, **settings: Any) -> Any:
    from polyspan.export import ExportSettings, export_reader

    return export_reader(ModelFolder(source), out, ExportSettings(*options, **settings), silent)


def test_export_in_float_gives_the_same_answers(
    reader_folder: Path, questions: Sequence[Questions], tmp_path: Path
) -> None:
    result = export(reader_folder, tmp_path / "out", gate=questions, max_loss=0)
    assert result.failures == []
    assert result.report.whole.largest_difference < 1e-4
    before = Reader.from_pretrained(reader_folder, BackendOptions(backend="torch"))
    after = Reader.from_pretrained(tmp_path / "out")
    assert type(after.scorer).__name__ == "OnnxScorer"
    assert after.settings == before.settings
    for question in SENTENCES[:2]:
        one, other = (reader.read(question, list(SENTENCES)) for reader in (before, after))
        assert [(a.text, a.start) for a in one.answers] == [(a.text, a.start) for a in other.answers]
        assert [a.score for a in one.answers] == pytest.approx([a.score for a in other.answers], abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("precision", ["int8", "int8-openvino", "int8-stored"])
def test_export_leaves_the_worst_out_until_it_passes(
    precision: str, reader_folder: Path, questions: Sequence[Questions], tmp_path: Path
) -> None:
    given = {"gate": questions, "calibration": questions[:1] if precision == "int8-openvino" else ()}
    result = export(reader_folder, tmp_path / "out", precision, max_loss=8, **given)
    assert result.failures == []
    assert result.excluded[0] == RUINED
    assert len(result.excluded) <= 4
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"`{RUINED}`" in card
    assert result.report.table() in card
    loose = export(reader_folder, tmp_path / "loose", precision, max_loss=100, **given)
    assert loose.excluded == ()
    assert loose.report.whole.loss.difference > 8
    loose_card = (tmp_path / "loose" / "README.md").read_text()
    assert "left in float32: none but the head" in loose_card
    assert f"made with {'nncf' if precision == 'int8-openvino' else 'onnxruntime'} " in loose_card


def test_export_writes_nothing_that_loses_too_much(
    reader_folder: Path, questions: Sequence[Questions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyspan.export.precision import Plan, parts

    monkeypatch.setattr("polyspan.export.run.rank_parts", lambda graph, plan, *_: [*parts(graph, plan)[::-1]])
    monkeypatch.setattr("polyspan.export.run.GateReport.failures", lambda *_: ["over all it loses too much"])
    (tmp_path / "out").mkdir()
    result = export(reader_folder, tmp_path / "out", "int8-stored", gate=questions[:1])
    assert result.failures == ["over all it loses too much"]
    assert len(result.excluded) == 11  # of 12 matrices and the embeddings
    assert isinstance(result.plan, Plan)
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def test_export_says_that_nothing_was_measured(reader_folder: Path, tmp_path: Path) -> None:
    source = shutil.copytree(reader_folder, tmp_path / "source")
    (source / "README.md").write_text("---\nlicense: mit\n---\n\n# Mine\n")
    ModelFolder(source).write_settings(NativeSettings(name="mine", no_answer=True, options={"max_seq_len": 64}))
    result = export(source, tmp_path / "out", "int8")
    assert result.report is None
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\n---\n\n# Mine\n\n## Export\n")
    assert card.endswith("\n\nWhat this costs was not measured.\n")
    settings = ModelFolder(tmp_path / "out").settings
    assert (settings.name, settings.no_answer) == ("mine", True)
    assert settings.options == {"max_seq_len": 64, "batch_tokens": 1}


def test_export_calibrates_static_ranges(reader_folder: Path, questions: Sequence[Questions], tmp_path: Path) -> None:
    result = export(
        reader_folder, tmp_path / "out", "int8-static", gate=questions, max_loss=100, calibration=questions[:1]
    )
    assert (tmp_path / "out" / "onnx" / "model_int8.onnx").is_file()
    assert result.report.whole.mean_difference > 0


def test_export_takes_an_onnx_folder_with_stored_weights(
    reader_folder: Path, questions: Sequence[Questions], tmp_path: Path
) -> None:
    export(reader_folder, tmp_path / "stored", "int8-stored", "4")
    file = tmp_path / "stored" / "tokenizer.json"
    (tmp_path / "stored" / "tokenizer.json.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    result = export(tmp_path / "stored", tmp_path / "out", gate=questions)
    assert result.report.whole.largest_difference < 1e-4
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_export_for_openvino_is_measured_and_opened_with_it(
    reader_folder: Path, questions: Sequence[Questions], tmp_path: Path
) -> None:
    result = export(
        reader_folder, tmp_path / "out", "int8-openvino", gate=questions, max_loss=100, calibration=questions[:1]
    )
    assert result.report.whole.mean_difference > 0
    assert ModelFolder(tmp_path / "out").settings.backend == "openvino"
    assert type(Reader.from_pretrained(tmp_path / "out").scorer).__name__ == "OpenVinoScorer"


@pytest.mark.parametrize(
    ("precision", "file", "dtype"),
    [
        ("float32", "model.onnx", "fp32"),
        ("float16", "model_fp16.onnx", "fp16"),
        ("weights8", "model_quantized.onnx", "q8"),
        ("weights4", "model_q4.onnx", "q4"),
    ],
)
def test_export_writes_the_layout_of_transformers_js(
    precision: str, file: str, dtype: str, reader_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(reader_folder, out, precision)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    card = {"README.md", "config.json", "polyspan.json"}
    assert files == {*card, "tokenizer.json", "tokenizer_config.json", f"onnx/{file}"}
    assert json.loads((out / "config.json").read_text())["transformers.js_config"] == {"dtype": dtype}
    assert Reader.from_pretrained(out).read(SENTENCES[1], SENTENCES[2]).no_answer.score >= 0


def test_export_writes_large_weights_beside_the_graph(
    reader_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(reader_folder, tmp_path / "small")
    monkeypatch.setattr("polyspan.export.folder.LARGEST_FILE", 1_000)
    result = export(reader_folder, tmp_path / "large")
    assert (tmp_path / "large" / "onnx" / "model.onnx_data").stat().st_size > 50_000
    assert result.megabytes > 0.05
    config = json.loads((tmp_path / "large" / "config.json").read_text())
    assert config["transformers.js_config"]["use_external_data_format"] == {"model.onnx": True}
    one, other = (Reader.from_pretrained(tmp_path / name) for name in ("small", "large"))
    assert one.read(SENTENCES[1], SENTENCES[2]).answers == other.read(SENTENCES[1], SENTENCES[2]).answers


def test_export_refuses_what_it_cannot_do(reader_folder: Path, questions: Sequence[Questions], tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "file").touch()
    for out in ("full", "file"):
        with pytest.raises(InputError, match="exists already; expected the name of a new folder"):
            export(reader_folder, tmp_path / out)
    with pytest.raises(InputError, match="int8-static needs calibration data"):
        export(reader_folder, tmp_path / "out", "int8-static")
    with pytest.raises(InputError, match="int8 takes no calibration data"):
        export(reader_folder, tmp_path / "out", "int8", calibration=questions)
    with pytest.raises(InputError, match=r"precision must be one of float32, float16, int8, .*, not 'int3'"):
        export(reader_folder, tmp_path / "out", "int3")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"holds no weights; expected model\.safetensors or an ONNX file"):
        export(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
