"""FARM's conversion tests: weights equal one by one, answers too, there and back."""

import json
import runpy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from facts import squad_content
from farm_folders import NAMES, make_farm_folder
from polyspan import InputError, ModelError, Reader
from polyspan.backends import ModelFolder, find_model
from polyspan.decoding import Calibration
from polyspan.interop.farm import Document, FARMReader
from polyspan.interop.farm.folders import convert_folder
from polyspan.interop.transformers import pipeline

torch: Any = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")

FolderOf = Callable[[str], Path]
QUESTION, TEXT = "Who wrote the letter?", tiny.SENTENCES[2]


def weights(folder: Path) -> dict[str, Any]:
    """All parameters of a folder of transformers."""
    return dict(transformers.AutoModelForQuestionAnswering.from_pretrained(folder).named_parameters())


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("architecture", NAMES)
def test_folders_keep_weights_from_farm(architecture: str, folder_of: FolderOf, tmp_path: Path) -> None:
    source = folder_of(architecture)
    farm = make_farm_folder(source, tmp_path / "farm", 1.7, -0.5)
    done = convert_folder(farm, tmp_path / "new")
    assert (done.source_layout, done.target_layout, done.notes) == ("farm", "transformers", ())
    assert done.temperature == pytest.approx(1.7)
    assert done.no_ans_boost == pytest.approx(-0.5)
    assert same(weights(source), weights(tmp_path / "new"))
    assert not list((tmp_path / "new").glob("*.bin"))
    assert Reader.from_pretrained(tmp_path / "new").read(QUESTION, TEXT) == Reader.from_pretrained(farm).read(
        QUESTION, TEXT
    )


@pytest.mark.parametrize("architecture", NAMES)
def test_folders_keep_weights_to_farm_and_back(architecture: str, folder_of: FolderOf, tmp_path: Path) -> None:
    source = folder_of(architecture)
    there = convert_folder(source, tmp_path / "farm")
    assert there.target_layout == "farm"
    assert not list((tmp_path / "farm").glob("*.bin"))
    back = convert_folder(tmp_path / "farm", tmp_path / "back")
    assert (back.temperature, back.no_ans_boost) == (1, 0)
    assert same(weights(source), weights(tmp_path / "back"))
    assert (tmp_path / "back" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_folders_keep_temperature_boost_and_lengths_both_ways(folder_of: FolderOf, tmp_path: Path) -> None:
    farm = make_farm_folder(folder_of("bert"), tmp_path / "farm", 2.5, 1.5)
    convert_folder(farm, tmp_path / "new")
    convert_folder(tmp_path / "new", tmp_path / "again")
    again = tmp_path / "again"
    assert json.loads((again / "prediction_head_0_config.json").read_text())["no_ans_boost"] == 1.5
    before, after = (ModelFolder(tmp_path / "new").settings, Reader.from_pretrained(again).settings)
    assert after.calibration == before.calibration
    assert after.options == before.options == {"max_seq_len": 64, "step": 24, "max_question_len": 20}
    processor = json.loads((again / "processor_config.json").read_text())
    assert (processor["max_seq_len"], processor["doc_stride"], processor["max_query_length"]) == (64, 24, 20)


def test_folders_answer_alike_in_every_library(folder_of: FolderOf, tmp_path: Path) -> None:
    """FARM's test: an inferencer, saved, converted, and the pipeline of transformers, with one answer."""
    farm = make_farm_folder(folder_of("xlm-roberta"), tmp_path / "farm")
    lengths: dict[str, Any] = {"max_seq_len": 64, "doc_stride": 24, "max_query_length": 20}
    answer_farm = FARMReader(farm, **lengths).predict(QUESTION, [Document(TEXT)])["answers"][0].answer
    convert_folder(farm, tmp_path / "new")
    model_dir = str(tmp_path / "new")
    nlp = pipeline("question-answering", model=model_dir, tokenizer=model_dir)
    result = nlp({"question": QUESTION, "context": TEXT}, max_seq_len=64, align_to_words=False, max_answer_len=1000)
    assert result["answer"] == answer_farm


def test_folders_readme_makes_what_farm_opens(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_folder(folder_of("bert"), tmp_path / "farm")
    readme = (tmp_path / "farm" / "README.md").read_text()
    code = "\n".join(line[4:] for line in readme.splitlines() if line.startswith("    "))
    (tmp_path / "snippet.py").write_text(code)
    monkeypatch.chdir(tmp_path / "farm")
    runpy.run_path(str(tmp_path / "snippet.py"))
    for file in (tmp_path / "farm").glob("*.safetensors"):
        file.unlink()
    convert_folder(tmp_path / "farm", tmp_path / "back")
    assert same(weights(folder_of("bert")), weights(tmp_path / "back"))


def test_folders_say_what_farm_cannot_hold(folder_of: FolderOf, tmp_path: Path) -> None:
    source = shutil.copytree(folder_of("bert"), tmp_path / "source")
    folder = ModelFolder(source)
    folder.write_settings(replace(folder.settings, calibration=Calibration(1.0, thresholds={"de": 2.0})))
    notes = convert_folder(source, tmp_path / "farm").notes
    assert any("pickles and not written" in note for note in notes)
    assert any("of single languages" in note for note in notes)


def test_folders_are_written_whole_or_not_at_all(folder_of: FolderOf, tmp_path: Path) -> None:
    source = folder_of("bert")
    with pytest.raises(InputError, match="has the layout of transformers already"):
        convert_folder(source, tmp_path / "new", "transformers")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="exists already"):
        convert_folder(source, tmp_path / "full")
    with pytest.raises(ModelError, match=r"no config.json there.*polyspan convert"):
        convert_folder(tmp_path / "full", tmp_path / "new")
    broken = make_farm_folder(source, tmp_path / "farm")
    (broken / "language_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"language_model.bin"):
        convert_folder(broken, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_folders_of_farm_are_trained_but_not_exported(folder_of: FolderOf, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    export = pytest.importorskip("polyspan.export")
    farm = make_farm_folder(folder_of("bert"), tmp_path / "farm")
    (tmp_path / "train.json").write_text(json.dumps(squad_content()))
    reader = FARMReader(farm, max_seq_len=64, doc_stride=24, max_query_length=20)
    assert reader.train(tmp_path, "train.json", n_epochs=1, save_dir=tmp_path / "new").finished
    assert (tmp_path / "new" / "model.safetensors").is_file()
    with pytest.raises(ModelError, match="convert it first: polyspan convert"):
        export.export_reader(find_model(farm), tmp_path / "onnx", export.ExportSettings(), lambda items, *_: items)


def test_folders_of_onnx_have_no_parts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="transformers cannot open it"):
        convert_folder("default", tmp_path / "farm")
    assert not (tmp_path / "farm").exists()
