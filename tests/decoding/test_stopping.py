import json
from dataclasses import asdict
from typing import Any

import pytest

from polyspan.decoding import Calibration, StopRule
from polyspan.errors import InputError, ModelError

RULE = StopRule(10, (1, 2, 4), ((0.01, 0.9), (0.05, 0.5)))


def test_stopping_rule_becomes_json_and_back() -> None:
    calibration = Calibration(0.5, stop=RULE)
    content = json.loads(json.dumps(calibration.to_json()))
    assert content["stop"] == json.loads(json.dumps(asdict(RULE)))
    assert Calibration.from_json(content) == calibration
    assert "stop" not in Calibration().to_json()


@pytest.mark.parametrize(("risk", "limit"), [(0.01, 0.9), (0.03, 0.9), (0.05, 0.5), (0.9, 0.5)])
def test_stopping_limit_is_that_of_the_largest_risk_within(risk: float, limit: float) -> None:
    assert RULE.limit(risk) == limit


def test_stopping_refuses_a_risk_that_was_not_fitted() -> None:
    with pytest.raises(InputError, match=r"stop_risk 0\.005: the model has limits for a risk of 0\.01, 0\.05"):
        RULE.limit(0.005)


@pytest.mark.parametrize(
    "change",
    [
        {"after": ()},
        {"after": (2, 1)},
        {"after": (0, 1)},
        {"after": (1, 10)},
        {"after": (1.5,)},
        {"limits": ((0.0, 0.5),)},
        {"limits": ((0.1, 1.5),)},
        {"limits": ((0.1, float("nan")),)},
    ],
)
def test_stopping_refuses_what_no_fit_gives(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="a stop rule needs"):
        StopRule.from_json({**asdict(RULE), **change})
