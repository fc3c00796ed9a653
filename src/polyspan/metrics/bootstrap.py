"""How sure a mean is."""

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError

_CHUNK = 1 << 21  # values drawn at a time, so that memory does not grow with the resamples


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
    if resamples < 1 or not 0 < level < 1:
        raise InputError(
            f"bootstrap: expected at least 1 resample and a level between 0 and 1, got {resamples} and {level}"
        )
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _CHUNK // sample.size)
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), sample.size)
        drawn = generator.integers(sample.size, size=shape, dtype=np.int32)
        means[start : start + rows] = sample[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
