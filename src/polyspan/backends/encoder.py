"""What every encoder offers: texts in, vectors out; and how one is opened."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from polyspan.backends.folder import ASSETS
from polyspan.backends.hub import SHIPPED, find_files
from polyspan.backends.scorer import BackendOptions, refuse_options_of_others
from polyspan.backends.sentence import MORE_FILES, SentenceFolder
from polyspan.errors import InputError
from polyspan.types import FloatArray

BACKENDS = ("onnx", "torch")


class TextEncoder(Protocol):
    """A loaded encoder; safe to use from several threads.

    ``digest`` changes when vectors would: with weights, tokenizer, pooling, prompts or lengths. ``dimension`` is the
    width of a vector.
    """

    name: str
    dimension: int

    @property
    def digest(self) -> str:
        """12 hex digits; the runtime is not part of them."""

    def encode_questions(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of questions, float32 [texts, dimension], of length 1; tokens past the model's longest are left out.

        Raises:
            InputError: where ``texts`` are no texts.
            ModelError: where a vector is no finite numbers.
        """

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of passages, likewise; one answers a question the better, the larger their scalar product is."""


def open_encoder(
    model: str | Path | None = None,
    options: BackendOptions | None = None,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
) -> TextEncoder:
    """Open an encoder.

    Folders and hub ids are in the layout of sentence-transformers. Those with an ONNX file, pooled by mean or first
    token, are opened with onnxruntime alone, and so is an ONNX file that gives whole vectors (``sentence_embedding``);
    all others with the sentence-transformers library. Before texts stand the prompts that
    ``config_sentence_transformers.json`` names; where it names none (as in the E5 models on the hub, which want
    "query: " and "passage: "), nothing does, until they are put there.

    Args:
        model: a folder, a hub id ``org/name``, or None for the encoder that comes with polyspan.
        options: runtime ("onnx" or "torch"), device, precision, threads.
        revision: branch, tag or commit of a hub id.
        local_files_only: take hub ids from the local cache alone.

    Raises:
        InputError: where an option is unknown or belongs to another runtime.
        ModelError: if there is no such model, or its files are not those of an encoder.
        MissingExtraError: if it needs sentence-transformers and that is not installed.
    """
    options = BackendOptions() if options is None else options
    if model is None or model == SHIPPED:
        folder = SentenceFolder(ASSETS / "encoder")
    else:
        folder = SentenceFolder(*find_files(model, revision, local_files_only, MORE_FILES))
    backend = options.backend
    if backend is None:
        backend = "onnx" if folder.is_plain else "torch"
    if backend not in BACKENDS:
        raise InputError(f"an encoder's backend must be one of {', '.join(BACKENDS)} or None, not {backend!r}")
    refuse_options_of_others(backend, options)
    if backend == "onnx":
        from polyspan.backends.onnx_encoder import OnnxEncoder

        return OnnxEncoder(folder, options.providers, options.threads)
    from polyspan.backends.torch_encoder import open_torch_encoder

    return open_torch_encoder(folder, options.device, options.dtype)
