import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan.backends import BackendOptions, ModelFolder, open_encoder
from polyspan.backends.sentence import SentenceFolder
from polyspan.errors import ModelError

pytest.importorskip("onnxscript")
pytest.importorskip("sentence_transformers")
TORCH = BackendOptions("torch")
TEXTS = [*tiny.SENTENCES, "", "bridge " * 100]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader for torch with word embeddings that are exact in 4 bits."""
    import torch
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(1)
    folder = tiny.make_reader_folder(tmp_path_factory.mktemp("reader") / "reader", "xlm-roberta", positions=64)
    state = load_file(folder / "model.safetensors")
    name = next(name for name in state if name.endswith("word_embeddings.weight"))
    state[name] = (state[name] * 8).round().clamp(-7, 7) / 8
    state[name].view(len(state[name]), -1, 32)[:, :, 0] = -1
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def encoder(reader: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder for torch with that reader's transformer."""
    from transformers import AutoModel

    folder = tiny.make_encoder_folder(tmp_path_factory.mktemp("encoder") / "encoder", "xlm-roberta")
    AutoModel.from_pretrained(reader, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def shipped(reader: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader as it ships."""
    from polyspan.export import export_small_reader

    folder = tmp_path_factory.mktemp("shipped") / "reader"
    export_small_reader(reader, folder)
    return folder


@pytest.fixture(scope="module")
def small(encoder: Path, shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The encoder as it ships beside that reader, which is the one that ships for as long."""
    from polyspan.export.encoder import export_small_encoder

    folder = tmp_path_factory.mktemp("small") / "encoder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelFolder, "shipped", classmethod(lambda cls: cls(shipped)))
        export_small_encoder(SentenceFolder(encoder), folder, "tiny-encoder")
        yield folder


@pytest.mark.parametrize(("architecture", "pooling"), [("bert", "mean"), ("mpnet", "cls")])
def test_export_encoder_beside_its_weights_gives_the_same_vectors(
    architecture: str, pooling: str, tmp_path: Path
) -> None:
    from polyspan.export.encoder import write_encoder_onnx

    folder = tiny.make_encoder_folder(tmp_path / "encoder", architecture, pooling, {"query": "Who "})
    expected = open_encoder(folder)
    write_encoder_onnx(SentenceFolder(folder))
    found = open_encoder(folder)
    assert [type(one).__name__ for one in (expected, found)] == ["TorchEncoder", "OnnxEncoder"]
    np.testing.assert_allclose(found.encode_questions(TEXTS), expected.encode_questions(TEXTS), atol=1e-5)


def test_export_encoder_fuses_attention(encoder: Path) -> None:
    from polyspan.export.fusion import fuse
    from polyspan.export.onnx import export_encoder_onnx
    from polyspan.export.weights import matrices

    graph = fuse(export_encoder_onnx(encoder, "mean"))
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("MultiHeadAttention") == 2
    assert "encoder.layer.0.output.dense.weight" in matrices(graph)


def test_export_encoder_needs_a_whole_transformer(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from polyspan.export.onnx import export_encoder_onnx

    folder = shutil.copytree(encoder, tmp_path / "encoder")
    state = load_file(folder / "model.safetensors")
    state.pop("encoder.layer.1.output.dense.weight")
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"no weights for encoder\.layer\.1\.output\.dense\.weight; expected a whole"):
        export_encoder_onnx(folder, "mean")


def test_export_small_encoder_shares_what_the_reader_has(encoder: Path, small: Path) -> None:
    files = {path.relative_to(small).as_posix() for path in small.rglob("*") if path.is_file()}
    layout = {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"}
    assert files == {*layout, "config.json", "polyspan.json", "onnx/model.onnx.gz"}
    found, expected = open_encoder(small), open_encoder(encoder, TORCH)
    assert found.name == "tiny-encoder"
    cosines = (found.encode_passages(TEXTS) * expected.encode_passages(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.max() < 0.999999  # in 8 bits


def test_export_small_encoder_gives_a_text_the_same_vector_in_any_company(small: Path) -> None:
    found = open_encoder(small)
    alone = np.concatenate([found.encode_passages([text]) for text in TEXTS])
    np.testing.assert_allclose(found.encode_passages(TEXTS), alone, atol=1e-6)


def test_export_small_encoder_leaves_matrices_in_float(encoder: Path, small: Path, tmp_path: Path) -> None:
    import onnx

    from polyspan.backends import unpacked
    from polyspan.export.encoder import export_small_encoder

    kept = "encoder.layer.0.output.dense.weight"
    export_small_encoder(SentenceFolder(encoder), tmp_path / "other", "tiny-encoder", [kept])
    for folder, is_kept in ((small, False), (tmp_path / "other", True)):
        graph = onnx.load_model_from_string(unpacked(folder / "onnx" / "model.onnx.gz"))
        assert (kept in {value.name for value in graph.graph.initializer}) == is_kept


@pytest.mark.parametrize("name", ["tokenizer.json", "onnx/embeddings.bin"])
def test_export_small_encoder_refuses_another_readers_files(
    name: str, encoder: Path, small: Path, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyspan.datasets.writing import write_bytes
    from polyspan.export.encoder import export_small_encoder

    other = shutil.copytree(shipped, tmp_path / "other")
    write_bytes(other / f"{name}.gz", [b"{}"])
    monkeypatch.setattr(ModelFolder, "shipped", classmethod(lambda cls: cls(other)))
    with pytest.raises(ModelError, match=f"its {name} is not that of the reader that comes with polyspan"):
        export_small_encoder(SentenceFolder(encoder), tmp_path / "out", "tiny-encoder")
    with pytest.raises(ModelError, match=f"needs the {name} that it was made with"):
        open_encoder(small)
    (other / f"{name}.gz").unlink()
    with pytest.raises(ModelError, match=f"needs the {name} that it was made with"):
        open_encoder(small)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object of format_version 1"),
        ({"format_version": 2}, "update polyspan"),
        ({"format_version": 1, "batch_tokens": 0}, "batch_tokens a whole number"),
        ({"format_version": 1, "shared": ["tokenizer.json"]}, "shared an object"),
    ],
)
def test_export_small_encoder_settings_are_checked(content: Any, message: str, small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "small")
    (folder / "polyspan.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        open_encoder(folder)
