import tracemalloc

import numpy as np
import pytest

from polyspan.errors import InputError
from polyspan.metrics.arrays import Floats
from polyspan.metrics.bootstrap import Estimate, bootstrap_estimates, bootstrap_interval


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


def test_bootstrap_estimates_are_those_of_the_mean_turned_round() -> None:
    values = np.random.default_rng(1).exponential(10, 200)

    def means(counts: Floats) -> Floats:
        result: Floats = (counts @ values)[:, None] / values.size
        return result

    (estimate,) = bootstrap_estimates(means, values.size)
    low, high = bootstrap_interval(values)  # of the same draws
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(2 * values.mean() - high)
    assert estimate.high == pytest.approx(2 * values.mean() - low)


def test_bootstrap_estimates_see_each_value_drawn_as_often_as_counted() -> None:
    seen = []

    def sizes(counts: Floats) -> Floats:
        seen.append(counts)
        drawn: Floats = counts.sum(axis=1, keepdims=True)
        return drawn

    assert bootstrap_estimates(sizes, 3000, resamples=200) == [Estimate(3000, 3000, 3000)]
    plain, *chunks = seen
    assert (plain == 1).all()
    assert len(chunks) > 1
    counts = np.concatenate(chunks)
    assert counts.shape == (200, 3000)
    assert set(np.unique(counts)) <= set(range(12))
    assert counts.mean(axis=0).std() == pytest.approx(1 / np.sqrt(200), rel=0.1)


def test_bootstrap_estimates_refuse_senseless_options() -> None:
    with pytest.raises(InputError, match="at least 1 resample"):
        bootstrap_estimates(lambda counts: counts, 1, resamples=0)
