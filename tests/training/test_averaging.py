import pytest

from polyspan.errors import MissingExtraError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch

from polyspan.training.averaging import WeightAverage


def model_of(*values: float) -> torch.nn.Linear:
    model = torch.nn.Linear(len(values), 1)
    model.bias.requires_grad = False
    set_weights(model, *values)
    return model


def set_weights(model: torch.nn.Linear, *values: float) -> None:
    with torch.no_grad():
        model.weight.copy_(torch.tensor([values]))


def test_averaging_counts_later_weights_more_and_then_keeps_its_part() -> None:
    model = model_of(7.0)
    average = WeightAverage(model, 0.75)
    for number, value in enumerate((1.0, 3.0, -1.0), start=1):
        set_weights(model, value)
        average.update(number)
    assert average.weights["weight"].item() == pytest.approx((1 * 1.0 + 2 * 3.0 + 3 * -1.0) / (1 + 2 + 3))
    set_weights(model, 2.0)
    average.update(1000)  # keeps 0.75
    assert average.weights["weight"].item() == pytest.approx(0.75 * 4 / 6 + 0.25 * 2.0)


def test_averaging_is_applied_for_a_while_and_taken_back() -> None:
    model = model_of(1.0, 2.0)
    average = WeightAverage(model, 0.9)
    set_weights(model, 5.0, 6.0)
    with average.applied():
        assert model.weight.tolist() == [[1.0, 2.0]]
    assert model.weight.tolist() == [[5.0, 6.0]]
    assert average.weights["weight"].tolist() == [[1.0, 2.0]]
    average.update(3)  # keeps a half
    assert average.weights["weight"].tolist()[0] == pytest.approx([3.0, 4.0])


def test_averaging_leaves_frozen_weights_alone() -> None:
    assert set(WeightAverage(model_of(1.0), 0.9).weights) == {"weight"}


def test_averaging_of_nothing_is_the_last_weights() -> None:
    model = model_of(1.0)
    average = WeightAverage(model, 0.0)
    set_weights(model, 3.0)
    average.update(1)
    with average.applied():
        assert model.weight.item() == 3.0
    assert average.weights == {}
