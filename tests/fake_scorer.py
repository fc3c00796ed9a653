"""A scorer that finds words by rule, so that tests know what a reader must answer."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from polyspan.features import Batch, PairTokenizer
from polyspan.types import FloatArray

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
FOUND, NOT_FOUND = 8.0, -8.0


def word_tokenizer(words: list[str]) -> Tokenizer:
    """Whole words and single punctuation marks, in BERT's template."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


class FakeScorer:
    """Asked "find WORD", it answers with every WORD of the context, the one before "!" with one logit more.

    Its null score is always 0. ``batches`` records the shapes it was given.
    """

    name = "fake"
    max_seq_len: int | None = 512

    def __init__(self, words: str = "") -> None:
        self.tokenizer = PairTokenizer(word_tokenizer(["find", "!", *words.lower().split()]))
        self.batches: list[tuple[int, ...]] = []

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        self.batches.append(batch.input_ids.shape)
        logits = np.full(batch.input_ids.shape, NOT_FOUND, np.float32)
        logits[:, 0] = 0
        for row, ids in enumerate(batch.input_ids):
            separators = np.flatnonzero(ids == 3)
            wanted = ids[separators[0] - 1]
            context = np.arange(separators[0] + 1, separators[1])
            hits = context[(ids[context] == wanted) & (wanted != 1)]
            logits[row, hits] = FOUND + (ids[hits + 1] == 5)
        return logits, logits.copy()

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
