"""Encoding with onnxruntime."""

from collections.abc import Sequence

import numpy as np

from polyspan.backends.onnx import INPUTS, inputs_of, open_session
from polyspan.backends.scorer import CPU
from polyspan.backends.sentence import SentenceFolder, checked_texts, unit_vectors
from polyspan.errors import ModelError
from polyspan.features import Batch, TextTokens, collate, plan_batches
from polyspan.types import FloatArray

WHOLE = "sentence_embedding"
OF_TOKENS = ("token_embeddings", "last_hidden_state")


class OnnxEncoder:
    """An ONNX file that gives vectors of texts, or of tokens that are pooled here."""

    def __init__(self, folder: SentenceFolder, providers: Sequence[str] = CPU, threads: int | None = None) -> None:
        file = folder.model.onnx_file
        if file is None:
            raise ModelError(f"{folder.path}: the ONNX backend needs a model.onnx there")
        self.name = folder.name
        self._folder = folder
        self._tokenizer = folder.tokenizer()
        self._session = open_session(file, providers, threads, folder.shared_weights())
        self._inputs = [value.name for value in self._session.get_inputs()]
        given = [value.name for value in self._session.get_outputs()]
        self._output = next((name for name in (WHOLE, *OF_TOKENS) if name in given), "")
        if not self._output or not INPUTS.issuperset(self._inputs):
            raise ModelError(
                f"{file}: takes {sorted(self._inputs)} and gives {given}; an encoder takes {sorted(INPUTS)} and gives "
                f"{WHOLE} or one of {', '.join(OF_TOKENS)}"
            )
        self._pooling = None if self._output == WHOLE else folder.pooling
        self.dimension = int(self._vectors(self._batch([self._tokens("")])).shape[1])

    @property
    def digest(self) -> str:
        """12 hex digits over all that vectors depend on but the runtime."""
        return self._folder.digest

    def encode_questions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, float32 [texts, dimension]."""
        return self._encode(checked_texts(texts), self._folder.prompts[0])

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, float32 [texts, dimension]."""
        return self._encode(checked_texts(texts), self._folder.prompts[1])

    def _encode(self, texts: Sequence[str], prompt: str) -> FloatArray:
        rows = [self._tokens(f"{prompt}{text}") for text in texts]
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for numbers in plan_batches([len(row.input_ids) for row in rows], self._folder.settings.batch_tokens):
            vectors[numbers] = self._vectors(self._batch([rows[number] for number in numbers]))
        return unit_vectors(vectors, self.name)

    def _tokens(self, text: str) -> TextTokens:
        return self._tokenizer.tokens(text, self._folder.max_seq_len)

    def _batch(self, rows: Sequence[TextTokens]) -> Batch:
        return collate(rows, self._tokenizer.pad_id)

    def _vectors(self, batch: Batch) -> FloatArray:
        """One vector of any length for each row of a batch, [rows, dimension]."""
        (found,) = self._session.run([self._output], inputs_of(batch, self._inputs))
        values = np.asarray(found, np.float32)
        if self._pooling is None:
            return values
        if self._pooling == "cls":
            return values[:, 0]
        mask = batch.attention_mask[..., None].astype(np.float32)
        mean: FloatArray = (values * mask).sum(axis=1) / mask.sum(axis=1)
        return mean
