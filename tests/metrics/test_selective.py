import math
import time
from collections.abc import Callable
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError
from polyspan.metrics.arrays import Floats
from polyspan.metrics.bootstrap import Estimate
from polyspan.metrics.selective import (
    Binning,
    aurc,
    brier_score,
    compare_probabilities,
    coverage_at,
    expected_calibration_error,
    reliability,
    risk_coverage,
    selective_scores,
)

Figure = Callable[[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike | None], float]

FIGURES: list[Figure] = [
    lambda probability, right, weights: aurc(risk_coverage(probability, right, weights)),
    lambda probability, right, weights: coverage_at(risk_coverage(probability, right, weights), 0.8),
    brier_score,
    expected_calibration_error,
    lambda probability, right, weights: expected_calibration_error(probability, right, weights, 10, "width"),
]

# Few values, so that there are ties; exact in binary, so that what is equal on paper is equal here.
questions = st.lists(st.tuples(st.integers(0, 16).map(lambda value: value / 16), st.booleans()), min_size=1)
weighted = st.lists(
    st.tuples(st.integers(0, 16).map(lambda value: value / 16), st.booleans(), st.integers(0, 3)), min_size=1
).filter(lambda rows: any(weight for *_, weight in rows))


def area(probability: npt.ArrayLike, right: npt.ArrayLike) -> float:
    return aurc(risk_coverage(probability, right))


def simulated(size: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    generator = np.random.default_rng(0)
    probability = generator.beta(2, 1, size)
    return probability, generator.random(size) < probability


def test_selective_curve_by_hand() -> None:
    # Ranked: 0.9 right, 0.8 wrong, 0.8 right, 0.1 wrong; the two at 0.8 come together.
    curve = risk_coverage([0.8, 0.9, 0.1, 0.8], [False, True, False, True])
    assert curve.threshold.tolist() == [0.9, 0.8, 0.1]
    assert curve.coverage.tolist() == [0.25, 0.75, 1.0]
    assert curve.risk.tolist() == [0.0, 1 / 3, 0.5]
    assert aurc(curve) == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)
    assert [coverage_at(curve, accuracy) for accuracy in (1.0, 0.7, 0.6, 0.5, 0.0)] == [0.25, 0.25, 0.75, 1.0, 1.0]


def test_selective_curve_by_hand_with_weights() -> None:
    curve = risk_coverage([0.9, 0.6, 0.3], [True, False, True], [2.0, 1.0, 5.0])
    assert curve.coverage.tolist() == [0.25, 0.375, 1.0]
    assert curve.risk.tolist() == [0.0, 1 / 3, 1 / 8]
    assert aurc(curve) == pytest.approx((2 * 0 + 1 / 3 + 5 / 8) / 8)


def test_selective_coverage_takes_the_last_point_that_is_good_enough() -> None:
    right = [True, False, True, True, True, False]  # accuracies 1, 1/2, 2/3, 3/4, 4/5, 4/6
    curve = risk_coverage(np.linspace(1, 0, 6), right)
    assert coverage_at(curve, 0.8) == pytest.approx(5 / 6)
    assert coverage_at(curve, 0.81) == pytest.approx(1 / 6)
    assert coverage_at(risk_coverage([0.9, 0.1], [False, True]), 0.8) == 0


@pytest.mark.parametrize("size", [20, 60, 1000])
@pytest.mark.parametrize("accuracy", [0.8, 0.9, 0.95])
def test_selective_coverage_counts_an_accuracy_that_is_just_reached(size: int, accuracy: float) -> None:
    right = np.arange(size) < round(accuracy * size)
    assert coverage_at(risk_coverage(np.full(size, 0.5), right), accuracy) == 1


@pytest.mark.parametrize("accuracy", [-0.1, 80, math.nan])
def test_selective_coverage_refuses_what_is_no_share(accuracy: float) -> None:
    with pytest.raises(InputError, match="accuracy: expected a share from 0 to 1"):
        coverage_at(risk_coverage([0.5], [True]), accuracy)


@given(questions)
def test_selective_aurc_is_least_for_a_perfect_ranking(rows: list[tuple[float, bool]]) -> None:
    probability, right = zip(*rows, strict=True)
    perfect = np.linspace(1, 0, len(rows))
    least = area(perfect, sorted(right, reverse=True))
    wrong, size = right.count(False), len(rows)
    assert least == pytest.approx(sum(rank / (size - wrong + rank) for rank in range(1, wrong + 1)) / size)
    assert least - 1e-12 <= area(probability, right) <= area(perfect, sorted(right)) + 1e-12


@given(questions)
def test_selective_aurc_sees_only_the_order(rows: list[tuple[float, bool]]) -> None:
    probability, right = zip(*rows, strict=True)
    expected = area(probability, right)
    for transformed in (np.square(probability), np.sqrt(probability), np.asarray(probability) / 3 + 0.5):
        assert area(transformed, right) == expected


@given(st.lists(st.booleans(), min_size=1), st.floats(0, 1))
def test_selective_aurc_of_a_constant_is_the_error_rate(right: list[bool], constant: float) -> None:
    assert area([constant] * len(right), right) == pytest.approx(right.count(False) / len(right))


def test_selective_brier_by_hand() -> None:
    assert brier_score([1.0, 0.5, 0.25], [True, True, False]) == pytest.approx((0 + 0.25 + 0.0625) / 3)
    assert brier_score([1.0, 0.5, 0.25], [True, True, False], [1, 0, 3]) == pytest.approx(3 * 0.0625 / 4)


def test_selective_ece_by_hand() -> None:
    probability, right = [0.1, 0.2, 0.6, 0.7], [False, True, False, True]
    equal_mass = abs(0.3 - 1) / 4 + abs(1.3 - 1) / 4  # bins 0.1 and 0.2, 0.6 and 0.7
    assert expected_calibration_error(probability, right, bins=2) == pytest.approx(equal_mass)
    # Of weights 1, 1, 1, 3 the middles of 0.1, 0.2 and 0.6 lie in the lower half.
    assert expected_calibration_error(probability, right, [1, 1, 1, 3], 2) == pytest.approx(
        abs(0.9 - 1) / 6 + abs(2.1 - 3) / 6
    )
    thirds = abs(0.3 - 1) / 4 + abs(0.6 - 0) / 4 + abs(0.7 - 1) / 4  # 0 to 1/3, to 2/3, to 1
    assert expected_calibration_error(probability, right, None, 3, "width") == pytest.approx(thirds)


def test_selective_reliability_by_hand_leaves_out_empty_bins() -> None:
    table = reliability([1.0, 0.9, 0.25, 0.2, 0.0], [True, False, True, False, False], [1, 3, 1, 1, 2], 4, "width")
    assert table.probability.tolist() == pytest.approx([0.2 / 3, 0.25, 3.7 / 4])
    assert table.accuracy.tolist() == pytest.approx([0, 1, 1 / 4])
    assert table.mass.tolist() == pytest.approx([3 / 8, 1 / 8, 4 / 8])


def test_selective_bins_of_equal_mass_hold_as_much_each_and_never_part_ties() -> None:
    probability, right = simulated(1500)
    assert reliability(probability, right).mass.tolist() == pytest.approx([1 / 15] * 15)
    # The group at 0.5 has its middle at 0.5 of the mass, in the third bin of five; the second and fourth are empty.
    tied = np.concatenate([np.linspace(0, 0.4, 20), np.full(60, 0.5), np.linspace(0.6, 1, 20)])
    table = reliability(tied, np.arange(100) % 2, bins=5)
    assert table.mass.tolist() == pytest.approx([0.2, 0.6, 0.2])
    assert table.probability.tolist() == pytest.approx([0.2, 0.5, 0.8])


@given(weighted, st.integers(1, 20), st.sampled_from(["mass", "width"]))
def test_selective_ece_is_the_sum_of_the_reliability_table(
    rows: list[tuple[float, bool, int]], bins: int, binning: Binning
) -> None:
    probability, right, weights = (np.array(column) for column in zip(*rows, strict=True))
    table = reliability(probability, right, weights, bins, binning)
    error = expected_calibration_error(probability, right, weights, bins, binning)
    assert error == pytest.approx(table.mass @ np.abs(table.probability - table.accuracy))
    assert table.mass.sum() == pytest.approx(1)
    assert table.mass @ table.accuracy == pytest.approx(weights @ right / weights.sum())
    assert (np.diff(table.probability) > 0).all()


@given(st.lists(st.booleans(), min_size=1), st.sampled_from(["mass", "width"]))
def test_selective_ece_of_the_base_rate_is_nothing(right: list[bool], binning: Binning) -> None:
    constant = [right.count(True) / len(right)] * len(right)
    assert expected_calibration_error(constant, right, None, 15, binning) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("figure", FIGURES)
@given(questions)
def test_selective_weights_of_one_are_none(figure: Figure, rows: list[tuple[float, bool]]) -> None:
    probability, right = zip(*rows, strict=True)
    assert figure(probability, right, [1.0] * len(rows)) == figure(probability, right, None)


@pytest.mark.parametrize("figure", FIGURES)
@given(weighted)
def test_selective_a_weight_is_so_many_questions(figure: Figure, rows: list[tuple[float, bool, int]]) -> None:
    probability, right, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = figure(probability.repeat(weights), right.repeat(weights), None)
    assert figure(probability, right, weights) == pytest.approx(repeated)
    assert figure(probability, right, 4 * weights) == pytest.approx(repeated)


@pytest.mark.parametrize("figure", FIGURES)
@given(weighted, st.randoms())
def test_selective_the_order_of_questions_does_not_matter(
    figure: Figure, rows: list[tuple[float, bool, int]], random: Random
) -> None:
    expected = figure(*zip(*rows, strict=True))
    random.shuffle(rows)
    assert figure(*zip(*rows, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("figure", FIGURES)
@given(weighted)
def test_selective_figures_are_shares(figure: Figure, rows: list[tuple[float, bool, int]]) -> None:
    assert 0 <= figure(*zip(*rows, strict=True)) <= 1 + 1e-12


def test_selective_scores_are_the_plain_figures_within_their_intervals() -> None:
    probability, right = simulated(2000)
    weights = np.where(right, 1.0, 2.0)
    scores = selective_scores(probability, right, weights, resamples=200)
    assert list(scores) == ["aurc", "ece", "brier"]
    assert scores["aurc"].value == pytest.approx(aurc(risk_coverage(probability, right, weights)))
    assert scores["ece"].value == pytest.approx(expected_calibration_error(probability, right, weights))
    assert scores["brier"].value == pytest.approx(brier_score(probability, right, weights))
    for estimate in scores.values():
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    assert scores == selective_scores(probability, right, weights, resamples=200)
    assert scores != selective_scores(probability, right, weights, resamples=200, seed=1)


def test_selective_intervals_of_a_mean_are_as_wide_as_theory_says() -> None:
    probability, right = simulated(4000)
    squares = (probability - right) ** 2
    half = 1.96 * squares.std() / math.sqrt(squares.size)
    estimate = selective_scores(probability, right, resamples=2000)["brier"]
    assert estimate.low == pytest.approx(squares.mean() - half, abs=half / 10)
    assert estimate.high == pytest.approx(squares.mean() + half, abs=half / 10)


def test_selective_interval_of_the_ece_is_rid_of_its_bias() -> None:
    # True by construction: within a bin, accuracy is 0.06 below the probability, so the ECE is 0.06.
    generator = np.random.default_rng(5)
    hits, above = 0, 0.0
    for seed in range(60):
        probability = generator.uniform(0.1, 1.0, 300)
        right = generator.random(300) < probability - 0.06
        ece = selective_scores(probability, right, resamples=200, seed=seed)["ece"]
        hits += ece.low <= 0.06 <= ece.high
        above += (ece.value - 0.06) / 60
    assert above > 0.02
    assert hits >= 48


def test_selective_scores_do_not_see_questions_that_weigh_nothing() -> None:
    probability, right = simulated(100)
    padded = selective_scores([*probability, *[0.5] * 900], [*right, *[False] * 900], [1.0] * 100 + [0.0] * 900)
    assert padded == selective_scores(probability, right)
    assert selective_scores([1.0, 0.5], [True, False], [1.0, 0.0])["aurc"] == Estimate(0, 0, 0)


def test_selective_comparison_finds_the_better_probability() -> None:
    probability, right = simulated(3000)
    worse = np.clip(probability + np.random.default_rng(1).normal(0, 0.3, 3000), 0, 1)
    differences = compare_probabilities(probability, worse, right, resamples=200)
    for key, estimate in differences.items():
        assert estimate.low <= estimate.value <= estimate.high < 0, key
        one, other = (selective_scores(claims, right, resamples=1)[key].value for claims in (probability, worse))
        assert estimate.value == pytest.approx(one - other)


def test_selective_comparison_turns_round_with_its_arguments() -> None:
    probability, right = simulated(300)
    worse = probability**3
    there = compare_probabilities(probability, worse, right, resamples=100)
    back = compare_probabilities(worse, probability, right, resamples=100)
    for key, estimate in there.items():
        assert (-estimate.value, -estimate.high, -estimate.low) == pytest.approx(
            (back[key].value, back[key].low, back[key].high)
        )
    assert set(compare_probabilities(worse, worse, right).values()) == {Estimate(0, 0, 0)}


def test_selective_pairing_narrows_the_interval() -> None:
    probability, right = simulated(1000)
    nearly = np.clip(probability + 0.01, 0, 1)
    difference = compare_probabilities(probability, nearly, right, resamples=200)["brier"]
    alone = selective_scores(probability, right, resamples=200)["brier"]
    assert difference.high - difference.low < 0.1 * (alone.high - alone.low)


def test_selective_intervals_of_a_dev_set_take_seconds() -> None:
    probability, right = simulated(12_000)
    start = time.process_time()
    selective_scores(probability, right)
    assert time.process_time() - start < 20  # about 1 on an idle core


@pytest.mark.parametrize("figure", FIGURES)
def test_selective_figures_refuse_bad_lists_by_name_and_place(figure: Figure) -> None:
    with pytest.raises(InputError, match=r"probability\[1\]: expected a number from 0 to 1, got nan"):
        figure([0.5, math.nan], [True, False], None)
    with pytest.raises(InputError, match=r"probability\[0\]: expected a number from 0 to 1, got 1.5"):
        figure([1.5], [True], None)
    with pytest.raises(InputError, match="probability: expected a non-empty list"):
        figure([], [], None)
    with pytest.raises(InputError, match=r"right\[0\]: expected true or false, got 2"):
        figure([0.5], [2], None)
    with pytest.raises(InputError, match="right: expected 1 values, one for each of probability, got 2"):
        figure([0.5], [True, False], None)
    with pytest.raises(InputError, match=r"weights\[0\]: expected a number from 0 to inf, got -1"):
        figure([0.5], [True], [-1])
    with pytest.raises(InputError, match="weights: expected 1 values"):
        figure([0.5], [True], [1, 1])


def test_selective_comparison_names_the_probability_that_is_bad() -> None:
    with pytest.raises(InputError, match=r"probability_a\[0\]: expected a number from 0 to 1, got -1"):
        compare_probabilities([-1], [0], [True])
    with pytest.raises(InputError, match="right: expected 2 values, one for each of probability_b, got 1"):
        compare_probabilities([0.5], [0.5, 0.5], [True])


def test_selective_bins_refuse_senseless_options() -> None:
    with pytest.raises(InputError, match="bins: expected at least 1, got 0"):
        expected_calibration_error([0.5], [True], bins=0)
    with pytest.raises(InputError, match="binning: expected 'mass' or 'width', got 'size'"):
        reliability([0.5], [True], binning="size")  # type: ignore[arg-type] # what it refuses
