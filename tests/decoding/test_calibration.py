import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import FEATURES, Calibration, Confidence, LogisticMap, Term
from polyspan.errors import ModelError

finite = st.floats(allow_nan=False, allow_infinity=False)
temperatures = st.floats(min_value=1e-6, max_value=1e6)
calibrations = st.builds(Calibration, finite, temperatures, temperatures)
infinity = math.inf

AT = dict.fromkeys(FEATURES, 1.0)
FITTED = Confidence(
    unanswerable=LogisticMap(-2.0, {"null_margin": Term(0.5, -10, 10)}),
    exact=LogisticMap(1.0, {"null_margin": Term(-0.1, -10, 10), "runner_up_gap": Term(0.2, 0, 20)}),
)
confidences = st.builds(Confidence, *[st.builds(LogisticMap, st.floats(-40, 40), st.just({}))] * 2)


@given(calibration=calibrations)
def test_calibration_is_undecided_at_the_threshold(calibration: Calibration) -> None:
    assert calibration.no_answer_probability(calibration.no_answer_threshold) == 0.5


@given(calibration=calibrations, margins=st.lists(finite | st.just(infinity) | st.just(-infinity), min_size=2))
def test_calibration_probability_grows_with_the_margin(calibration: Calibration, margins: list[float]) -> None:
    with np.errstate(all="raise"):
        probabilities = [calibration.no_answer_probability(margin) for margin in sorted(margins)]
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert probabilities == sorted(probabilities)


def test_calibration_probability_at_both_ends_and_between() -> None:
    calibration = Calibration(no_answer_threshold=1.0, no_answer_temperature=2.0)
    assert calibration.no_answer_probability(infinity) == 1
    assert calibration.no_answer_probability(-infinity) < 1e-300
    assert calibration.no_answer_probability(3.0) == pytest.approx(1 / (1 + math.exp(-1)))


@given(calibration=calibrations, margin=finite, log_mass=finite)
def test_calibration_share_is_a_share(calibration: Calibration, margin: float, log_mass: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert 0 <= calibration.share(margin, log_mass) <= 1


def test_calibration_share_of_a_third() -> None:
    calibration = Calibration(span_temperature=2.0)
    assert calibration.share(-4.0, math.log(3 * math.exp(2.0))) == pytest.approx(1 / 3)
    assert calibration.share(-4.0, 2.0) == 1


@pytest.mark.parametrize(
    "numbers",
    [
        (math.nan, 1, 1),
        (infinity, 1, 1),
        (0, 0, 1),
        (0, 1, 0),
        (0, -1, 1),
        (0, 1, -2),
        (0, infinity, 1),
        (0, 1, math.nan),
    ],
)
def test_calibration_refuses_what_no_fit_gives(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ModelError, match="finite numbers and temperatures above 0"):
        Calibration(*numbers)


def test_calibration_shares_out_what_no_answer_leaves() -> None:
    calibration = Calibration(span_temperature=2.0)
    log_mass = math.log(2 * math.exp(2.0))
    assert calibration.answer_probabilities([-4.0, -2.0], log_mass, 0.2, AT) == pytest.approx(
        [0.8 / 2, 0.8 / (2 * math.e)]
    )
    assert calibration.no_answer_probability(3.0, AT) == calibration.no_answer_probability(3.0)
    assert calibration.answer_probabilities([], -infinity, 1.0, {}) == []


def test_calibration_gives_the_best_answer_its_fitted_probability() -> None:
    calibration = Calibration(confidence=FITTED)
    assert calibration.no_answer_probability(99.0, {**AT, "null_margin": 4.0}) == 0.5
    assert calibration.no_answer_probability(infinity, {}) == 1
    right = 0.75 / (1 + math.exp(-1.1))
    found = calibration.answer_probabilities([-3.0, -2.0, -1.0], math.log(2 * math.exp(3.0)), 0.25, AT)
    share = [0.5, 0.5 / math.e, 0.5 / math.e**2]
    assert found == pytest.approx([right, *((0.75 - right) * one / 0.5 for one in share[1:])])


@given(
    calibration=st.builds(Calibration, span_temperature=temperatures, confidence=confidences | st.none()),
    margins=st.lists(st.floats(-40, 40), max_size=5).map(sorted),
    unanswerable=st.floats(0, 1),
)
def test_calibration_probabilities_fall_and_add_up_to_one_at_most(
    calibration: Calibration, margins: list[float], unanswerable: float
) -> None:
    scaled = [-margin / calibration.span_temperature for margin in margins]
    log_mass = float(np.logaddexp.reduce(scaled, initial=-infinity))
    with np.errstate(all="raise", under="ignore"):
        found = calibration.answer_probabilities(margins, log_mass, unanswerable, AT)
    assert found == sorted(found, reverse=True)
    assert all(0 <= probability <= 1 for probability in found)
    assert sum(found) + unanswerable <= 1 + 1e-9


def test_calibration_knows_languages() -> None:
    other = replace(FITTED, exact=FITTED.exact.rescaled(0.5, 1.0))
    calibration = Calibration(1.0, thresholds={"de": -2.0}, confidence=FITTED, confidences={"fr": other})
    assert calibration.languages == {"de", "fr"}
    assert calibration.of(None) == calibration.of("pl") == Calibration(1.0, confidence=FITTED)
    assert calibration.of("de") == Calibration(-2.0, confidence=FITTED)
    assert calibration.of("fr") == Calibration(1.0, confidence=other)


@pytest.mark.parametrize("fitted", [None, FITTED])
@pytest.mark.parametrize("thresholds", [{}, {"de": -2.0}])
def test_calibration_comes_back_from_json(fitted: Confidence | None, thresholds: dict[str, float]) -> None:
    own = dict.fromkeys(thresholds, FITTED)
    calibration = Calibration(1.0, thresholds=thresholds, confidence=fitted, confidences=own)
    content = json.loads(json.dumps(calibration.to_json()))
    assert Calibration.from_json(content) == calibration
    assert {"thresholds", "confidences"} & {*content} == ({"thresholds", "confidences"} if thresholds else set())
    assert ("confidence" in content) == (fitted is not None)


@pytest.mark.parametrize("threshold", [math.nan, infinity])
def test_calibration_refuses_a_language_without_a_number(threshold: float) -> None:
    with pytest.raises(ModelError, match="finite numbers"):
        Calibration(thresholds={"de": threshold})
