import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.features import Batch, collate, plan_batches, widen
from polyspan.types import Int64Array, Window

lengths = st.lists(st.integers(0, 512), max_size=80)


def window_of(size: int, first: int = 10) -> Window:
    ids = np.arange(first, first + size, dtype=np.int32)
    return Window(0, ids, np.ones(size, np.int32), 1, np.zeros((0, 2), np.int32), (0, 0))


@given(lengths=lengths, budget=st.integers(1, 2000))
def test_batching_holds_every_position_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(plan_batches(lengths, budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget
    in_order = [lengths[position] for batch in batches for position in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(lengths=lengths, budget=st.integers(1, 2000))
def test_batching_wastes_no_room(lengths: list[int], budget: int) -> None:
    batches = list(plan_batches(lengths, budget))
    for batch in batches[:-1]:
        assert (len(batch) + 1) * max(1, lengths[batch[0]]) > budget


def test_batching_keeps_the_order_of_equal_lengths() -> None:
    assert list(plan_batches([5, 7, 5, 7, 5], 14)) == [[1, 3], [0, 2], [4]]


def test_batching_pads_on_the_right() -> None:
    batch = collate([window_of(2), window_of(4, 20), window_of(1, 30)], pad_id=9)
    assert batch.input_ids.tolist() == [[10, 11, 9, 9], [20, 21, 22, 23], [30, 9, 9, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]
    assert batch.type_ids.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]
    assert batch.input_ids.dtype == batch.attention_mask.dtype == batch.type_ids.dtype == np.int64


def arrays_of(batch: Batch) -> tuple[Int64Array, ...]:
    return batch.input_ids, batch.attention_mask, batch.type_ids


@pytest.mark.parametrize(("multiple", "size"), [(1, 5), (4, 8), (5, 5), (32, 32)])
def test_batching_pads_to_a_multiple(multiple: int, size: int) -> None:
    windows = [window_of(5), window_of(3, 20)]
    batch, plain = collate(windows, 9, multiple), collate(windows, 9)
    assert batch.input_ids.shape == batch.attention_mask.shape == batch.type_ids.shape == (2, size)
    assert (batch.input_ids[:, 5:] == 9).all()
    assert not batch.attention_mask[:, 5:].any()
    for padded, short in zip(arrays_of(batch), arrays_of(plain), strict=True):
        np.testing.assert_array_equal(padded[:, :5], short)
    for padded, wide in zip(arrays_of(batch), arrays_of(widen(plain, size, 9)), strict=True):
        np.testing.assert_array_equal(padded, wide)
