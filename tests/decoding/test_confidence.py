import math
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import FEATURES, Candidate, Confidence, Decoded, LogisticMap, Term, answer_features
from polyspan.errors import ModelError
from polyspan.types import Span

TEXTS = ["Oslo, then OSLO and Rome", "in oslo", "Paris"]
values = st.floats(-50, 50)
feature_values = st.fixed_dictionaries(dict.fromkeys(FEATURES, values))


@st.composite
def maps(draw: st.DrawFn, sign: int) -> LogisticMap:
    """Maps that were fitted with a sign for the null margin's weight."""
    terms = {}
    for name in draw(st.sets(st.sampled_from(FEATURES))):
        weight, (low, high) = draw(values), sorted(draw(st.tuples(values, values)))
        terms[name] = Term(sign * abs(weight) if name == "null_margin" else weight, low, high)
    return LogisticMap(draw(values), terms)


def candidate(context: int, start: int, end: int, null_margin: float) -> Candidate:
    return Candidate(context, Span(start, end), -null_margin, null_margin)


def features(best: Candidate, *decoded: Decoded) -> dict[str, float]:
    return answer_features(best, decoded, -0.5, 0.01, lambda one: TEXTS[one.context][one.span.start : one.span.end])


def test_confidence_features_of_one_window() -> None:
    best, overlapping, next_best = candidate(0, 0, 4, -6), candidate(0, 2, 9, -5), candidate(0, 20, 24, -2)
    found = features(best, Decoded((best, next_best), 6.2))
    assert found == {
        "null_margin": -6,
        "runner_up_gap": 4,
        "log_share": -0.5,
        "log_length": math.log(4),
        "log_windows": 0,
        "agreement": 1,
    }
    assert tuple(found) == FEATURES
    assert features(best, Decoded((best, overlapping), 6.2))["runner_up_gap"] == 20
    assert features(best, Decoded((best,), 6.2))["runner_up_gap"] == 20
    assert features(best, Decoded((best, candidate(0, 20, 24, 99)), 6.2))["runner_up_gap"] == 20


def test_confidence_agreement_weighs_the_windows_by_mass() -> None:
    best = candidate(0, 0, 4, -6)
    own, same, other = Decoded((best,), 6), Decoded((candidate(1, 3, 7, -5),), 5), Decoded((candidate(2, 0, 5, -5),), 5)
    assert features(best, own, same)["agreement"] == pytest.approx(1)
    assert features(best, own, same)["runner_up_gap"] == 1
    third = math.exp(5) / (math.exp(6) + 2 * math.exp(5))
    found = features(best, own, same, other, Decoded((), -math.inf))
    assert found["agreement"] == pytest.approx(1 - third)
    assert found["log_windows"] == math.log(4)
    assert features(best, Decoded((best,), -math.inf))["agreement"] == 1


@given(mass=st.floats(-60, -20), margin=st.floats(10, 40))
def test_confidence_hardly_sees_a_window_without_an_answer(mass: float, margin: float) -> None:
    best = candidate(0, 0, 4, -6)
    windows = Decoded((best, candidate(0, 20, 24, -2)), 6.2), Decoded((candidate(1, 3, 7, -5),), 5)
    before = features(best, *windows)
    after = features(best, *windows, Decoded((candidate(2, 0, 5, margin),), mass))
    assert {**after, "log_windows": before["log_windows"]} == pytest.approx(before)


@given(
    fitted=st.sampled_from([1, -1]).flatmap(lambda sign: st.tuples(st.just(sign), maps(sign))),
    at=feature_values,
    margins=st.lists(values, min_size=2),
)
def test_confidence_map_is_a_probability_that_follows_the_margin(
    fitted: tuple[int, LogisticMap], at: dict[str, float], margins: list[float]
) -> None:
    sign, one = fitted
    with np.errstate(all="raise", under="ignore"):
        probabilities = [float(one.probability({**at, "null_margin": margin})) for margin in sorted(margins)]
        columns = {name: np.full(len(margins), value) for name, value in at.items()}
        together = one.probability({**columns, "null_margin": np.array(sorted(margins))})
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert all(sign * (after - before) >= 0 for before, after in pairwise(probabilities))
    assert together.tolist() == probabilities


def test_confidence_map_by_hand_and_beyond_its_range() -> None:
    one = LogisticMap(0.5, {"null_margin": Term(2.0, -1.0, 3.0), "agreement": Term(-4.0, 0.0, 1.0)})
    at = dict.fromkeys(FEATURES, 1e6)
    assert one.probability({**at, "null_margin": 1.0, "agreement": 0.5}) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert one.probability(at) == one.probability({**at, "null_margin": 3.0, "agreement": 1.0})
    assert one.probability({**at, "null_margin": -1e6}) == one.probability({**at, "null_margin": -1.0})
    assert LogisticMap(0.0, {}).probability(at) == 0.5


@pytest.mark.parametrize(
    ("bias", "terms", "message"),
    [
        (0.0, {"mood": Term(1, 0, 1)}, "unknown features mood; expected some of null_margin"),
        (math.nan, {}, "finite numbers"),
        (0.0, {"agreement": Term(math.inf, 0, 1)}, "finite numbers"),
        (0.0, {"agreement": Term(1, 1, 0)}, "ranges from low to high"),
    ],
)
def test_confidence_map_refuses_what_no_fit_gives(bias: float, terms: dict[str, Term], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LogisticMap(bias, terms)


def test_confidence_comes_back_from_json() -> None:
    one = Confidence(LogisticMap(1.0, {"agreement": Term(1, 0, 1)}), LogisticMap(-1.0, {}))
    assert Confidence.from_json(asdict(one)) == one
