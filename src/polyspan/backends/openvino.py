"""Scoring with OpenVINO, whose 8-bit and bfloat16 matrix products are the fastest on many processors."""

from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from polyspan.backends.folder import PACKED, ModelFolder, one_line
from polyspan.backends.onnx import OUTPUTS, check_signature, copy_model, inputs_of
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.features import Batch, round_up, widen
from polyspan.types import FloatArray

try:
    import openvino
except ImportError as error:
    raise MissingExtraError("the OpenVINO backend", "openvino") from error

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
# For each new shape OpenVINO builds new kernels, which takes several times as long as running them once.
PAD_TO = 16


class OpenVinoScorer:
    """An ONNX file, as for ``OnnxScorer``, whose operators OpenVINO knows; embeddings in 4 bits are not among them."""

    def __init__(self, folder: ModelFolder, dtype: str | None = None, threads: int | None = None) -> None:
        if dtype not in (None, *PRECISIONS):
            raise InputError(f"with OpenVINO dtype must be one of {', '.join(PRECISIONS)}, not {dtype!r}")
        file, tokenizer = folder.onnx_file, folder.pair_tokenizer()
        if file is None or tokenizer is None or file.suffix == PACKED:
            raise ModelError(
                f"{folder.path}: the OpenVINO backend needs an ONNX file that is not gzipped and a tokenizer.json "
                "there; `polyspan export` writes them"
            )
        self._folder = folder
        self.name = folder.name
        self.tokenizer = tokenizer
        self.max_seq_len = folder.max_seq_len
        self._model = _compile(file, _options(folder.settings.backend == "openvino", dtype, threads))
        self._inputs = [value.get_any_name() for value in self._model.inputs]
        check_signature(file, self._inputs, [value.get_any_name() for value in self._model.outputs])
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, both float32 [windows, tokens]."""
        tokens = batch.input_ids.shape[1]
        width = round_up(tokens, PAD_TO)
        if self.max_seq_len is not None:  # there may be no positions behind it
            width = max(tokens, min(width, self.max_seq_len))
        batch = widen(batch, width, self.tokenizer.pad_id)
        try:
            request = self._idle.get_nowait()
        except Empty:  # a request holds the memory of one batch, so each thread at work needs its own
            request = self._model.create_infer_request()
        found = request.infer(inputs_of(batch, self._inputs))
        start, end = (np.array(found[name][:, :tokens], np.float32) for name in OUTPUTS)
        self._idle.put(request)
        return start, end

    def save(self, folder: Path) -> None:
        """Copy the model's files, as ``OnnxScorer`` does."""
        copy_model(self._folder.path, folder)


def _options(meant: bool, dtype: str | None, threads: int | None) -> dict[str, Any]:
    """OpenVINO's options; ``meant``: the model was exported for it."""
    if dtype is None:
        short = meant and "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        dtype = "bfloat16" if short else "float32"
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": PRECISIONS[dtype], "PERFORMANCE_HINT": "LATENCY"}
    return options if threads is None else {**options, "INFERENCE_NUM_THREADS": threads}


def _compile(file: Path, options: dict[str, Any]) -> "openvino.CompiledModel":
    core = openvino.Core()
    try:
        return core.compile_model(core.read_model(file), "CPU", options)
    except Exception as error:  # OpenVINO's errors share no other base
        raise ModelError(f"{file}: OpenVINO cannot open it: {one_line(error)}") from error
