"""What all tests share."""

from pathlib import Path

import pytest

from polyspan import Reader

REPOSITORY = Path(__file__).resolve().parent.parent


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
