"""Encoding with the sentence-transformers library, which opens every model in its layout."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from polyspan.backends.folder import one_line
from polyspan.backends.sentence import SentenceFolder, checked_texts, unit_vectors
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.features import without_surrogates
from polyspan.types import FloatArray

try:
    from sentence_transformers import SentenceTransformer

    from polyspan.backends.torch import DTYPES, open_device, quietly
except ImportError as error:
    raise MissingExtraError("an encoder that onnxruntime alone cannot open", "retriever") from error


def open_torch_encoder(folder: SentenceFolder, device: str | None = None, dtype: str | None = None) -> "TorchEncoder":
    """A folder opened by the library; code that comes with a model is never run.

    Raises:
        InputError: where device or dtype is none.
        ModelError: where the library cannot open it.
    """
    dtype = "float32" if dtype is None else dtype
    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    place = open_device("cpu" if device is None else device)
    model = open_library_model(folder.path, str(place), model_kwargs={"dtype": DTYPES[dtype]})
    return TorchEncoder(model, folder.name, folder.prompts, folder)


def open_library_model(path: Path | None, device: str, **options: Any) -> SentenceTransformer:
    """A model of the library from a folder, or from ``modules`` among the options; ModelError where that fails."""
    try:
        with quietly():
            return SentenceTransformer(
                None if path is None else str(path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                **options,
            )
    except Exception as error:  # odd configurations and broken weights fail in many ways
        raise ModelError(f"{path}: sentence-transformers cannot open it: {one_line(error)}") from error


class TorchEncoder:
    """A model of the library, and the prompts that stand before questions and before passages."""

    def __init__(
        self, model: SentenceTransformer, name: str, prompts: tuple[str, str], folder: SentenceFolder | None = None
    ) -> None:
        self.name = name
        self.dimension = int(model.get_embedding_dimension() or 0)
        self.prompts, self._model, self._folder = prompts, model, folder
        self._lock = Lock()

    @property
    def digest(self) -> str:
        """12 hex digits over all that vectors depend on but the runtime; "" for a model that is in no folder."""
        return "" if self._folder is None else self._folder.digest

    def encode_questions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, float32 [texts, dimension]."""
        return self._encode(self._model.encode_query, texts, self.prompts[0])

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, float32 [texts, dimension]."""
        return self._encode(self._model.encode_document, texts, self.prompts[1])

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str], prompt: str) -> FloatArray:
        clean = list(map(without_surrogates, checked_texts(texts)))
        if not clean:
            return np.zeros((0, self.dimension), np.float32)
        with self._lock:  # its tokenizer is changed by each call
            found = encode(clean, prompt=prompt, convert_to_numpy=True, show_progress_bar=False)
        return unit_vectors(np.asarray(found, np.float32), self.name)
