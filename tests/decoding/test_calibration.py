import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import Calibration
from polyspan.errors import ModelError

finite = st.floats(allow_nan=False, allow_infinity=False)
temperatures = st.floats(min_value=1e-6, max_value=1e6)
calibrations = st.builds(Calibration, finite, temperatures, temperatures)
infinity = math.inf


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
