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


def test_averaging_keeps_its_part_of_itself_after_a_short_beginning() -> None:
    model = model_of(1.0)
    average = WeightAverage(model, 0.5)
    set_weights(model, 3.0)
    average.update(1)  # keeps 2 / 11
    expected = 1.0 * 2 / 11 + 3.0 * 9 / 11
    assert average.weights["weight"].item() == pytest.approx(expected)
    set_weights(model, -1.0)
    average.update(1000)  # keeps 0.5
    assert average.weights["weight"].item() == pytest.approx((expected - 1.0) / 2)


def test_averaging_is_applied_for_a_while_and_taken_back() -> None:
    model = model_of(1.0, 2.0)
    average = WeightAverage(model, 0.9)
    set_weights(model, 5.0, 6.0)
    with average.applied():
        assert model.weight.tolist() == [[1.0, 2.0]]
    assert model.weight.tolist() == [[5.0, 6.0]]
    assert average.weights["weight"].tolist() == [[1.0, 2.0]]
    average.update(1)
    assert average.weights["weight"].tolist()[0] == pytest.approx([5 - 4 * 2 / 11, 6 - 4 * 2 / 11])


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
