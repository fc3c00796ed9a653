"""FARM's folders open as they are, beside the same model in transformers' layout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from farm_folders import NAMES, make_farm_folder, write
from polyspan import ModelError, Reader
from polyspan.backends import find_model
from polyspan.backends.farm_folder import FarmFolder

torch: Any = pytest.importorskip("torch")

FolderOf = Callable[[str], Path]
ASKED = ("Who wrote the letter?", tiny.SENTENCES[2] * 3)


@pytest.fixture
def farm(folder_of: FolderOf, tmp_path: Path) -> Path:
    return make_farm_folder(folder_of("bert"), tmp_path / "farm", 2.5, 1.5)


def change(path: Path, **values: Any) -> None:
    write(path, {**json.loads(path.read_text()), **values})


@pytest.mark.parametrize("architecture", NAMES)
def test_farm_folder_reads_as_the_same_model(architecture: str, folder_of: FolderOf, tmp_path: Path) -> None:
    source = folder_of(architecture)
    reader = Reader.from_pretrained(make_farm_folder(source, tmp_path / "farm"))
    expected = Reader.from_pretrained(source).read(*ASKED, reader.defaults)
    assert reader.read(*ASKED) == expected
    assert reader.scorer.name == "farm"


def test_farm_folder_holds_temperature_boost_and_lengths(farm: Path, folder_of: FolderOf) -> None:
    folder = find_model(farm)
    assert isinstance(folder, FarmFolder)
    calibration = folder.settings.calibration
    assert (calibration.span_temperature, calibration.no_answer_temperature) == (2.5, 2.5)
    assert calibration.no_answer_threshold == -1.5 * 2.5
    assert folder.settings.options == {"max_seq_len": 64, "step": 24, "max_question_len": 20}
    # FARM: null / temperature + boost against best / temperature
    reader = Reader.from_pretrained(farm)
    plain = Reader.from_pretrained(folder_of("bert")).read(*ASKED, reader.defaults)
    margin = reader.read(*ASKED).no_answer.null_margin
    assert margin == plain.no_answer.null_margin
    assert (margin / 2.5 + 1.5 > 0) == (margin > calibration.no_answer_threshold)


def test_farm_folder_of_an_old_version(farm: Path, folder_of: FolderOf) -> None:
    """Without model type, temperature and tokenizer.json, and with the first names of normalisation weights."""
    expected = Reader.from_pretrained(folder_of("bert"))
    config = json.loads((farm / "language_model_config.json").read_text())
    write(farm / "language_model_config.json", {name: value for name, value in config.items() if name != "model_type"})
    weights = torch.load(farm / "language_model.bin")
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, old in older.items():
        weights = {name.replace(new, old): values for name, values in weights.items()}
    torch.save(weights, farm / "language_model.bin")
    head = torch.load(farm / "prediction_head_0.bin")
    torch.save({n: v for n, v in head.items() if "temperature" not in n}, farm / "prediction_head_0.bin")
    vocabulary = json.loads((farm / "tokenizer.json").read_text())["model"]["vocab"]
    (farm / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary))
    (farm / "tokenizer.json").unlink()
    (farm / "processor_config.json").unlink()
    reader = Reader.from_pretrained(farm)
    assert reader.settings.calibration.span_temperature == 1
    options = Reader.from_pretrained(folder_of("bert")).defaults
    assert reader.read(*ASKED, options) == expected.read(*ASKED, options)


def test_farm_folder_takes_the_head_for_questions_among_others(farm: Path) -> None:
    write(farm / "prediction_head_1_config.json", {"name": "TokenClassificationHead", "layer_dims": [32, 9]})
    assert Reader.from_pretrained(farm).settings.calibration.span_temperature == 2.5
    change(farm / "prediction_head_1_config.json", name="QuestionAnsweringHead")
    with pytest.raises(ModelError, match="2 of its 2 heads are for question answering; expected one"):
        Reader.from_pretrained(farm)
    for number in (0, 1):
        change(farm / f"prediction_head_{number}_config.json", name="TextClassificationHead")
    with pytest.raises(ModelError, match="0 of its 2 heads"):
        Reader.from_pretrained(farm)


def test_farm_folder_prefers_its_own_settings_file(farm: Path) -> None:
    reader = Reader.from_pretrained(farm)
    find_model(farm).write_settings(type(reader.settings)(name="tuned", no_answer=True))
    assert Reader.from_pretrained(farm).settings.name == "tuned"


@pytest.mark.parametrize("part", ["language_model", "prediction_head_0"])
def test_farm_folder_never_runs_a_pickle(part: str, farm: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    torch.save({"weight": Malicious()}, farm / f"{part}.bin")
    with pytest.raises(ModelError, match="hold code, which is never run"):
        Reader.from_pretrained(farm)
    assert not marker.exists()


@pytest.mark.parametrize("part", ["language_model", "prediction_head_0"])
@pytest.mark.parametrize("content", [b"", b"x", [1, 2], {"weight": "a text"}])
def test_farm_folder_names_broken_weights(part: str, content: Any, farm: Path) -> None:
    file = farm / f"{part}.bin"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ModelError, match=f"{part}.bin") as caught:
        Reader.from_pretrained(farm)
    assert "\n" not in str(caught.value)


def test_farm_folder_names_what_is_missing_or_odd(farm: Path) -> None:
    broken: list[tuple[str, dict[str, Any], str]] = [
        ("language_model_config.json", {"model_type": None, "name": "Word2Vec"}, "names no model_type"),
        ("prediction_head_0_config.json", {"no_ans_boost": "high"}, "no_ans_boost is 'high'"),
    ]
    for name, values, message in broken:
        before = (farm / name).read_text()
        change(farm / name, **values)
        with pytest.raises(ModelError, match=message):
            Reader.from_pretrained(farm)
        (farm / name).write_text(before)
    head = torch.load(farm / "prediction_head_0.bin")
    torch.save({**head, "feed_forward.feed_forward.1.weight": torch.ones(2, 2)}, farm / "prediction_head_0.bin")
    with pytest.raises(ModelError, match="expected a single linear layer"):
        Reader.from_pretrained(farm)
    (farm / "prediction_head_0.bin").unlink()
    with pytest.raises(ModelError, match=r"holds no prediction_head_0.bin and no prediction_head_0.safetensors"):
        Reader.from_pretrained(farm)


def test_farm_folder_with_a_configuration_of_transformers_is_none(farm: Path, folder_of: FolderOf) -> None:
    shutil.copy(folder_of("bert") / "config.json", farm)
    assert not isinstance(find_model(farm), FarmFolder)
