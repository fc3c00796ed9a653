import tracemalloc

import numpy as np
import pytest

from polyspan.errors import InputError
from polyspan.metrics.bootstrap import bootstrap_interval


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(50, 10, 2000)
    low, high = bootstrap_interval(values, resamples=4000)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=half / 10)
    assert high == pytest.approx(values.mean() + half, abs=half / 10)


def test_bootstrap_repeats_itself_and_depends_on_the_seed() -> None:
    values = np.arange(100)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_bootstrap_of_a_constant_has_no_width() -> None:
    assert bootstrap_interval([3.0] * 10) == (3.0, 3.0)
    assert bootstrap_interval([3.0]) == (3.0, 3.0)


def test_bootstrap_widens_with_the_level() -> None:
    values = np.arange(100)
    narrow, wide = bootstrap_interval(values, level=0.5), bootstrap_interval(values, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_bootstrap_memory_stays_bounded() -> None:
    values = np.arange(100_000)
    tracemalloc.start()
    try:
        bootstrap_interval(values, resamples=100)  # 120 MB if drawn at once
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.parametrize("values", [[], [[1.0]], 1.0])
def test_bootstrap_refuses_values_that_are_no_list(values: object) -> None:
    with pytest.raises(InputError, match="non-empty list"):
        bootstrap_interval(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("resamples", "level"), [(0, 0.95), (10, 0.0), (10, 1.0)])
def test_bootstrap_refuses_senseless_options(resamples: int, level: float) -> None:
    with pytest.raises(InputError, match="at least 1 resample"):
        bootstrap_interval([1.0], resamples=resamples, level=level)
