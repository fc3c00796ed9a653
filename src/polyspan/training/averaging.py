"""An average of a run's weights, which is what is saved and measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class WeightAverage:
    """The exponential moving average of the weights that learn.

    Update t (from 1) keeps min(decay, (t - 1) / (t + 1)) of the average. So until the decay is reached, weights count
    in proportion to the number of their update (polynomial-decay averaging, Shamir and Zhang 2013, with eta 1), and
    what is averaged grows with the run; the usual beginning of min(decay, (1 + t) / (10 + t)) averages a tenth of it. A
    ``decay`` of 0 is no average: the last weights.
    """

    def __init__(self, model: Any, decay: float) -> None:
        self._decay = decay
        learning = {name: one for name, one in model.named_parameters() if one.requires_grad} if decay else {}
        self._learning: dict[str, torch.nn.Parameter] = learning
        self.weights = {name: one.detach().clone() for name, one in learning.items()}

    @torch.no_grad()
    def update(self, number: int) -> None:
        """Take in the weights after update ``number``, counted from 1."""
        keeping = min(self._decay, (number - 1) / (number + 1))
        for name, average in self.weights.items():
            average.lerp_(self._learning[name], 1 - keeping)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model for a while."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, average in self.weights.items():
            parameter = self._learning[name]
            parameter.data, self.weights[name] = average, parameter.data
