"""ONNX files through onnxruntime, against torch."""

import gzip
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan import Reader
from polyspan.backends import BackendOptions, ModelFolder, SpanScorer, open_scorer
from polyspan.errors import InputError, ModelError
from polyspan.features import Batch, WindowSettings, collate, make_windows
from polyspan.reader import ReadOptions

pytest.importorskip("torch")
onnx: Any = pytest.importorskip("onnx")

FolderOf = Callable[[str], Path]
QUESTION = "Who wrote the letter?"
CONTEXT = "The letter was written by Ada Lovelace, sagte die Müllerin. The bridge was opened in 1874. " * 2


def opened(folder: Path, **options: Any) -> SpanScorer:
    return open_scorer(ModelFolder(folder), BackendOptions(**options))


def batch_of(scorer: SpanScorer) -> Batch:
    """Two windows of different lengths."""
    ids, tokens = scorer.tokenizer.encode(QUESTION).ids, scorer.tokenizer.encode(CONTEXT)
    windows = list(make_windows(ids, tokens, scorer.tokenizer.template, WindowSettings(43, 0, 24)))
    return collate([windows[0], windows[-1]], scorer.tokenizer.pad_id)


def assert_same(one: SpanScorer, other: SpanScorer, tolerance: float = 0) -> None:
    batch = batch_of(one)
    for left, right in zip(one.score(batch), other.score(batch), strict=True):
        assert left.dtype == right.dtype == np.float32
        np.testing.assert_allclose(left[batch.attention_mask == 1], right[batch.attention_mask == 1], atol=tolerance)


@pytest.fixture
def bert(onnx_of: FolderOf, tmp_path: Path) -> Path:
    """A BERT folder with an ONNX file that a test may change."""
    return shutil.copytree(onnx_of("bert"), tmp_path / "bert")


def identity(folder: Path, inputs: list[str], outputs: list[str]) -> None:
    """An ONNX file that gives its first input for every output."""
    integers = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ["w", "t"]) for name in inputs]
    logits = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["w", "t"]) for name in outputs]
    nodes = [onnx.helper.make_node("Cast", inputs[:1], [name], to=onnx.TensorProto.FLOAT) for name in outputs]
    graph = onnx.helper.make_graph(nodes, "identity", integers, logits)
    imports = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=imports), folder / "onnx" / "model.onnx")


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_onnx_equals_torch(architecture: str, folder_of: FolderOf, onnx_of: FolderOf) -> None:
    torch, exported = opened(folder_of(architecture)), opened(onnx_of(architecture))
    assert type(exported).__name__ == "OnnxScorer"
    assert exported.tokenizer.template == torch.tokenizer.template
    assert exported.max_seq_len == torch.max_seq_len
    assert_same(torch, exported, 1e-4)


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_onnx_and_torch_score_from_several_threads(backend: str, folder_of: FolderOf, onnx_of: FolderOf) -> None:
    scorer = opened((onnx_of if backend == "onnx" else folder_of)("bert"))
    batch = batch_of(scorer)
    expected = scorer.score(batch)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: scorer.score(batch), range(40)):
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_onnx_passes_type_ids(onnx_of: FolderOf) -> None:
    scorer = opened(onnx_of("bert"))
    batch = batch_of(scorer)
    without = Batch(batch.input_ids, batch.attention_mask, np.zeros_like(batch.type_ids))
    assert np.abs(scorer.score(batch)[0] - scorer.score(without)[0]).max() > 0.01


@pytest.mark.parametrize("inputs", [["input_ids"], ["input_ids", "attention_mask"]])
def test_onnx_gives_only_the_inputs_that_are_there(inputs: list[str], bert: Path) -> None:
    identity(bert, inputs, ["start_logits", "end_logits", "extra"])
    scorer = opened(bert)
    batch = batch_of(scorer)
    start, end = scorer.score(batch)
    np.testing.assert_array_equal(start, batch.input_ids)
    np.testing.assert_array_equal(end, start)


def test_onnx_is_preferred_where_it_can_be_opened(bert: Path, folder_of: FolderOf) -> None:
    shutil.copy(folder_of("bert") / "model.safetensors", bert)
    assert type(opened(bert)).__name__ == "OnnxScorer"
    assert type(opened(bert, backend="torch")).__name__ == "TorchScorer"
    vocabulary = json.loads((bert / "tokenizer.json").read_text())["model"]["vocab"]
    (bert / "vocab.txt").write_text("\n".join(vocabulary))
    (bert / "tokenizer.json").unlink()
    assert type(opened(bert)).__name__ == "TorchScorer"


def test_onnx_file_may_lie_in_the_folder_itself(bert: Path, onnx_of: FolderOf) -> None:
    (bert / "onnx" / "model.onnx").rename(bert / "model.onnx")
    assert_same(opened(bert), opened(onnx_of("bert")))


def test_onnx_takes_providers_and_threads(onnx_of: FolderOf) -> None:
    scorer = opened(onnx_of("bert"), providers=["CPUExecutionProvider"], threads=1)
    assert BackendOptions(providers=["CPUExecutionProvider"]) == BackendOptions()
    assert_same(scorer, opened(onnx_of("bert")), 1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"providers": ["AbacusExecutionProvider"]}, "no AbacusExecutionProvider; it has .*CPUExecutionProvider"),
        ({"device": "cpu"}, "device is an option of backend torch, not of onnx"),
        ({"dtype": "float16"}, "dtype is an option of backend openvino and torch, not of onnx"),
        ({"backend": "jax"}, "backend must be"),
        ({"backend": ""}, "backend must be"),
    ],
)
def test_onnx_refuses_options_that_make_no_sense(options: dict[str, Any], message: str, onnx_of: FolderOf) -> None:
    with pytest.raises(InputError, match=message):
        opened(onnx_of("bert"), **options)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08" * 50])
def test_onnx_names_a_broken_file(content: bytes, bert: Path) -> None:
    (bert / "onnx" / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx: onnxruntime cannot open it") as caught:
        opened(bert)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (["pixel_values"], ["start_logits", "end_logits"]),
        (["input_ids", "pixel_values"], ["start_logits", "end_logits"]),
        (["input_ids"], ["last_hidden_state"]),
        (["input_ids"], ["start_logits"]),
    ],
)
def test_onnx_refuses_other_inputs_and_outputs(inputs: list[str], outputs: list[str], bert: Path) -> None:
    identity(bert, inputs, outputs)
    with pytest.raises(ModelError, match="an extractive reader takes"):
        opened(bert)


@pytest.mark.parametrize("missing", ["onnx/model.onnx", "tokenizer.json"])
def test_onnx_backend_names_the_missing_file(missing: str, bert: Path) -> None:
    (bert / missing).unlink()
    with pytest.raises(ModelError, match=r"needs a model\.onnx and a tokenizer\.json"):
        opened(bert, backend="onnx")


def test_onnx_names_a_broken_tokenizer(bert: Path) -> None:
    (bert / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"not a readable tokenizer\.json"):
        opened(bert)


@pytest.mark.parametrize("external", [False, True])
def test_onnx_saves_what_it_opens(external: bool, bert: Path, onnx_of: FolderOf, tmp_path: Path) -> None:
    if external:
        file = bert / "onnx" / "model.onnx"
        onnx.save_model(
            onnx.load(file),
            file,
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
        )
        assert (bert / "onnx" / "weights.bin").stat().st_size > 10_000
    (bert / "onnx" / "notes").mkdir()
    copy = tmp_path / "copy"
    copy.mkdir()
    scorer = opened(bert)
    for target in (copy, bert):
        scorer.save(target)
        assert_same(opened(target), opened(onnx_of("bert")))
    assert (copy / "onnx" / "weights.bin").is_file() == external


def packed(folder: Path) -> Path:
    """The folder with its weights outside the ONNX file and its large files gzipped."""
    file = folder / "onnx" / "model.onnx"
    onnx.save_model(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    for path in (file, folder / "onnx" / "weights.bin", folder / "tokenizer.json"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return folder


def test_onnx_opens_and_saves_gzipped_files(bert: Path, onnx_of: FolderOf, tmp_path: Path) -> None:
    scorer = opened(packed(bert))
    assert_same(scorer, opened(onnx_of("bert")))
    (tmp_path / "copy").mkdir()
    scorer.save(tmp_path / "copy")
    assert_same(opened(tmp_path / "copy"), scorer)


@pytest.mark.parametrize("name", ["onnx/model.onnx.gz", "onnx/weights.bin.gz", "tokenizer.json.gz"])
def test_onnx_names_a_gzipped_file_that_was_cut(name: str, bert: Path) -> None:
    file = packed(bert) / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ModelError, match=rf"{name}: cannot be read"):
        opened(bert)


def test_onnx_reader_saves_and_opens(onnx_of: FolderOf, tmp_path: Path) -> None:
    reader = Reader.from_pretrained(onnx_of("xlm-roberta"))
    reader.save_pretrained(tmp_path / "saved")
    options = ReadOptions(max_seq_len=64, max_question_len=32)
    again = Reader.from_pretrained(tmp_path / "saved")
    assert again.settings == reader.settings
    assert again.read(QUESTION, CONTEXT, options) == reader.read(QUESTION, CONTEXT, options)
