"""What every runtime offers: windows in, logits out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from polyspan.backends.folder import ModelFolder
from polyspan.errors import InputError
from polyspan.features import Batch, PairTokenizer
from polyspan.types import FloatArray

CPU = ("CPUExecutionProvider",)


class SpanScorer(Protocol):
    """A loaded model. Its ``score`` may be called from several threads at once."""

    name: str
    tokenizer: PairTokenizer
    max_seq_len: int | None

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, both float32 [windows, tokens]; at padding they mean nothing."""

    def save(self, folder: Path) -> None:
        """Write the model's files, in Hugging Face's layout, into an existing folder."""


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """How a model folder is opened.

    ``backend`` None takes ONNX where the folder has an ONNX file and a tokenizer.json, and torch otherwise.
    ``device`` and ``dtype`` ("float32", "float16", "bfloat16") are torch's. ``providers`` (execution providers,
    by default the CPU's) and ``threads`` (None leaves the number to it) are onnxruntime's.
    """

    backend: Literal["onnx", "torch"] | None = None
    device: str | None = None
    dtype: str = "float32"
    providers: Sequence[str] = CPU
    threads: int | None = None


def open_scorer(folder: ModelFolder, options: BackendOptions) -> SpanScorer:
    """Open a model folder with the runtime that the options name or the folder suggests.

    Raises:
        ModelError: where the folder lacks what the runtime needs.
        InputError: where an option is unknown or belongs to the other runtime.
        MissingExtraError: where torch is needed and absent.
    """
    backend = options.backend
    if backend is None:
        backend = "onnx" if folder.onnx_file and folder.tokenizer_file else "torch"
    if backend == "onnx":
        if options.device is not None or options.dtype != "float32":
            raise InputError("device and dtype are torch's; give onnxruntime providers instead, or backend 'torch'")
        from polyspan.backends.onnx import OnnxScorer

        return OnnxScorer(folder, options.providers, options.threads)
    if backend == "torch":
        if options.threads is not None or tuple(options.providers) != CPU:
            raise InputError("providers and threads are onnxruntime's; give torch a device, or backend 'onnx'")
        from polyspan.backends.torch import TorchScorer

        return TorchScorer(folder, options.device, options.dtype)
    raise InputError(f"backend must be 'onnx', 'torch' or None, not {backend!r}")
