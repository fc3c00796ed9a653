from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training.batches import PAD_TO, BatchSettings, padded_length, plan_epoch

lengths = st.lists(st.integers(1, 400), min_size=1, max_size=120)


def plan(
    sizes: list[int], settings: BatchSettings | None = None, weight: float = 1.0, seed: tuple[int, int] = (0, 0)
) -> list[list[int]]:
    weights = np.full(len(sizes), weight)
    found = plan_epoch(np.array(sizes, np.int64), weights, settings or BatchSettings(), seed)
    return [batch.tolist() for batch in found]


@given(sizes=lengths, tokens=st.integers(1, 3000), windows=st.none() | st.integers(1, 9), seed=st.integers(0, 99))
def test_batches_hold_every_window_once_within_the_limits(
    sizes: list[int], tokens: int, windows: int | None, seed: int
) -> None:
    found = plan(sizes, BatchSettings(tokens, windows), seed=(seed, 0))
    assert sorted(number for batch in found for number in batch) == list(range(len(sizes)))
    for batch in found:
        padded = padded_length(max(sizes[number] for number in batch))
        assert len(batch) == 1 or len(batch) * padded <= tokens
        assert windows is None or len(batch) <= windows


@given(
    sizes=lengths,
    weights=st.lists(st.floats(0, 5), min_size=120, max_size=120),
    seed=st.tuples(st.integers(0, 99), st.integers(0, 9)),
)
def test_batches_hold_every_window_as_often_as_its_weight_says(
    sizes: list[int], weights: list[float], seed: tuple[int, int]
) -> None:
    given_weights = np.array(weights[: len(sizes)])
    found = plan_epoch(np.array(sizes, np.int64), given_weights, BatchSettings(tokens=900), seed)
    counts = Counter(number for batch in found for number in batch.tolist())
    for number, weight in enumerate(given_weights):
        assert counts[number] in (np.floor(weight), np.floor(weight) + 1)
        assert counts[number] == weight or not weight.is_integer()


def test_batches_hold_a_fraction_of_the_windows_on_average() -> None:
    found = [sum(map(len, plan([9] * 100, weight=2.25, seed=(0, epoch)))) for epoch in range(40)]
    assert np.mean(found) == pytest.approx(225, abs=5)


def test_batches_of_weight_0_are_none() -> None:
    assert plan([5, 6, 7], weight=0.0) == []


@given(sizes=lengths, seed=st.integers(0, 99))
def test_batches_are_the_same_for_the_same_seed(sizes: list[int], seed: int) -> None:
    assert plan(sizes, seed=(seed, 3)) == plan(sizes, seed=(seed, 3))


def test_batches_differ_between_epochs_and_seeds() -> None:
    sizes, settings = [10 + number % 7 for number in range(200)], BatchSettings(windows=4)
    found = [plan(sizes, settings, seed=seed) for seed in ((0, 0), (0, 1), (1, 0))]
    sets = [{frozenset(batch) for batch in one} for one in found]
    assert sets[0] != sets[1]
    assert sets[0] != sets[2]
    assert found[0] != sorted(found[0])


def test_batches_hold_windows_of_like_length() -> None:
    sizes = np.random.default_rng(0).integers(20, 400, 2000).tolist()
    found = plan(sizes, BatchSettings(tokens=4096))
    padded = sum(len(batch) * padded_length(max(sizes[number] for number in batch)) for batch in found)
    assert padded < 1.15 * sum(sizes)


@pytest.mark.parametrize(("length", "padded"), [(1, 32), (31, 32), (32, 32), (33, 64), (384, 384)])
def test_batches_padded_length(length: int, padded: int) -> None:
    assert padded_length(length) == padded
    assert padded % PAD_TO == 0


@pytest.mark.parametrize("settings", [{"tokens": 0}, {"windows": 0}, {"tokens": -1, "windows": 3}])
def test_batches_refuse_to_be_empty(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least one token and one window, not"):
        BatchSettings(**settings)
