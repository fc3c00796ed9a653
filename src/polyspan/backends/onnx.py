"""Scoring with onnxruntime."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from polyspan.backends.folder import ModelFolder, one_line
from polyspan.errors import InputError, ModelError
from polyspan.features import Batch, PairTokenizer
from polyspan.types import FloatArray

INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
OUTPUTS = ["start_logits", "end_logits"]
SAVED = ("*.json", "README.md", "*.onnx*", "onnx/*")


class OnnxScorer:
    """An ONNX file with inputs ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``."""

    def __init__(
        self,
        folder: ModelFolder,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int | None = None,
    ) -> None:
        if folder.onnx_file is None or folder.tokenizer_file is None:
            raise ModelError(f"{folder.path}: the ONNX backend needs a model.onnx and a tokenizer.json there")
        unknown = set(providers) - set(onnxruntime.get_available_providers())
        if unknown:
            raise InputError(
                f"onnxruntime here has no {', '.join(sorted(unknown))}; it has "
                f"{', '.join(onnxruntime.get_available_providers())}"
            )
        self._folder = folder
        self.name = folder.name
        self.tokenizer = PairTokenizer.from_file(folder.tokenizer_file, folder.pad_id)
        self.max_seq_len = folder.max_seq_len
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(folder.onnx_file, options, providers=list(providers))
        except Exception as error:  # onnxruntime's errors share no other base
            raise ModelError(f"{folder.onnx_file}: onnxruntime cannot open it: {one_line(error)}") from error
        self._inputs = {value.name for value in self._session.get_inputs()}
        outputs = {value.name for value in self._session.get_outputs()}
        if not (self._inputs <= INPUTS and "input_ids" in self._inputs and outputs >= set(OUTPUTS)):
            raise ModelError(
                f"{folder.onnx_file}: takes {sorted(self._inputs)} and gives {sorted(outputs)}; an extractive "
                f"reader takes {sorted(INPUTS)} and gives {OUTPUTS}"
            )

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, both float32 [windows, tokens]."""
        given = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "token_type_ids": batch.type_ids,
        }
        start, end = self._session.run(OUTPUTS, {name: given[name] for name in self._inputs})
        return np.asarray(start, np.float32), np.asarray(end, np.float32)

    def save(self, folder: Path) -> None:
        """Copy the model's files: configuration, tokenizer, ONNX file and the weights beside it."""
        source = self._folder.path
        if folder.samefile(source):
            return
        for path in [path for pattern in SAVED for path in source.glob(pattern) if path.is_file()]:
            target = folder / path.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
