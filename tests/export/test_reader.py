import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from polyspan import ModelError, Reader, ReadOptions
from polyspan.backends import BackendOptions
from tiny import SENTENCES, make_reader_folder

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


def rounded(folder: Path) -> Path:
    """The reader with word embeddings that are exact in blocks of 4-bit codes."""
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    name = next(name for name in state if name.endswith("word_embeddings.weight"))
    blocks = state[name].view(len(state[name]), -1, 32)
    peak = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    scale = (peak / -8).half().float()
    codes = (blocks / torch.where(scale == 0, 1, scale)).round().clamp(-8, 7)
    state[name] = (codes * scale).view_as(state[name]).contiguous()
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rounded(make_reader_folder(tmp_path_factory.mktemp("source") / "reader", "xlm-roberta"))


@pytest.fixture(scope="module")
def small(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from polyspan.export import export_small_reader

    out = tmp_path_factory.mktemp("small") / "reader"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.onnx warns of its own parts
        export_small_reader(source, out, commonest=8, texts=list(SENTENCES[:2]) * 3)
    return out


def test_export_reader_gives_the_same_answers(source: Path, small: Path) -> None:
    options = ReadOptions(return_no_answer=False, max_seq_len=40, doc_stride=8, max_question_len=16)
    before = Reader.from_pretrained(source, BackendOptions(backend="torch"))
    after = Reader.from_pretrained(small)
    for question in SENTENCES[:2]:
        one, other = (reader.read(question, list(SENTENCES[:2]), options) for reader in (before, after))
        assert [(a.text, a.start) for a in one.answers][:2] == [(a.text, a.start) for a in other.answers][:2]
        assert one.answers[0].raw_score == pytest.approx(other.answers[0].raw_score, abs=0.25)


def test_export_reader_keeps_the_embeddings_apart_and_fewer(source: Path, small: Path) -> None:
    before = json.loads((source / "config.json").read_text())["vocab_size"]
    config = json.loads((small / "config.json").read_text())
    tokenizer = json.loads(gzip.decompress((small / "tokenizer.json.gz").read_bytes()))
    assert len(tokenizer["model"]["vocab"]) == config["vocab_size"] < before
    rows = config["vocab_size"]
    codes = rows * 32 // 2
    embeddings = gzip.decompress((small / "onnx" / "embeddings.bin.gz").read_bytes())
    assert len(embeddings) == -(-codes // 4096) * 4096 + rows * 2
    assert tokenizer["model"]["vocab"][config["pad_token_id"]][0] == "<pad>"


def test_export_reader_refuses_embeddings_that_would_lose(tmp_path: Path) -> None:
    from polyspan.export import export_small_reader

    folder = make_reader_folder(tmp_path / "reader", "xlm-roberta")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.onnx warns of its own parts
        with pytest.raises(ModelError, match="not exact in 4 bits"):
            export_small_reader(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_export_weights_four_bits_are_exact() -> None:
    from polyspan.export.weights import four_bits

    generator = np.random.default_rng(0)
    scales = generator.normal(size=(50, 3)).astype(np.float16)
    codes = generator.integers(0, 16, (50, 3, 32))
    codes[:, :, 5] = 0
    table = (codes - 8).astype(np.float32) * scales[..., None].astype(np.float32)
    table = table.reshape(50, 96)
    packed, found = four_bits(table)
    assert (found == scales).all()
    assert (packed == (codes.reshape(50, -1)[:, 0::2] | codes.reshape(50, -1)[:, 1::2] << 4)).all()
    with pytest.raises(ModelError, match="not exact"):
        four_bits(table + np.float32(1e-3))
