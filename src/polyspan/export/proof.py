"""Whether a model with a trimmed vocabulary reads as before wherever only kept pieces occur."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from polyspan.backends import SpanScorer
from polyspan.errors import ModelError
from polyspan.features import PairTokenizer, Tokens, WindowSettings, collate, make_windows, plan_batches
from polyspan.types import Window

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
    fitting = [[sentence for sentence in sample if _fits(before.tokenizer, sentence, kept)] for sample in samples]
    for sample in fitting:
        for sentence in sample:
            _both_tokens(before.tokenizer, after.tokenizer, sentence, kept)
    share = -(-WINDOWS // max(1, len(samples)))
    windows = [pair for sample in fitting for pair in islice(_window_pairs(before, after, kept, sample), share)]
    if not windows:
        raise ModelError(
            "no sentence of the sample uses kept pieces alone, so that nothing is proved; keep more pieces, or give "
            "texts of these languages with --corpus FILE"
        )
    largest = _largest_difference(before, after, windows)
    if not largest <= TOLERANCE:
        raise ModelError(
            f"the trimmed model's logits differ by up to {largest:g} on texts of kept pieces, expected at most "
            f"{TOLERANCE:g}; nothing is written"
        )
    return Proof(sum(map(len, fitting)), len(windows), largest)


def _fits(tokenizer: PairTokenizer, text: str, kept: Sequence[int]) -> bool:
    ids = tokenizer.encode(text).ids
    return bool(len(ids)) and bool(np.isin(ids, np.asarray(kept)).all())


def _both_tokens(before: PairTokenizer, after: PairTokenizer, text: str, kept: Sequence[int]) -> tuple[Tokens, Tokens]:
    """A text's tokens before and after; ModelError where they are not the same pieces at the same places."""
    old, new = before.encode(text), after.encode(text)
    if not (np.array_equal(np.asarray(kept)[new.ids], old.ids) and np.array_equal(old.offsets, new.offsets)):
        raise ModelError(f"the trimmed tokenizer cuts {text!r:.80} otherwise, though all its pieces are kept")
    return old, new


def _window_pairs(
    before: SpanScorer, after: SpanScorer, kept: Sequence[int], sentences: Sequence[str]
) -> Iterator[tuple[Window, Window]]:
    """Each sentence asked as a question of those that follow it, as both models see it."""
    size = min(MAX_SEQ_LEN, before.max_seq_len or MAX_SEQ_LEN)
    settings = WindowSettings(size, doc_stride=0, max_question_len=size // 4)
    step = CONTEXT_SENTENCES + 1
    for first in range(0, len(sentences), step):
        question, *following = sentences[first : first + step]
        context = " ".join(following or [question])
        if not _fits(before.tokenizer, context, kept):
            continue
        asked = _both_tokens(before.tokenizer, after.tokenizer, question, kept)
        read = _both_tokens(before.tokenizer, after.tokenizer, context, kept)
        old, new = (
            next(make_windows(one.ids, tokens, scorer.tokenizer.template, settings))
            for scorer, one, tokens in zip((before, after), asked, read, strict=True)
        )
        if not np.array_equal(np.asarray(kept)[new.input_ids], old.input_ids):
            raise ModelError("the trimmed tokenizer puts other special tokens around a question and its context")
        yield old, new


def _largest_difference(before: SpanScorer, after: SpanScorer, windows: Sequence[tuple[Window, Window]]) -> float:
    """Over all logits at tokens; NaN where one is none."""
    largest = 0.0
    for batch in plan_batches([len(old.input_ids) for old, _ in windows], BATCH_TOKENS):
        both = []
        for side, scorer in enumerate((before, after)):
            given = collate([windows[number][side] for number in batch], scorer.tokenizer.pad_id)
            both.append(np.stack(scorer.score(given))[:, given.attention_mask == 1])
        largest = max(largest, float(np.abs(both[0] - both[1]).max()), key=lambda value: (np.isnan(value), value))
    return largest
