"""How FARM and Haystack 1 ranked and scored answers, so that the figures they published can be explained.

They compared positions of tokens, not texts: the same words at another place are wrong, and F1 counts the model's own
tokens, those of articles and punctuation too. Formulas: farm/evaluation/metrics.py of FARM 0.8 and
haystack/modeling/model/prediction_head.py of Haystack 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from polyspan.errors import DatasetError, InputError
from polyspan.metrics.regime import harmonic_f1
from polyspan.metrics.signature import Signature, make_signature
from polyspan.types import FloatArray, Report, Window

TokenSpan = tuple[int, int]
"""First and last token of an answer, both inclusive, counted from 0 in the whole context."""

NO_ANSWER: TokenSpan = (-1, -1)


@dataclass(frozen=True, slots=True)
class TokenCandidate:
    """An answer with its two ranks: the sum of its logits, and the mean of their softmaxes (0 to 1)."""

    span: TokenSpan
    score: float
    confidence: float


def farm_candidates(
    window: Window, first_token: int, start_logits: FloatArray, end_logits: FloatArray, top_k: int = 1
) -> list[TokenCandidate]:
    """The window's ``top_k`` best spans by score, best first, and as the last one no answer.

    ``first_token`` is the place of the window's first context token in the whole context; the logits have shape
    [tokens of the window]. The softmaxes are over all of these (there with the padding behind them). Raises
    InputError for a window without context.
    """
    first, length = window.context_start, len(window.offsets)
    if length < 1 or top_k < 1:
        raise InputError(f"window: expected a context token or more and a top_k of 1 or more, got {length} and {top_k}")
    inside = slice(first, first + length)
    sums = np.add.outer(start_logits[inside].astype(np.float64), end_logits[inside])
    starts, ends = np.triu_indices(len(sums))
    best = np.argsort(-sums[starts, ends], kind="stable")[:top_k]
    start_shares, end_shares = _softmax(start_logits), _softmax(end_logits)

    def candidate(start: int, end: int, span: TokenSpan) -> TokenCandidate:
        score = float(start_logits[start]) + float(end_logits[end])
        return TokenCandidate(span, score, float(start_shares[start] + end_shares[end]) / 2)

    spans = [(int(starts[row]), int(ends[row])) for row in best]
    found = [candidate(start + first, end + first, (start + first_token, end + first_token)) for start, end in spans]
    return [*found, candidate(0, 0, NO_ANSWER)]


def rank_farm(windows: Sequence[Sequence[TokenCandidate]], by: Literal["score", "confidence"]) -> list[TokenCandidate]:
    """The ``farm_candidates`` of a context's windows in one ranking, best first, no answer among them.

    No answer's score is the best span's plus the smallest lead, over the windows, of no answer over the window's
    best span. By "score" ranked FARM, and Haystack 1 until April 2022; by "confidence" it ranks since, with
    sigmoid(score / 8) for no answer, set against softmaxes that it cannot be compared with. Raises InputError for
    no windows.
    """
    spans: dict[TokenSpan, TokenCandidate] = {}
    for candidate in (candidate for window in windows for candidate in window[:-1]):
        known = spans.setdefault(candidate.span, candidate)
        if candidate.score > known.score:
            spans[candidate.span] = candidate
    if not spans:
        raise InputError("windows: expected at least one window with candidates, got none")
    lead = min(window[-1].score - window[0].score for window in windows)
    score = max(candidate.score for candidate in spans.values()) + lead
    sigmoid = (1 + math.tanh(score / 16)) / 2  # of score / 8, in the form that cannot overflow
    ranked = [TokenCandidate(NO_ANSWER, score, sigmoid), *spans.values()]
    return sorted(ranked, key=lambda candidate: getattr(candidate, by), reverse=True)


def score_farm(
    labels: Sequence[Sequence[TokenSpan]],
    predictions: Sequence[Sequence[TokenSpan]],
    source: Signature | None = None,
) -> Report:
    """FARM's scores (0 to 100) over questions: ``exact`` and ``f1`` of the first prediction, ``top_n_accuracy``.

    The latter counts the questions of which any prediction shares a token with any label. A question with the label
    NO_ANSWER counts under ``NoAns_``, others under ``HasAns_`` (there ``EM``, ``EM_no_answer``, ``EM_text_answer``,
    0 to 1). The signature's ``top_n`` is the largest number of predictions of a question. Raises DatasetError where
    a question has no label or no prediction.
    """
    if len(labels) != len(predictions) or not labels:
        raise DatasetError(
            f"token spans: {len(labels)} questions with labels and {len(predictions)} with predictions; expected as "
            "many of both, at least one"
        )
    rows = []
    for number, (gold, predicted) in enumerate(zip(labels, predictions, strict=True)):
        if not gold or not predicted:
            raise DatasetError(
                f"token spans: question {number} has {len(gold)} labels and {len(predicted)} predictions; expected at "
                "least one of each, NO_ANSWER where there is none"
            )
        f1s = [max(_span_f1(label, span) for label in gold) for span in predicted]
        rows.append((NO_ANSWER in gold, float(predicted[0] in gold), f1s[0], float(any(f1s))))
    scores: dict[str, float] = {}
    for name, part in (
        ("", rows),
        ("HasAns_", [row for row in rows if not row[0]]),
        ("NoAns_", [row for row in rows if row[0]]),
    ):
        if part:
            for key, column in (("exact", 1), ("f1", 2), ("top_n_accuracy", 3)):
                scores[name + key] = 100.0 * fmean(row[column] for row in part)
            scores[f"{name}total"] = len(part)
    signature = make_signature("farm", "token-positions", source, n=len(rows), top_n=max(map(len, predictions)))
    return Report(scores, signature)


def _span_f1(label: TokenSpan, predicted: TokenSpan) -> float:
    """F1 (0 to 1) over the positions that both cover."""
    if sum(label) == 0 or sum(predicted) == 0:
        # Theirs took the first token alone for "no answer", which they wrote as (0, 0) before it became (-1, -1).
        return float(label[0] == predicted[0])
    shared = min(label[1], predicted[1]) - max(label[0], predicted[0]) + 1
    return harmonic_f1(max(0, shared), label[1] - label[0] + 1, predicted[1] - predicted[0] + 1)


def _softmax(logits: FloatArray) -> FloatArray:
    powers = np.exp(logits - logits.max())
    shares: FloatArray = powers / powers.sum()
    return shares
