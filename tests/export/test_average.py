import json
from pathlib import Path

import numpy as np
import pytest

from polyspan import InputError, ModelError, Reader
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.decoding import Calibration
from tiny import make_reader_folder

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
safetensors = pytest.importorskip("safetensors.numpy")

from polyspan.export.average import average  # noqa: E402 -- needs both


def moved(folder: Path, factor: float) -> Path:
    """The folder with all its weights multiplied."""
    file = folder / "model.safetensors"
    weights = {name: values * np.float32(factor) for name, values in safetensors.load_file(file).items()}
    safetensors.save_file(weights, file, {"format": "pt"})
    return folder


def folders(tmp_path: Path, *factors: float) -> list[ModelFolder]:
    return [
        ModelFolder(moved(make_reader_folder(tmp_path / f"reader-{number}"), factor))
        for number, factor in enumerate(factors)
    ]


def test_average_is_the_mean_of_every_weight(tmp_path: Path) -> None:
    sources = folders(tmp_path, 1.0, 2.0, 6.0)
    average(sources, tmp_path / "mean")
    first = safetensors.load_file(sources[0].path / "model.safetensors")
    mean = safetensors.load_file(tmp_path / "mean" / "model.safetensors")
    assert mean.keys() == first.keys()
    for name, values in first.items():
        np.testing.assert_allclose(mean[name], 3 * values, rtol=1e-6)
        assert mean[name].dtype == values.dtype


def test_average_reads_and_says_what_it_is_of(tmp_path: Path) -> None:
    sources = folders(tmp_path, 1.0, 1.01)
    calibration = Calibration(no_answer_threshold=3.0)
    fitted = NativeSettings("first", no_answer=True, calibration=calibration, options={"max_seq_len": 64})
    sources[0].write_settings(fitted)
    average([ModelFolder(one.path) for one in sources], tmp_path / "mean")
    settings = ModelFolder(tmp_path / "mean").settings
    assert (settings.name, settings.no_answer, settings.options) == ("mean", None, {"max_seq_len": 64})
    assert settings.calibration == Calibration()
    assert Reader.from_pretrained(tmp_path / "mean").settings.name == "mean"
    card = (tmp_path / "mean" / "README.md").read_text(encoding="utf-8")
    assert "`reader-0`" in card
    assert "`reader-1`" in card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tokenizer", "tokenizer is not that of"),
        ("architecture", "only models of one architecture average"),
    ],
)
def test_average_refuses_models_that_do_not_fit(change: str, said: str, tmp_path: Path) -> None:
    sources = folders(tmp_path, 1.0, 1.0)
    other = sources[1].path
    if change == "tokenizer":
        content = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
        content["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
        (other / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    else:
        sources[1] = ModelFolder(make_reader_folder(tmp_path / "long", positions=600))
    with pytest.raises(ModelError, match=said):
        average(sources, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_average_refuses_one_model_and_a_folder_that_is_there(tmp_path: Path) -> None:
    sources = folders(tmp_path, 1.0, 1.0)
    with pytest.raises(InputError, match="two models or more, not 1"):
        average(sources[:1], tmp_path / "mean")
    with pytest.raises(InputError, match="exists already"):
        average(sources, sources[0].path)
