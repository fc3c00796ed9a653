"""Encoding with the sentence-transformers library, which opens every model in its layout."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np

from polyspan.backends.folder import one_line
from polyspan.backends.sentence import SentenceFolder, checked_texts, unit_vectors
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.types import FloatArray

try:
    from sentence_transformers import SentenceTransformer

    from polyspan.backends.torch import DTYPES, open_device, quietly
except ImportError as error:
    raise MissingExtraError("an encoder that onnxruntime alone cannot open", "retriever") from error


class TorchEncoder:
    """A folder opened by the library; code that comes with a model is never run."""

    def __init__(self, folder: SentenceFolder, device: str | None = None, dtype: str | None = None) -> None:
        dtype = "float32" if dtype is None else dtype
        if dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
        place = open_device("cpu" if device is None else device)
        try:
            with quietly():
                self._model = SentenceTransformer(
                    str(folder.path),
                    device=str(place),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"dtype": DTYPES[dtype]},
                )
        except Exception as error:  # odd configurations and broken weights fail in many ways
            raise ModelError(f"{folder.path}: sentence-transformers cannot open it: {one_line(error)}") from error
        self.name = folder.name
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self._folder = folder
        self._lock = Lock()

    @property
    def digest(self) -> str:
        """12 hex digits over all that vectors depend on but the runtime."""
        return self._folder.digest

    def encode_questions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, float32 [texts, dimension]."""
        return self._encode(self._model.encode_query, texts, self._folder.prompts[0])

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, float32 [texts, dimension]."""
        return self._encode(self._model.encode_document, texts, self._folder.prompts[1])

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str], prompt: str) -> FloatArray:
        clean = [text.encode("utf-8", "replace").decode() for text in checked_texts(texts)]
        if not clean:
            return np.zeros((0, self.dimension), np.float32)
        with self._lock:  # its tokenizer is changed by each call
            found = encode(clean, prompt=prompt, convert_to_numpy=True, show_progress_bar=False)
        return unit_vectors(np.asarray(found, np.float32), self.name)
