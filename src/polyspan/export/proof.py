"""Whether a model with a trimmed vocabulary reads as before wherever only kept pieces occur."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from polyspan.backends import SpanScorer
from polyspan.errors import ModelError
from polyspan.features import Tokens, WindowSettings, collate, make_windows, plan_batches
from polyspan.types import Int64Array, Window

TOLERANCE = 1e-6
WINDOWS = 64
CONTEXT_SENTENCES = 8
MAX_SEQ_LEN = 384
BATCH_TOKENS = 800


@dataclass(frozen=True, slots=True)
class Proof:
    """Over how many sentences the token ids, and over how many windows the logits were compared.

    ``largest`` is the largest difference of two logits.
    """

    sentences: int
    windows: int
    largest: float


class _Pair:
    """Both models, and the whole one's ids of the trimmed one's pieces."""

    def __init__(self, before: SpanScorer, after: SpanScorer, kept: Sequence[int]) -> None:
        self.scorers = before, after
        self.kept: Int64Array = np.array(kept, np.int64)
        self._known = np.zeros(max(kept) + 1, np.bool_)
        self._known[self.kept] = True

    def tokens(self, text: str) -> tuple[Tokens, Tokens] | None:
        """A text's tokens before and after; None where it is empty or uses pieces that are gone.

        Raises:
            ModelError: where they are not the same pieces at the same places.
        """
        before, after = (scorer.tokenizer for scorer in self.scorers)
        old = before.encode(text)
        if not len(old) or max(old.ids) >= len(self._known) or not self._known[old.ids].all():
            return None
        new = after.encode(text)
        if not (np.array_equal(self.kept[new.ids], old.ids) and np.array_equal(old.offsets, new.offsets)):
            raise ModelError(f"the trimmed tokenizer cuts {text!r:.80} otherwise, though all its pieces are kept")
        return old, new


def prove_equal(before: SpanScorer, after: SpanScorer, kept: Sequence[int], samples: Sequence[Sequence[str]]) -> Proof:
    """Compare both models on the sentences that use only kept pieces.

    Args:
        before: the whole model.
        after: the trimmed one.
        kept: the whole model's ids of the trimmed one's pieces, in the order of these.
        samples: sentences of each source; ``WINDOWS`` windows are drawn from all alike.

    Raises:
        ModelError: if token ids do not map one to one, logits differ by more than ``TOLERANCE``, or there was nothing
            to compare.
    """
    pair = _Pair(before, after, kept)
    fitting = [[sentence for sentence in sample if pair.tokens(sentence)] for sample in samples]
    share = -(-WINDOWS // max(1, len(samples)))
    windows = [both for sample in fitting for both in islice(_windows(pair, sample), share)]
    if not windows:
        raise ModelError(
            "no sentence of the sample uses kept pieces alone, so that nothing is proved; keep more pieces, or give "
            "texts of these languages with --corpus FILE"
        )
    largest = _largest_difference(pair, windows)
    if not largest <= TOLERANCE:
        raise ModelError(
            f"the trimmed model's logits differ by up to {largest:g} on texts of kept pieces, expected at most "
            f"{TOLERANCE:g}; nothing is written"
        )
    return Proof(sum(map(len, fitting)), len(windows), largest)


def _windows(pair: _Pair, sentences: Sequence[str]) -> Iterator[tuple[Window, Window]]:
    """Each of some sentences asked as a question of those that follow it, as both models see it."""
    size = min(MAX_SEQ_LEN, pair.scorers[0].max_seq_len or MAX_SEQ_LEN)
    settings = WindowSettings(size, doc_stride=0, max_question_len=size // 4)
    step = CONTEXT_SENTENCES + 1
    for first in range(0, len(sentences), step):
        question, *following = sentences[first : first + step]
        asked, read = pair.tokens(question), pair.tokens(" ".join(following or [question]))
        if asked is None or read is None:
            continue
        old, new = (
            next(make_windows(ids.ids, tokens, scorer.tokenizer.template, settings))
            for scorer, ids, tokens in zip(pair.scorers, asked, read, strict=True)
        )
        if not np.array_equal(pair.kept[new.input_ids], old.input_ids):
            raise ModelError("the trimmed tokenizer puts other special tokens around a question and its context")
        yield old, new


def _largest_difference(pair: _Pair, windows: Sequence[tuple[Window, Window]]) -> float:
    """Over all logits at tokens; NaN where one is none."""
    differences = []
    for batch in plan_batches([len(old.input_ids) for old, _ in windows], BATCH_TOKENS):
        logits = []
        for side, scorer in enumerate(pair.scorers):
            given = collate([windows[number][side] for number in batch], scorer.tokenizer.pad_id)
            logits.append(np.stack(scorer.score(given))[:, given.attention_mask == 1])
        differences.append(np.abs(logits[0] - logits[1]).max())
    return float(np.max(differences))
