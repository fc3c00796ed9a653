"""What tells one model from another, whatever its name."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from polyspan.backends.folder import ModelFolder

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
HASHED = (*WEIGHTS, "config.json", "tokenizer*.json*", "vocab.*", "merges.txt", "*.model", "**/*.onnx*", "onnx/*.bin*")


def model_digest(folder: ModelFolder) -> str:
    """12 hex digits over a model folder's weights, configuration and tokenizer; ``polyspan.json`` is not among them."""
    return digest_of(model_content(folder))


def model_content(folder: ModelFolder) -> Iterator[bytes]:
    """What ``model_digest`` is over, in pieces that fit into memory."""
    return content_of(folder.path, HASHED)


def digest_of(pieces: Iterable[bytes]) -> str:
    """12 hex digits over some content."""
    digest = sha256()
    for content in pieces:
        digest.update(content)
    return digest.hexdigest()[:12]


def content_of(folder: Path, patterns: Iterable[str]) -> Iterator[bytes]:
    """What is in a folder's files of some names, in their order, in pieces that fit into memory."""
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
        with path.open("rb") as file:
            while content := file.read(1 << 24):
                yield content
