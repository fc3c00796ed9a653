"""Windows to padded batches of like length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from polyspan.types import Int32Array, Int64Array


class Row(Protocol):
    """A window, or any other tokens: ``input_ids`` and ``type_ids``, int32 [tokens]."""

    @property
    def input_ids(self) -> Int32Array:
        """Token ids."""

    @property
    def type_ids(self) -> Int32Array:
        """The type of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Arrays of shape [windows, tokens]; ``attention_mask`` is 1 on tokens and 0 on padding."""

    input_ids: Int64Array
    attention_mask: Int64Array
    type_ids: Int64Array


def plan_batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Groups positions by length so that a padded batch holds at most ``token_budget`` tokens.

    A window longer than the budget makes a batch of its own. The longest come first, so that memory
    that a batch needs is known at once.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    begin = 0
    while begin < len(order):
        size = max(1, token_budget // max(1, lengths[order[begin]]))
        yield order[begin : begin + size]
        begin += size


def collate(windows: Sequence[Row], pad_id: int, multiple: int = 1) -> Batch:
    """Pads windows on the right, to the longest of them and on to a ``multiple``."""
    longest = max(len(window.input_ids) for window in windows)
    shape = len(windows), round_up(longest, multiple)
    batch = Batch(np.full(shape, pad_id, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    for row, window in enumerate(windows):
        size = len(window.input_ids)
        batch.input_ids[row, :size] = window.input_ids
        batch.attention_mask[row, :size] = 1
        batch.type_ids[row, :size] = window.type_ids
    return batch


def widen(batch: Batch, tokens: int, pad_id: int) -> Batch:
    """The batch with padding on the right up to so many tokens."""
    added = (0, 0), (0, tokens - batch.input_ids.shape[1])
    return Batch(
        np.pad(batch.input_ids, added, constant_values=pad_id),
        np.pad(batch.attention_mask, added),
        np.pad(batch.type_ids, added),
    )


def round_up(tokens: int, multiple: int) -> int:
    """The next ``multiple``."""
    return -(-tokens // multiple) * multiple
