import math
import re

import pytest

from polyspan.bench.timing import growth_exponent, interleaved, machine, medians


def test_interleaved_takes_turns_and_leaves_out_the_first_round() -> None:
    order: list[str] = []
    own = iter([9.0, 1.0, 2.0])

    def first() -> None:
        order.append("first")

    def second() -> float:
        order.append("second")
        return next(own)

    seconds = interleaved({"first": first, "second": second}, 2)
    assert order == ["first", "second"] * 3
    assert seconds["second"] == [1.0, 2.0]
    assert len(seconds["first"]) == 2


def test_medians_of_each() -> None:
    assert medians({"a": [3.0, 1.0, 2.0], "b": [1.0, 2.0]}) == {"a": 2.0, "b": 1.5}


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_growth_exponent_of_a_power(power: float) -> None:
    assert growth_exponent({size: 3 * size**power for size in (1, 4, 16, 64)}) == pytest.approx(power)


def test_growth_exponent_of_one_size_is_unknown() -> None:
    assert math.isnan(growth_exponent({3: 1.0}))


def test_machine_names_processor_and_versions() -> None:
    found = machine(("polyspan",))
    assert found["cores"] >= 1
    assert re.match(r"\d", found["versions"]["polyspan"])
