"""The numbers that tell a right answer from a wrong one, and fitted maps from them to probabilities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from polyspan.decoding.merge import overlaps
from polyspan.decoding.spans import Candidate, Decoded
from polyspan.errors import ModelError

Floats = npt.NDArray[np.float64]

FEATURES = ("null_margin", "runner_up_gap", "log_share", "log_length", "log_windows", "agreement")
RUNNERS_UP = 2
LARGEST_GAP = 20.0


def answer_features(
    best: Candidate,
    decoded: Sequence[Decoded],
    log_share: float,
    overlap_threshold: float,
    text_of: Callable[[Candidate], str],
) -> dict[str, float]:
    """The ``FEATURES`` of a reading's best span.

    They depend on what was read and on how it was cut and decoded, not on how many answers were asked for:

    - ``null_margin``: the span's own, in logits.
    - ``runner_up_gap``: logits by which the next span falls behind it, 0 to 20; 20 also where there is none. Each
      window brings its two best, without what overlaps the answer in its own context.
    - ``log_share``: log of its share of the mass of all spans of all windows.
    - ``log_length``: log of its characters.
    - ``log_windows``: log of the number of windows that were read.
    - ``agreement``: 0 to 1, the share of the windows' mass that lies in windows whose own best span reads like the
      answer, letter case and spaces aside. It is 1 for one window, and stays near it when windows without an answer
      are added, as these weigh next to nothing; windows that favour another text lower it, and windows that quote
      the same text elsewhere do not, though they lower gap and share.

    Args:
        best: the span.
        decoded: every window that was read, each with its ``RUNNERS_UP`` best spans at least.
        log_share: 0 or less.
        overlap_threshold: 0 to 1, what two spans may share before they count as one answer.
        text_of: a span's characters.
    """
    rivals = [
        one.null_margin
        for window in decoded
        for one in window.candidates[:RUNNERS_UP]
        if one.context != best.context or not overlaps(one.span, best.span, overlap_threshold)
    ]
    mass = np.array([window.log_mass for window in decoded])
    answer = _reads(text_of(best))
    agree = np.array([bool(one.candidates) and _reads(text_of(one.candidates[0])) == answer for one in decoded])
    total = np.logaddexp.reduce(mass)
    agreement = np.exp(np.logaddexp.reduce(mass[agree], initial=-np.inf) - total) if total > -np.inf else 1.0
    return {
        "null_margin": best.null_margin,
        "runner_up_gap": min(max(0.0, min(rivals, default=np.inf) - best.null_margin), LARGEST_GAP),
        "log_share": log_share,
        "log_length": float(np.log(best.span.end - best.span.start)),
        "log_windows": float(np.log(len(decoded))),
        "agreement": float(agreement),
    }


def _reads(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class Term:
    """A feature's ``weight``, per unit; below ``low`` and above ``high``, the range of the fit, it changes no more."""

    weight: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LogisticMap:
    """A probability: 1 / (1 + exp(-(bias + sum of weight x feature))) over the ``terms``, by their features' names."""

    bias: float
    terms: Mapping[str, Term]

    def __post_init__(self) -> None:
        """Refuse what no fit gives."""
        unknown = sorted(set(self.terms) - set(FEATURES))
        if unknown:
            raise ModelError(f"unknown features {', '.join(unknown)}; expected some of {', '.join(FEATURES)}")
        values = [self.bias, *(x for term in self.terms.values() for x in (term.weight, term.low, term.high))]
        if not np.isfinite(values).all() or any(term.low > term.high for term in self.terms.values()):
            raise ModelError(f"a fitted map needs finite numbers and ranges from low to high, not {self}")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "LogisticMap":
        """What ``dataclasses.asdict`` made of one; TypeError, AttributeError or ModelError where it is none."""
        return cls(**{**content, "terms": {name: Term(**term) for name, term in content.get("terms", {}).items()}})

    def logit(self, features: Mapping[str, float | Floats]) -> Floats:
        """The probability's logit, of the features' shape: that of one reading, or [n]."""
        logit = np.full(np.shape(next(iter(features.values()))), self.bias, np.float64)
        for name, term in self.terms.items():
            logit = logit + term.weight * np.clip(features[name], term.low, term.high)
        return logit

    def probability(self, features: Mapping[str, float | Floats]) -> Floats:
        """0 to 1, of the features' shape."""
        return 1 / (1 + np.exp(-np.clip(self.logit(features), -700, 700)))

    def rescaled(self, slope: float, shift: float) -> "LogisticMap":
        """The map whose logit is ``slope`` x this one's + ``shift``."""
        terms = {name: replace(term, weight=slope * term.weight) for name, term in self.terms.items()}
        return LogisticMap(slope * self.bias + shift, terms)


@dataclass(frozen=True, slots=True)
class Confidence:
    """Two maps from ``FEATURES``.

    ``unanswerable``: that what was read holds no answer, for the share of unanswerable questions that it was fitted
    for. ``exact``: that the best span is right by exact match, where there is an answer; no such share changes it.
    """

    unanswerable: LogisticMap
    exact: LogisticMap

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Confidence":
        """What ``dataclasses.asdict`` made of one; TypeError, AttributeError or ModelError where it is none."""
        return cls(**{name: LogisticMap.from_json(part) for name, part in content.items()})
