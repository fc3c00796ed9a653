from pathlib import Path

from polyspan.backends import ModelFolder
from polyspan.backends.digest import model_digest


def test_digest_tells_weights_configurations_and_tokenizers_apart(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "onnx").mkdir()
    folder = ModelFolder(tmp_path)
    digests = [model_digest(folder)]
    for name in ("model.safetensors", "onnx/model.onnx.gz", "onnx/embeddings.bin.gz", "tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes(name.encode())
        digests.append(model_digest(folder))
    assert len(set(digests)) == 6
    assert all(len(digest) == 12 for digest in digests)
    for name in ("polyspan.json", "README.md"):
        (tmp_path / name).write_bytes(b"{}")
    assert model_digest(ModelFolder(tmp_path, "named")) == digests[-1]
