import subprocess
import sys

import pytest

import polyspan

HEAVY = {"numpy", "tokenizers", "onnxruntime", "torch", "transformers", "click", "huggingface_hub", "lxml"}


def test_public_names_are_few_and_exist() -> None:
    assert sorted(polyspan.__all__) == polyspan.__all__
    assert dir(polyspan) == polyspan.__all__
    for name in polyspan.__all__:
        assert getattr(polyspan, name).__name__ == name


def test_public_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Raeder'"):
        polyspan.Raeder  # noqa: B018 -- the access is what is tested


def test_public_import_brings_nothing_heavy() -> None:
    code = "import sys, polyspan; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(modules)
