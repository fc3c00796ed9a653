"""Where the reader sees an answer begin and end: the probability of each token of a passage."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyspan.reader import Reader, ReadOptions
from polyspan.types import Readable

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """Characters ``start`` to ``end`` of a document, and how probable an answer starts, and ends, with this token."""

    start: int
    end: int
    start_probability: float
    end_probability: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """All tokens of a passage in order, and how probable there is no start, and no end, in it at all."""

    tokens: tuple[TokenProbability, ...]
    null_start: float
    null_end: float


def explain(reader: Reader, question: str, passage: Readable, options: ReadOptions | None = None) -> Explanation:
    """How probable each token of a passage is the first, and the last, of an answer.

    A logit counts by its lead over that of position 0 in its own window, divided by the calibration's span temperature,
    as spans do; leads of all windows, each token's in the window that owns it, and one 0 for "no answer" share a
    softmax. So all ``start_probability`` and ``null_start`` sum to 1, and likewise the ends. A model that never learnt
    to give no answer has no part for it.

    Args:
        reader: the model.
        question: any language.
        passage: as ``Reader.read`` takes it; short, as the windows are scored one by one.
        options: None takes the reader's own.

    Raises:
        InputError: if the question is not a string with something in it.
    """
    spans: list[tuple[int, int]] = []
    leads: tuple[list[float], list[float]] = ([], [])
    for window, *logits in reader.window_logits(question, passage, options):
        first, last = window.owned
        shown = [i for i in range(first, last) if window.offsets[i, 0] < window.offsets[i, 1]]
        spans += [(int(window.offsets[i, 0]), int(window.offsets[i, 1])) for i in shown]
        for found, scores in zip(leads, logits, strict=True):
            found += [float(scores[window.context_start + i]) - float(scores[0]) for i in shown]
    temperature = reader.settings.calibration.span_temperature
    with_null = bool(reader.settings.no_answer)
    (starts, null_start), (ends, null_end) = (
        _shares(np.array(one, np.float64) / temperature, with_null=with_null) for one in leads
    )
    tokens = (
        TokenProbability(*span, start, end)
        for span, start, end in zip(spans, starts.tolist(), ends.tolist(), strict=True)
    )
    return Explanation(tuple(tokens), null_start, null_end)


def _shares(leads: Float64Array, *, with_null: bool) -> tuple[Float64Array, float]:
    """Softmax of leads and, perhaps, a 0 beside them: the leads' shares and that of the 0."""
    highest = max(leads.max(initial=-np.inf), 0.0 if with_null else -np.inf)
    if not np.isfinite(highest):
        return leads, 0.0
    weights = np.exp(leads - highest)
    null = float(np.exp(-highest)) if with_null else 0.0
    total = weights.sum() + null
    return weights / total, null / float(total)
