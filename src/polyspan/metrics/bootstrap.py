"""How sure a figure is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.metrics.arrays import Floats

_CHUNK = 1 << 18  # values drawn at a time, so that memory does not grow with the resamples


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: npt.ArrayLike, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of ``values`` [n] (Efron, 1979), in their own unit.

    Draws ``resamples`` samples of n values with replacement; the same ``seed`` and n draw the same ones.
    ``level`` lies between 0 and 1. Raises InputError where there is nothing to draw.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size:
        raise InputError(f"bootstrap: expected a non-empty list of numbers, got shape {sample.shape}")
    _check_options(resamples, level)
    means = np.concatenate([sample[drawn].mean(axis=1) for drawn in _draws(sample.size, resamples, seed)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_estimates(
    statistic: Callable[[Floats], Floats], size: int, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> list[Estimate]:
    """Figures of ``size`` values with their basic bootstrap intervals (Davison and Hinkley, 1997, section 2.4).

    ``statistic`` is given how often each value counts, [samples, size], and returns the figures, [samples, m].
    The basic interval, 2 x figure - quantiles, undoes a bias that resampling repeats: a calibration error is
    always too large in a small sample, still larger in its resamples, and percentiles would miss the truth.
    """
    _check_options(resamples, level)
    (values,) = statistic(np.ones((1, size)))
    drawn = np.concatenate([statistic(_counts(rows)) for rows in _draws(size, resamples, seed)])
    upper, lower = np.quantile(drawn, [(1 + level) / 2, (1 - level) / 2], axis=0)
    ends = zip(values, 2 * values - upper, 2 * values - lower, strict=True)
    return [Estimate(float(value), float(low), float(high)) for value, low, high in ends]


def chunks(rows: int, size: int) -> Iterator[int]:
    """How many of ``rows`` rows of ``size`` values to hold at a time."""
    step = max(1, _CHUNK // max(1, size))
    for start in range(0, rows, step):
        yield min(step, rows - start)


def _draws(size: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int32]]:
    generator = np.random.default_rng(seed)
    for rows in chunks(resamples, size):
        yield generator.integers(size, size=(rows, size), dtype=np.int32)


def _counts(drawn: npt.NDArray[np.int32]) -> Floats:
    """How often each value was drawn, [samples, size]."""
    rows, size = drawn.shape
    cells = drawn + size * np.arange(rows)[:, None]
    return np.bincount(cells.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)


def _check_options(resamples: int, level: float) -> None:
    if resamples < 1 or not 0 < level < 1:
        raise InputError(
            f"bootstrap: expected at least 1 resample and a level between 0 and 1, got {resamples} and {level}"
        )
