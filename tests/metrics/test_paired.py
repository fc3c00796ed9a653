import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError
from polyspan.metrics.bootstrap import bootstrap_interval
from polyspan.metrics.paired import Changed, McNemar, PairedDifference, changed, mcnemar, paired_difference

pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


def outcomes(only_a: int, only_b: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """So many questions of each kind, and three that both or neither answers."""
    a = np.repeat([True, False, True, False], [only_a, only_b, 2, 1])
    return a, np.repeat([False, True, True, False], [only_a, only_b, 2, 1])


def test_paired_interval_is_that_of_the_differences() -> None:
    a, b = np.random.default_rng(0).random((2, 100))
    result = paired_difference(a, b, resamples=300, seed=3, level=0.9)
    assert result.difference == pytest.approx(a.mean() - b.mean())
    assert (result.low, result.high) == bootstrap_interval(a - b, resamples=300, seed=3, level=0.9)


def test_paired_p_value_by_hand() -> None:
    # Of the 8 ways to toss, all A and all B differ by 3: p is a quarter. Equal scores add nothing.
    result = paired_difference([1, 1, 1, 0.5, 0], [0, 0, 0, 0.5, 0])
    assert result.difference == pytest.approx(0.6)
    assert result.p_value == pytest.approx(1 / 4, abs=0.02)
    # 0.1 + 0.2 against 0.3 is a tie, whatever the sum's rounding says: 2 and 2 of 8 are as far as 0.6 apart.
    assert paired_difference([0.1, 0.2, 0.3], [0, 0, 0]).p_value == pytest.approx(1 / 4, abs=0.02)
    assert paired_difference([0.1, 0.2, 0], [0, 0, 0.3]).p_value == 1


@pytest.mark.parametrize("only_b", [4, 10, 16, 20])
def test_paired_p_value_agrees_with_the_exact_test_on_exact_match(only_b: int) -> None:
    a, b = outcomes(10, only_b)
    assert paired_difference(a, b).p_value == pytest.approx(mcnemar(a, b).p_value, abs=0.02)


@given(pairs)
def test_paired_systems_may_change_places(rows: list[tuple[float, float]]) -> None:
    a, b = zip(*rows, strict=True)
    there, back = (paired_difference(*both, resamples=50, trials=100) for both in ((a, b), (b, a)))
    assert there.p_value == back.p_value
    assert 0 < there.p_value <= 1
    assert there.difference == -back.difference
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@given(pairs)
def test_paired_identical_systems_do_not_differ(rows: list[tuple[float, float]]) -> None:
    scores = [score for score, _ in rows]
    assert paired_difference(scores, scores, resamples=10, trials=10) == PairedDifference(0, 0, 0, 1)


@given(pairs)
def test_paired_p_value_does_not_see_the_unit(rows: list[tuple[float, float]]) -> None:
    a, b = np.array(rows).T
    assert paired_difference(a, b, 1, 100).p_value == paired_difference(64 * a, 64 * b, 1, 100).p_value


def test_paired_p_value_is_uniform_without_a_difference() -> None:
    generator = np.random.default_rng(0)
    scores = generator.random((400, 2, 40))
    values = [paired_difference(a, b, 1, 200, seed).p_value for seed, (a, b) in enumerate(scores)]
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


def test_paired_comparison_repeats_itself_and_depends_on_the_seed() -> None:
    a, b = np.random.default_rng(0).random((2, 50))
    assert paired_difference(a, b) == paired_difference(a, b)
    assert paired_difference(a, b).p_value != paired_difference(a, b, seed=1).p_value


@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"),
    [(0, 0, 1), (1, 0, 1), (5, 5, 1), (0, 5, 2 / 32), (1, 5, 2 * (1 + 6) / 64), (8, 2, 2 * (1 + 10 + 45) / 1024)],
)
def test_paired_mcnemar_by_hand(only_a: int, only_b: int, p_value: float) -> None:
    assert mcnemar(*outcomes(only_a, only_b)) == McNemar(only_a, only_b, p_value)


@given(st.integers(0, 60), st.integers(0, 60))
def test_paired_mcnemar_is_symmetric_and_twice_the_binomial_tail(only_a: int, only_b: int) -> None:
    p_value = mcnemar(*outcomes(only_a, only_b)).p_value
    assert p_value == mcnemar(*outcomes(only_b, only_a)).p_value
    count = only_a + only_b
    tail = sum(math.comb(count, chosen) for chosen in range(min(only_a, only_b) + 1)) / 2**count
    assert p_value == pytest.approx(min(1, 2 * tail))


def test_paired_mcnemar_of_many_questions_is_near_the_normal_one() -> None:
    only_a, only_b = 5200, 5000
    z = (only_a - only_b - 1) / math.sqrt(only_a + only_b)
    assert mcnemar(*outcomes(only_a, only_b)).p_value == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-3)
    assert mcnemar(*outcomes(3000, 0)).p_value == 0  # 2 to the power of -2999


def test_paired_changed_names_the_questions_in_their_order() -> None:
    ids = ["e", "d", "c", "b", "a"]
    assert changed(ids, [1, 0, 1, 0, 1], [0, 1, 1, 0, 0]) == Changed(("e", "a"), ("d",))
    assert changed(ids, [1, 0, 1, 0, 1], [1, 0, 1, 0, 1]) == Changed((), ())


def test_paired_lists_are_refused_by_name_and_place() -> None:
    with pytest.raises(InputError, match=r"scores_b\[1\]: expected a number from 0 to 100, got nan"):
        paired_difference([0.5, 0.5], [0.5, math.nan])
    with pytest.raises(InputError, match="scores_b: expected 2 values, one for each of scores_a, got 1"):
        paired_difference([0.5, 0.5], [0.5])
    with pytest.raises(InputError, match="scores_a: expected a non-empty list"):
        paired_difference([], [])
    with pytest.raises(InputError, match="trials: expected at least 1, got 0"):
        paired_difference([0.5], [0.5], trials=0)
    with pytest.raises(InputError, match=r"right_a\[0\]: expected true or false, got 0.5"):
        mcnemar([0.5], [1])
    with pytest.raises(InputError, match="right_b: expected 1 values, one for each of right_a, got 2"):
        mcnemar([True], [True, False])
    with pytest.raises(InputError, match="ids: expected 2 values, one for each of right_a, got 1"):
        changed(["1"], [True, True], [True, True])
