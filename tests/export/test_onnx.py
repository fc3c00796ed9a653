import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from polyspan import ModelError

pytest.importorskip("onnxscript")


def test_export_onnx_names_matrices_as_the_model_does(graph: Any, reader_folder: Path) -> None:
    from safetensors import safe_open

    from polyspan.export.weights import matrices

    with safe_open(reader_folder / "model.safetensors", "np") as weights:
        names = set(weights.keys())
    found = matrices(graph)
    assert len(found) == 12
    assert set(found) <= names


def test_export_onnx_holds_no_trace_of_the_machine(graph: Any) -> None:
    assert str(Path.home()).encode() not in graph.SerializeToString()
    assert b"site-packages" not in graph.SerializeToString()


def test_export_onnx_refuses_what_is_no_reader(reader_folder: Path, tmp_path: Path) -> None:
    from polyspan.export import export_onnx

    folder = shutil.copytree(reader_folder, tmp_path / "reader")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "abacus"}))
    with pytest.raises(ModelError, match="transformers cannot open it"):
        export_onnx(folder)
