"""What every runtime offers: windows in, logits out."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

from polyspan.backends.folder import ModelFolder
from polyspan.errors import InputError
from polyspan.features import Batch, PairTokenizer
from polyspan.types import FloatArray

CPU = ("CPUExecutionProvider",)
BACKENDS = ("onnx", "openvino", "torch")
OWNERS = {
    "device": ("torch",),
    "dtype": ("openvino", "torch"),
    "providers": ("onnx",),
    "threads": ("onnx", "openvino"),
}


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

    ``backend`` None takes onnxruntime where the folder has an ONNX file and a tokenizer.json (OpenVINO, where that is
    installed and the model was exported for it), and torch otherwise; "openvino" opens any such file. ``device`` is
    torch's. ``dtype`` is torch's ("float32", "float16", "bfloat16") and OpenVINO's (not "float16"); None takes float32,
    but bfloat16 beside the 8-bit products of a model that was exported for OpenVINO, if the processor has it.
    ``providers`` (execution providers, by default the CPU's) are onnxruntime's, ``threads`` (None leaves the number to
    it) onnxruntime's and OpenVINO's.
    """

    backend: Literal["onnx", "openvino", "torch"] | None = None
    device: str | None = None
    dtype: str | None = None
    providers: Sequence[str] = CPU
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse fewer than one thread, and take any sequence of providers."""
        object.__setattr__(self, "providers", tuple(self.providers))
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads must be at least 1, not {self.threads}")


def open_scorer(folder: ModelFolder, options: BackendOptions) -> SpanScorer:
    """Open a model folder with the runtime that the options name or the folder suggests.

    Raises:
        ModelError: where the folder lacks what the runtime needs.
        InputError: where an option is unknown or belongs to another runtime.
        MissingExtraError: where torch or OpenVINO is needed and absent.
    """
    backend = _suggested_backend(folder) if options.backend is None else options.backend
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)} or None, not {backend!r}")
    refuse_options_of_others(backend, options)
    if backend == "onnx":
        from polyspan.backends.onnx import OnnxScorer

        return OnnxScorer(folder, options.providers, options.threads)
    if backend == "openvino":
        from polyspan.backends.openvino import OpenVinoScorer

        return OpenVinoScorer(folder, options.dtype, options.threads)
    from polyspan.backends.torch import TorchScorer

    return TorchScorer(folder, options.device, options.dtype)


def _suggested_backend(folder: ModelFolder) -> str:
    if not (folder.onnx_file and folder.tokenizer_file):
        return "torch"
    wanted = folder.settings.backend
    return "onnx" if wanted is None or find_spec(wanted) is None else wanted


def refuse_options_of_others(backend: str, options: BackendOptions) -> None:
    """InputError where an option is given that belongs to another backend."""
    for field in fields(BackendOptions):
        owners = OWNERS.get(field.name, BACKENDS)
        if backend not in owners and getattr(options, field.name) != field.default:
            raise InputError(f"{field.name} is an option of backend {' and '.join(owners)}, not of {backend}")
