"""One window's logits to its best spans."""

import unicodedata
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.types import FloatArray, Int32Array, Span, Window

Float64Array = npt.NDArray[np.float64]
Number = TypeVar("Number", np.float64, np.int32)


@dataclass(frozen=True, slots=True)
class SpanSettings:
    """How a window is decoded.

    ``max_answer_len`` is in tokens; of two spans that share more than ``overlap_threshold`` (0 to 1) of the
    shorter one's characters, the weaker goes; ``temperature`` divides the logits before they count as mass.
    ``null_trained`` False takes 0 for the null score, for models that never learnt to give no answer.
    """

    max_answer_len: int = 64
    top_k: int = 5
    overlap_threshold: float = 0.01
    temperature: float = 1.0
    null_trained: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.max_answer_len < 1 or self.top_k < 1:
            raise InputError(f"max_answer_len and top_k must be at least 1, not {self.max_answer_len} and {self.top_k}")
        if not (0 <= self.overlap_threshold <= 1 and 0 < self.temperature < np.inf):
            raise InputError(
                f"overlap_threshold must be between 0 and 1 and temperature finite and above 0, not "
                f"{self.overlap_threshold} and {self.temperature}"
            )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of a context: its start logit plus end logit, and its own window's null score minus that."""

    context: int
    span: Span
    raw_score: float
    null_margin: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A window's best spans and ``log_mass``.

    ``log_mass`` is the log of the sum, over all spans whose start the window owns, of
    exp(-null_margin / temperature): what the window weighs against other windows.
    """

    candidates: tuple[Candidate, ...]
    log_mass: float


def decode_window(window: Window, start_logits: FloatArray, end_logits: FloatArray, settings: SpanSettings) -> Decoded:
    """The best spans inside a window's context, best first.

    A span's score is start_logits[i] + end_logits[j] with i <= j < i + max_answer_len (Devlin et al., 2019), both in
    one block of the window, searched whole in a band [context tokens, max_answer_len]. The window's null score is the
    sum at position 0, and its handicap more.

    Args:
        window: whose tokens the logits belong to.
        start_logits: float [tokens of the window]; padding behind them is ignored.
        end_logits: the same for ends.
        settings: limits.
    """
    first = window.context_start
    inside = slice(first, first + len(window.offsets))
    band = _band(start_logits[inside], end_logits[inside], window.offsets, settings.max_answer_len)
    if window.blocks is not None:
        band[_banded(window.blocks, band.shape[1], -1) != window.blocks[:, None]] = -np.inf
    null_score = float(start_logits[0]) + float(end_logits[0]) if settings.null_trained else 0.0
    null_score += window.handicap
    mass = _log_sum((band[slice(*window.owned)] - null_score) / settings.temperature)
    found: list[Candidate] = []
    while band.size and len(found) < settings.top_k:
        row, width = divmod(int(band.argmax()), band.shape[1])
        score = float(band[row, width])
        if score == -np.inf:
            break
        span = Span(int(window.offsets[row, 0]), int(window.offsets[row + width, 1]))
        found.append(Candidate(window.context, span, score, null_score - score))
        if len(found) < settings.top_k:
            _suppress(band, window.offsets, span, settings.overlap_threshold)
    return Decoded(tuple(found), mass)


def whole_characters(text: str, span: Span) -> Span:
    """The span widened so that it splits no letter from its combining marks, nor a Korean syllable's letters."""
    start, end = span.start, span.end
    while 0 < start < end and _joins_previous(text[start]):
        start -= 1
    while end < len(text) and _joins_previous(text[end]):
        end += 1
    return Span(start, end)


def _joins_previous(character: str) -> bool:
    """Whether normalisation melts a character into the one before: marks, Korean letters, halfwidth kana marks."""
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff" or character in "\uff9e\uff9f"


def _band(start: FloatArray, end: FloatArray, offsets: Int32Array, width: int) -> Float64Array:
    """Scores [tokens, width] of the spans from each token over 1 to width tokens; -inf where there is none."""
    blank = offsets[:, 0] >= offsets[:, 1]
    starts = np.where(blank, -np.inf, start.astype(np.float64))
    ends = np.where(blank, -np.inf, end.astype(np.float64))
    band: Float64Array = starts[:, None] + _banded(ends, min(width, len(ends)), -np.inf)
    return band


def _banded(values: npt.NDArray[Number], width: int, fill: float) -> npt.NDArray[Number]:
    """``values[i + d]`` at [i, d], ``fill`` past the end."""
    padded = np.concatenate([values, np.full(max(0, width - 1), fill, values.dtype)])
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def _suppress(band: Float64Array, offsets: Int32Array, span: Span, threshold: float) -> None:
    """Sets to -inf what is equal to ``span`` or shares more than ``threshold`` of the shorter one's characters."""
    width = band.shape[1]
    touching = np.flatnonzero((offsets[:, 0] < span.end) & (offsets[:, 1] > span.start))
    rows = slice(max(0, int(touching[0]) - width + 1), int(touching[-1]) + 1)
    starts = offsets[rows, :1]
    ends = _banded(offsets[rows.start : rows.stop + width - 1, 1], width, 0)[: len(starts)]
    shared = np.minimum(ends, span.end) - np.maximum(starts, span.start)
    shorter = np.minimum(ends - starts, span.end - span.start)
    weaker = (shared > 0) & (shared > threshold * shorter)
    band[rows][weaker | ((starts == span.start) & (ends == span.end))] = -np.inf


def _log_sum(values: Float64Array) -> float:
    """log(sum(exp(values))) to six digits, without overflow; -inf for nothing."""
    peak = values.max(initial=-np.inf)
    if np.isinf(peak):
        return float(peak)
    # Single precision makes the exponentials four times as fast; what is 80 below the peak weighs nothing.
    weights = np.exp(np.maximum(values - peak, -80).astype(np.float32))
    return float(peak + np.log(weights.sum(dtype=np.float64)))
