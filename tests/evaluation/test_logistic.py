import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import FEATURES
from polyspan.errors import InputError
from polyspan.evaluation.logistic import fit_logistic

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MARGIN, GAP, SHARE = FEATURES[:3]


def drawn(size: int, bias: float, *weights: float, seed: int = 0) -> tuple[dict[str, Floats], Flags]:
    """Features of different scales, and outcomes of which the logistic law with these weights holds."""
    generator = np.random.default_rng(seed)
    columns = {name: generator.normal(3, 2 + number, size) for number, name in enumerate(FEATURES[: len(weights)])}
    logits = bias + sum(weight * column for weight, column in zip(weights, columns.values(), strict=True))
    return columns, generator.random(size) < 1 / (1 + np.exp(-logits))


def test_logistic_finds_the_law_behind_the_data() -> None:
    columns, labels = drawn(50_000, -1.0, 0.8, -0.5, 0.0)
    found = fit_logistic(columns, labels, np.ones(labels.size))
    assert found.bias == pytest.approx(-1.0, abs=0.08)
    assert [found.terms[name].weight for name in columns] == pytest.approx([0.8, -0.5, 0.0], abs=0.03)
    assert (found.terms[MARGIN].low, found.terms[MARGIN].high) == (columns[MARGIN].min(), columns[MARGIN].max())


def test_logistic_is_where_the_slope_vanishes() -> None:
    columns, labels = drawn(300, 0.5, 0.8, -0.5)
    weights = np.random.default_rng(1).uniform(0, 2, labels.size)
    found = fit_logistic(columns, labels, weights)
    errors = weights * (found.probability(columns) - labels)
    assert errors.sum() == pytest.approx(0, abs=1e-6)
    for name, column in columns.items():
        mean = weights @ column / weights.sum()
        scale = math.sqrt(weights @ (column - mean) ** 2 / weights.sum())
        assert errors @ (column - mean) / scale == pytest.approx(-found.terms[name].weight * scale, abs=1e-6)


def test_logistic_weights_count_questions() -> None:
    columns, labels = drawn(400, 0.0, 1.0)
    once = fit_logistic(columns, labels, np.ones(400))
    doubled = fit_logistic({MARGIN: np.repeat(columns[MARGIN], 2)}, np.repeat(labels, 2), np.full(800, 0.5))
    assert doubled.probability(columns) == pytest.approx(once.probability(columns))
    without = fit_logistic({MARGIN: columns[MARGIN][:300]}, labels[:300], np.ones(300))
    weightless = fit_logistic(columns, labels, (np.arange(400) < 300).astype(np.float64))
    assert weightless.probability(columns) == pytest.approx(without.probability(columns))


@given(bias=st.floats(-3, 3), weight=st.floats(-3, 3), seed=st.integers(0, 9))
def test_logistic_keeps_the_sign_it_was_given(bias: float, weight: float, seed: int) -> None:
    columns, labels = drawn(60, bias, weight, 0.3, seed=seed)
    labels[:2] = [True, False]
    for sign in (1, -1):
        found = fit_logistic(columns, labels, np.ones(60), {MARGIN: sign})
        free = fit_logistic(columns, labels, np.ones(60))
        if sign * free.terms[MARGIN].weight < 0:
            assert found == fit_logistic({GAP: columns[GAP]}, labels, np.ones(60))
        else:
            assert found == free


def test_logistic_bears_data_that_it_can_part_and_features_that_say_nothing() -> None:
    labels = np.arange(100) < 50
    columns = {MARGIN: np.where(labels, -1e6, 1e6), GAP: np.full(100, 20.0), SHARE: np.where(labels, 0.0, 1e-4)}
    found = fit_logistic(columns, labels, np.ones(100))
    assert GAP not in found.terms
    assert abs(found.terms[SHARE].weight) < 1
    assert (found.probability(columns) > 0.5).tolist() == labels.tolist()


@pytest.mark.parametrize("weights", [np.ones(10), np.array([1.0] * 5 + [0.0] * 5)])
def test_logistic_refuses_a_single_outcome(weights: Floats) -> None:
    labels = np.arange(10) < (5 if weights.min() == 0 else 10)
    with pytest.raises(InputError, match="both outcomes"):
        fit_logistic({MARGIN: np.arange(10.0)}, labels, weights)
