import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from farm_folders import make_farm_folder

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return tiny.make_reader_folder(tmp_path_factory.mktemp("tiny") / "model", "bert")


@pytest.fixture(scope="module")
def farm(model: Path) -> Path:
    return make_farm_folder(model, model.parent / "farm", 2.0, 0.5)


def test_convert_goes_to_the_layout_that_a_model_does_not_have(polyspan_here: Run, farm: Path, tmp_path: Path) -> None:
    result = polyspan_here("convert", farm, tmp_path / "new")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        f"{tmp_path}/new: written, from farm to transformers; temperature 2, no-answer boost 0.5\n"
    )
    back = polyspan_here("convert", tmp_path / "new", tmp_path / "back", "--to", "farm", "--json")
    printed = json.loads(back.stdout)
    assert (printed["folder"], printed["temperature"], printed["no_ans_boost"]) == (str(tmp_path / "back"), 2.0, 0.5)
    assert "pickles and not written" in back.stderr
    assert (tmp_path / "back" / "language_model.safetensors").is_file()


@pytest.mark.parametrize("arguments", [("--to", "transformers"), ("--to", "farm")])
def test_convert_refuses_in_one_line(
    arguments: tuple[str, ...], polyspan_here: Run, model: Path, farm: Path, tmp_path: Path
) -> None:
    source = model if arguments[1] == "transformers" else farm
    result = polyspan_here("convert", source, tmp_path / "new", *arguments)
    assert result.returncode == 2
    assert f"has the layout of {arguments[1]} already" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()
