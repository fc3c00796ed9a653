"""Margins to probabilities, with numbers that were fitted once and stored beside the model."""

from dataclasses import dataclass

import numpy as np

from polyspan.errors import ModelError


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is stored of a fit.

    ``no_answer_threshold`` is in logits, on the null margin: above it the answer is "no answer".
    ``no_answer_temperature`` and ``span_temperature`` divide logits (temperature scaling, Guo et al., 2017).
    """

    no_answer_threshold: float = 0.0
    no_answer_temperature: float = 1.0
    span_temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that no fit gives."""
        values = self.no_answer_threshold, self.no_answer_temperature, self.span_temperature
        if not all(np.isfinite(value) for value in values) or min(values[1:]) <= 0:
            raise ModelError(f"a calibration needs finite numbers and temperatures above 0, not {values}")

    def no_answer_probability(self, null_margin: float) -> float:
        """Probability that abstaining is right: 1 / (1 + exp((threshold - margin) / temperature)), 0 to 1."""
        scaled = (self.no_answer_threshold - null_margin) / self.no_answer_temperature
        return float(1 / (1 + np.exp(np.clip(scaled, -700, 700))))

    def share(self, null_margin: float, log_mass: float) -> float:
        """A span's share, 0 to 1, of the mass of all spans of all windows that were read."""
        return float(np.exp(min(0.0, -null_margin / self.span_temperature - log_mass)))
