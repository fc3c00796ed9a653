"""ONNX files through OpenVINO, against onnxruntime."""

import gzip
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan.backends import BackendOptions, ModelFolder, NativeSettings, SpanScorer, open_scorer
from polyspan.errors import InputError, ModelError
from polyspan.features import Batch, WindowSettings, collate, make_windows, widen

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("openvino")

FolderOf = Callable[[str], Path]
CONTEXT = "The letter was written by Ada Lovelace, sagte die Müllerin. The bridge was opened in 1874. " * 2
QUESTION = "Who wrote the letter?"


def opened(folder: Path, backend: str = "openvino", **options: Any) -> SpanScorer:
    return open_scorer(ModelFolder(folder), BackendOptions(backend, **{"threads": 1, **options}))  # type: ignore[arg-type]


def batch_of(scorer: SpanScorer) -> Batch:
    """Two windows of different lengths."""
    ids, tokens = scorer.tokenizer.encode(QUESTION).ids, scorer.tokenizer.encode(CONTEXT)
    windows = list(make_windows(ids, tokens, scorer.tokenizer.template, WindowSettings(43, 0, 24)))
    return collate([windows[0], windows[-1]], scorer.tokenizer.pad_id)


def difference(one: SpanScorer, other: SpanScorer) -> float:
    """The largest one between the logits of two windows."""
    batch = batch_of(one)
    pairs = zip(one.score(batch), other.score(batch), strict=True)
    return max(float(np.abs(left - right)[batch.attention_mask == 1].max()) for left, right in pairs)


@pytest.fixture
def bert(onnx_of: FolderOf, tmp_path: Path) -> Path:
    """A BERT folder that a test may change."""
    return shutil.copytree(onnx_of("bert"), tmp_path / "bert")


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_openvino_equals_onnxruntime(architecture: str, onnx_of: FolderOf) -> None:
    folder = onnx_of(architecture)
    assert difference(opened(folder), opened(folder, "onnx")) < 1e-4


def test_openvino_is_given_few_shapes_and_no_position_too_many(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noted(batch: Batch, tokens: int, pad_id: int) -> Batch:
        seen.append(tokens)
        return widen(batch, tokens, pad_id)

    monkeypatch.setattr("polyspan.backends.openvino.widen", noted)
    exact, scorer = opened(bert, "onnx"), opened(bert)
    assert difference(scorer, exact) < 1e-4
    (tokens,) = {len(row) for row in batch_of(scorer).input_ids}
    assert tokens % 16
    assert seen == [tokens - tokens % 16 + 16]
    scorer.max_seq_len = tokens + 1
    assert difference(scorer, exact) < 1e-4
    assert seen[1] == tokens + 1


def test_openvino_computes_in_bfloat16_when_asked(onnx_of: FolderOf) -> None:
    exact, short = opened(onnx_of("bert")), opened(onnx_of("bert"), dtype="bfloat16")
    assert difference(exact, short) < 0.1


def test_openvino_scores_from_several_threads(onnx_of: FolderOf) -> None:
    scorer = opened(onnx_of("bert"))
    batch = batch_of(scorer)
    expected = scorer.score(batch)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: scorer.score(batch), range(40)):
            np.testing.assert_array_equal(found, expected)


def test_openvino_suits_a_model_that_was_exported_for_it(bert: Path) -> None:
    ModelFolder(bert).write_settings(NativeSettings(no_answer=True, backend="openvino"))
    scorer = open_scorer(ModelFolder(bert), BackendOptions(threads=2))
    assert type(scorer).__name__ == "OpenVinoScorer"
    assert type(open_scorer(ModelFolder(bert), BackendOptions("onnx"))).__name__ == "OnnxScorer"


def test_openvino_is_not_needed_for_a_model_that_was_exported_for_it(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ModelFolder(bert).write_settings(NativeSettings(no_answer=True, backend="openvino"))
    monkeypatch.setattr("polyspan.backends.scorer.find_spec", lambda _: None)
    assert type(open_scorer(ModelFolder(bert), BackendOptions())).__name__ == "OnnxScorer"


def test_openvino_saves_what_it_opens(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    scorer = opened(bert)
    scorer.save(tmp_path / "copy")
    assert difference(scorer, opened(tmp_path / "copy")) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cpu"}, "device is an option of backend torch, not of openvino"),
        ({"providers": ["X"]}, "providers is an option of backend onnx, not of openvino"),
        ({"dtype": "float16"}, "dtype must be one of float32, bfloat16, not 'float16'"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_openvino_refuses_options_that_make_no_sense(options: dict[str, Any], message: str, onnx_of: FolderOf) -> None:
    with pytest.raises(InputError, match=message):
        opened(onnx_of("bert"), **options)


def test_openvino_names_a_broken_file(bert: Path) -> None:
    (bert / "onnx" / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.onnx: OpenVINO cannot open it") as caught:
        opened(bert)
    assert "\n" not in str(caught.value)


def test_openvino_says_that_gzipped_files_are_not_for_it(bert: Path) -> None:
    file = bert / "onnx" / "model.onnx"
    file.with_name("model.onnx.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    with pytest.raises(ModelError, match="needs an ONNX file that is not gzipped"):
        opened(bert)
