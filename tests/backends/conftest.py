"""Tiny model folders, made once; tests that change one copy it first."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny

POSITIONS = 96


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The torch folder of an architecture."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # more only wait for each other on models of this size
    root = tmp_path_factory.mktemp("models")

    def make(architecture: str) -> Path:
        folder = root / architecture
        return folder if folder.is_dir() else tiny.make_reader_folder(folder, architecture, POSITIONS)

    return make


@pytest.fixture(scope="session")
def onnx_of(folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The ONNX folder of an architecture, without torch's weights."""
    pytest.importorskip("onnx")
    root = tmp_path_factory.mktemp("onnx")

    def make(architecture: str) -> Path:
        folder = root / architecture
        if not folder.is_dir():
            shutil.copytree(folder_of(architecture), folder)
            tiny.export_onnx(folder)
            (folder / "model.safetensors").unlink()
        return folder

    return make
