"""Margins and features to probabilities, with numbers that were fitted once and stored beside the model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from polyspan.decoding.confidence import Confidence
from polyspan.decoding.stopping import StopRule
from polyspan.errors import ModelError


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is stored of a fit.

    ``no_answer_threshold`` is in logits, on the null margin: above it the answer is "no answer"; ``thresholds`` are
    those of single languages, by ISO 639 code. ``no_answer_temperature`` and ``span_temperature`` divide logits
    (temperature scaling, Guo et al., 2017). ``confidence``, where there is one, gives the probabilities in their
    stead, in single languages those of ``confidences``; then temperatures only tell how spans share what it leaves.
    ``stop``, where there is one, says by the general probabilities when ranked passages that are left need not be read.
    """

    no_answer_threshold: float = 0.0
    no_answer_temperature: float = 1.0
    span_temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    confidence: Confidence | None = None
    confidences: Mapping[str, Confidence] = field(default_factory=dict)
    stop: StopRule | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no fit gives."""
        temperatures = self.no_answer_temperature, self.span_temperature
        values = self.no_answer_threshold, *temperatures, *self.thresholds.values()
        if not all(np.isfinite(value) for value in values) or min(temperatures) <= 0:
            raise ModelError(f"a calibration needs finite numbers and temperatures above 0, not {values}")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """What ``to_json`` made of one; TypeError, AttributeError or ModelError where it is none."""
        confidence, stop = content.get("confidence"), content.get("stop")
        parts = {
            "confidence": None if confidence is None else Confidence.from_json(confidence),
            "confidences": {code: Confidence.from_json(one) for code, one in content.get("confidences", {}).items()},
            "stop": None if stop is None else StopRule.from_json(stop),
        }
        return cls(**{**content, **parts})

    def to_json(self) -> dict[str, Any]:
        """Plain values; those of languages, ``confidence`` and ``stop`` only where there are any."""
        optional = {"thresholds", "confidence", "confidences", "stop"}
        return {name: value for name, value in asdict(self).items() if name not in optional or value}

    @property
    def languages(self) -> set[str]:
        """Those that have something of their own."""
        return {*self.thresholds, *self.confidences}

    def of(self, language: str | None) -> "Calibration":
        """The calibration of a language alone; of the general one what it has not of its own."""
        return replace(
            self,
            no_answer_threshold=self.thresholds.get(language or "", self.no_answer_threshold),
            thresholds={},
            confidence=self.confidences.get(language or "", self.confidence),
            confidences={},
        )

    def no_answer_probability(self, null_margin: float, features: Mapping[str, float] | None = None) -> float:
        """Probability, 0 to 1, that abstaining is right.

        From the best span's ``features`` where they are given and a ``confidence`` was fitted, else 1 / (1 +
        exp((threshold - margin) / temperature)).
        """
        if self.confidence is not None and features:
            return float(self.confidence.unanswerable.probability(features))
        scaled = (self.no_answer_threshold - null_margin) / self.no_answer_temperature
        return float(1 / (1 + np.exp(np.clip(scaled, -700, 700))))

    def answer_probabilities(
        self, null_margins: Sequence[float], log_mass: float, unanswerable: float, features: Mapping[str, float]
    ) -> list[float]:
        """Probabilities, 0 to 1, that each answer is right; with ``unanswerable`` they add up to no more than 1.

        Without a ``confidence`` each is the answer's share of 1 - ``unanswerable``. With one, the best answer's
        probability is fitted, and the others share what remains of 1 by their mass; none gets more than the best.

        Args:
            null_margins: the answers', best first, in logits.
            log_mass: log of the mass of all spans of all windows.
            unanswerable: probability that there is no answer.
            features: the best answer's.
        """
        shares = [self.share(margin, log_mass) for margin in null_margins]
        if self.confidence is None or not shares:
            return [(1 - unanswerable) * share for share in shares]
        best = (1 - unanswerable) * float(self.confidence.exact.probability(features))
        others = (1 - unanswerable - best) / max(1 - shares[0], sum(shares[1:]), np.finfo(float).tiny)
        return [best, *(min(best, others * share) for share in shares[1:])]

    def share(self, null_margin: float, log_mass: float) -> float:
        """A span's share, 0 to 1, of the mass of all spans of all windows that were read."""
        return float(np.exp(self.log_share(null_margin, log_mass)))

    def log_share(self, null_margin: float, log_mass: float) -> float:
        """The share's logarithm, 0 or less."""
        return min(0.0, -null_margin / self.span_temperature - log_mass)
