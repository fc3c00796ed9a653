"""Scoring with onnxruntime."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from polyspan.backends.folder import PACKED, ModelFolder, one_line, unpacked
from polyspan.errors import InputError, ModelError
from polyspan.features import Batch
from polyspan.types import FloatArray, Int64Array

INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
OUTPUTS = ["start_logits", "end_logits"]
SAVED = ("*.json*", "README.md", "*.onnx*", "onnx/*")
# Its kernel is several times slower than addition and layer normalisation apart.
LEFT_OUT = ["SkipLayerNormFusion"]


class OnnxScorer:
    """An ONNX file with inputs ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``."""

    def __init__(
        self,
        folder: ModelFolder,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int | None = None,
    ) -> None:
        file, tokenizer = folder.onnx_file, folder.pair_tokenizer()
        if file is None or tokenizer is None:
            raise ModelError(f"{folder.path}: the ONNX backend needs a model.onnx and a tokenizer.json there")
        self._folder = folder
        self.name = folder.name
        self.tokenizer = tokenizer
        self.max_seq_len = folder.max_seq_len
        self._session = open_session(file, providers, threads)
        self._inputs = [value.name for value in self._session.get_inputs()]
        check_signature(file, self._inputs, [value.name for value in self._session.get_outputs()])

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, both float32 [windows, tokens]."""
        start, end = self._session.run(OUTPUTS, inputs_of(batch, self._inputs))
        return np.asarray(start, np.float32), np.asarray(end, np.float32)

    def save(self, folder: Path) -> None:
        """Copy the model's files: configuration, tokenizer, ONNX file and the weights beside it."""
        copy_model(self._folder.path, folder)


def check_signature(file: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuse a graph that is no extractive reader's.

    Raises:
        ModelError: unless it takes ``input_ids`` and at most ``INPUTS``, and gives ``OUTPUTS`` at least.
    """
    if not (INPUTS.issuperset(inputs) and "input_ids" in inputs and set(outputs).issuperset(OUTPUTS)):
        raise ModelError(
            f"{file}: takes {sorted(inputs)} and gives {sorted(outputs)}; an extractive "
            f"reader takes {sorted(INPUTS)} and gives {OUTPUTS}"
        )


def inputs_of(batch: Batch, names: Sequence[str]) -> dict[str, Int64Array]:
    """The batch's arrays by the names that a graph gives them."""
    given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "token_type_ids": batch.type_ids}
    return {name: given[name] for name in names}


def copy_model(source: Path, target: Path) -> None:
    """Copy a model's files into an existing folder: configuration, tokenizer, card, ONNX file and weights beside it."""
    if target.samefile(source):
        return
    for path in [path for pattern in SAVED for path in source.glob(pattern) if path.is_file()]:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)


def open_session(
    file: Path, providers: Sequence[str], threads: int | None, weights: Mapping[str, bytes] | None = None
) -> onnxruntime.InferenceSession:
    """A session for an ONNX file.

    A gzipped one may have gzipped weights beside it, which go by way of memory, as do the ``weights`` given, by the
    names of the files that the graph looks for.

    Raises:
        InputError: where onnxruntime here lacks a provider.
        ModelError: where it cannot open the file.
    """
    unknown = set(providers) - set(onnxruntime.get_available_providers())
    if unknown:
        raise InputError(
            f"onnxruntime here has no {', '.join(sorted(unknown))}; it has "
            f"{', '.join(onnxruntime.get_available_providers())}"
        )
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    model: Path | bytes = file
    if file.suffix == PACKED:
        model = unpacked(file)
        beside = {path.name.removesuffix(PACKED): unpacked(path) for path in file.parent.glob(f"*.bin{PACKED}")}
        weights = {**beside, **(weights or {})}
    if weights:
        sizes = [len(content) for content in weights.values()]
        options.add_external_initializers_from_files_in_memory(list(weights), list(weights.values()), sizes)
    try:
        return onnxruntime.InferenceSession(model, options, providers=list(providers), disabled_optimizers=LEFT_OUT)
    except Exception as error:  # onnxruntime's errors share no other base
        raise ModelError(f"{file}: onnxruntime cannot open it: {one_line(error)}") from error
