"""What tells one model from another, whatever its name."""

from collections.abc import Iterator
from hashlib import sha256

from polyspan.backends.folder import ModelFolder

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
HASHED = (*WEIGHTS, "config.json", "tokenizer*.json*", "vocab.*", "merges.txt", "*.model", "**/*.onnx*", "onnx/*.bin*")


def model_digest(folder: ModelFolder) -> str:
    """12 hex digits over a model folder's weights, configuration and tokenizer; ``polyspan.json`` is not among them."""
    digest = sha256()
    for content in model_content(folder):
        digest.update(content)
    return digest.hexdigest()[:12]


def model_content(folder: ModelFolder) -> Iterator[bytes]:
    """What ``model_digest`` is over, in pieces that fit into memory."""
    for path in sorted({path for pattern in HASHED for path in folder.path.glob(pattern) if path.is_file()}):
        with path.open("rb") as file:
            while content := file.read(1 << 24):
                yield content
