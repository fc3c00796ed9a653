"""What all tests share."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import tiny
from polyspan import Reader

# The same examples every time, so that a run says something of the code alone; "explore" looks for new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read once, when Haystack is imported

REPOSITORY = Path(__file__).resolve().parent.parent
POSITIONS = 96


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the public datasets and the expected figures, beside the checkout."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the shared data folder is absent")
    return folder


@pytest.fixture(scope="session")
def shipped() -> Reader:
    """The reader that comes with the package."""
    return Reader.from_pretrained()


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


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch with one thread: tiny models gain nothing from threads that wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
