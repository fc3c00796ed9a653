import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import FEATURES, LogisticMap, Term
from polyspan.errors import InputError
from polyspan.evaluation.logistic import fit_logistic, rescale

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


GENERAL = LogisticMap(0.5, {MARGIN: Term(0.8, -99, 99)})


def test_rescale_finds_how_other_data_differs() -> None:
    columns, labels = drawn(50_000, 0.5 * 0.5 - 1.0, 0.5 * 0.8)
    found = rescale(GENERAL, columns, labels, np.ones(labels.size))
    wanted = GENERAL.rescaled(0.5, -1.0)
    assert found.bias == pytest.approx(wanted.bias, abs=0.05)
    assert found.terms[MARGIN].weight == pytest.approx(wanted.terms[MARGIN].weight, abs=0.02)
    assert (found.terms[MARGIN].low, found.terms[MARGIN].high) == (-99, 99)


def test_rescale_leaves_the_map_to_data_that_says_nothing() -> None:
    columns, labels = drawn(4, 0.5, 0.8)
    assert rescale(GENERAL, columns, labels, np.zeros(4) + 1e-9).probability(columns) == pytest.approx(
        GENERAL.probability(columns)
    )
    # Few questions of one outcome pull at it, but no farther than their number bears out.
    few = rescale(GENERAL, columns, np.ones(4, np.bool_), np.ones(4)).probability(columns)
    many = {name: np.tile(column, 99) for name, column in columns.items()}
    more = rescale(GENERAL, many, np.ones(396, np.bool_), np.ones(396)).probability(columns)
    assert (GENERAL.probability(columns) < few).all()
    assert few.mean() < more.mean() < 1


@given(bias=st.floats(-3, 3), weight=st.floats(-3, 3), seed=st.integers(0, 9))
def test_rescale_never_turns_a_map_around(bias: float, weight: float, seed: int) -> None:
    columns, labels = drawn(60, bias, weight, seed=seed)
    found = rescale(GENERAL, columns, labels, np.ones(60))
    assert found.terms[MARGIN].weight >= 0
    if found.terms[MARGIN].weight == 0:
        assert found.probability(columns).mean() == pytest.approx(labels.mean(), abs=0.05)
