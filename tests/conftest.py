"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from polyspan import Reader

# The same examples every time, so that a run says something of the code alone; "explore" looks for new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

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
