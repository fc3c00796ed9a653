import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny import make_reader_folder

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytest.importorskip("torch")
pytest.importorskip("onnx")


def test_average_command_writes_a_reader(polyspan_here: Run, tmp_path: Path) -> None:
    one, two = (make_reader_folder(tmp_path / name) for name in ("one", "two"))
    result = polyspan_here("average", one, two, tmp_path / "mean")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'mean'}: written, the mean of 2 models\n")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (one, tmp_path / "mean")]
    assert weights[0] == weights[1]


def test_average_command_prints_json_and_refuses_one_model(polyspan_here: Run, tmp_path: Path) -> None:
    one = make_reader_folder(tmp_path / "one")
    result = polyspan_here("average", one, one, tmp_path / "mean", "--json")
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "mean"), "models": [str(one), str(one)]}
    result = polyspan_here("average", one, tmp_path / "other")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "two models or more" in result.stderr
