import math

import numpy as np
import pytest

from polyspan.errors import InputError
from polyspan.metrics.arrays import check_lengths, flags, importance, numbers


def test_arrays_take_lists_and_arrays_of_numbers() -> None:
    assert numbers("x", [1, 0]).tolist() == [1.0, 0.0]
    assert numbers("x", np.array([0.5], dtype=np.float32)).dtype == np.float64
    assert numbers("x", [-math.inf, math.inf]).tolist() == [-math.inf, math.inf]
    assert flags("x", [True, False]).tolist() == flags("x", [1, 0.0]).tolist() == [True, False]


@pytest.mark.parametrize("values", [[], [[1.0]], 1.0, ["1"], [None], [[1.0], [1.0, 2.0]], None])
def test_arrays_refuse_what_is_no_list_of_numbers(values: object) -> None:
    with pytest.raises(InputError, match="score: expected a non-empty list of numbers, got shape"):
        numbers("score", values)  # type: ignore[arg-type] # texts, which it refuses


@pytest.mark.parametrize(("value", "said"), [(math.nan, "nan"), (-0.5, "-0.5"), (1.5, "1.5"), (math.inf, "inf")])
def test_arrays_name_the_first_number_out_of_range(value: float, said: str) -> None:
    with pytest.raises(InputError, match=rf"^score\[2\]: expected a number from 0 to 1, got {said}$"):
        numbers("score", [0.0, 1.0, value, math.nan], 0.0, 1.0)


def test_arrays_refuse_flags_that_are_neither() -> None:
    with pytest.raises(InputError, match=r"^right\[1\]: expected true or false, got 0.5$"):
        flags("right", [1, 0.5])


def test_arrays_weigh_everything_alike_without_weights() -> None:
    assert importance(None, 2).tolist() == [1.0, 1.0]
    assert importance([0, 2.5], 2).tolist() == [0.0, 2.5]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, -1.0], r"weights\[1\]: expected a number from 0 to inf, got -1"),
        ([0.0, 0.0], "weights: expected a finite sum above 0, got 0"),
        ([1.0, math.inf], "weights: expected a finite sum above 0, got inf"),
        ([1e308, 1e308], "weights: expected a finite sum above 0, got inf"),
    ],
)
def test_arrays_refuse_weights_that_cannot_be_shares(weights: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        importance(weights, 2)


def test_arrays_name_the_list_of_another_length() -> None:
    check_lengths({"a": np.ones(2), "b": np.zeros(2)})
    with pytest.raises(InputError, match=r"^b: expected 2 values, one for each of a, got 1$"):
        check_lengths({"a": np.ones(2), "b": np.ones(1), "c": np.ones(3)})
