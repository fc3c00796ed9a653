"""Model names to model folders: the shipped reader, a local folder, or a hub id."""

import re
from pathlib import Path

from polyspan.backends.folder import ONNX_FILES, ModelFolder, one_line
from polyspan.errors import ModelError

SHIPPED = "default"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILES = [
    "*.json",
    "*.json.gz",
    "*.txt",
    "*.model",
    "README.md",
    "model*.safetensors",
    "onnx/embeddings.bin*",
    *(f"{name}*" for name in ONNX_FILES),
]
_OLD_WEIGHTS = ["pytorch_model*.bin", "pytorch_model*.json"]


def find_model(
    model: str | Path | None = None, revision: str | None = None, local_files_only: bool = False
) -> ModelFolder:
    """The folder of a model.

    Args:
        model: None or "default" for the shipped reader, a folder, or a hub id ``org/name``.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the hub. ``HF_HUB_OFFLINE``, ``HF_HOME`` and ``HF_TOKEN`` count as everywhere.

    Raises:
        ModelError: if there is neither such a folder nor such a model.
    """
    if model is None or model == SHIPPED:
        return ModelFolder.shipped()
    if Path(model).is_dir():
        return ModelFolder(Path(model))
    if isinstance(model, Path) or Path(model).exists() or not _HUB_ID.fullmatch(model):
        raise ModelError(f"{model}: no such folder, and not a hub id of the form org/name")
    return ModelFolder(_download(model, revision, local_files_only), model)


def _download(model: str, revision: str | None, local_files_only: bool) -> Path:
    """A snapshot from the hub or its local cache; old pickled weights only where there are no newer ones."""
    from huggingface_hub import snapshot_download

    def fetch(patterns: list[str]) -> Path:
        return Path(
            snapshot_download(model, revision=revision, local_files_only=local_files_only, allow_patterns=patterns)
        )

    try:
        path = fetch(_FILES)
        if not [*path.glob("*.safetensors"), *path.glob("**/*.onnx*")]:
            path = fetch([*_FILES, *_OLD_WEIGHTS])
    except Exception as error:  # network, hub and cache fail in many ways
        # offline, and someone else fetched only the files that they needed
        incomplete = getattr(error, "snapshot_path", None)
        if incomplete is not None:
            return Path(incomplete)
        raise ModelError(
            f"{model}: no such folder here, and the hub did not give it ({one_line(error)}); check the name, the "
            "network and HF_TOKEN, or give a local folder"
        ) from error
    return path
