"""Which windows are learnt from in which order: the same for the same seed, however often a run is interrupted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.features import round_up

PAD_TO = 32
NEIGHBOURS = 50


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """What one micro-batch holds: ``tokens`` at most, padding counted, and ``windows`` at most (None: any number).

    Lengths are padded to multiples of 32, because every new shape costs the runtime a new kernel.
    """

    tokens: int = 8_192
    windows: int | None = None

    def __post_init__(self) -> None:
        """Refuse empty batches."""
        if self.tokens < 1 or (self.windows is not None and self.windows < 1):
            raise InputError(f"a batch must hold at least one token and one window, not {self}")


def padded_length(length: int) -> int:
    """The next multiple of 32."""
    return round_up(length, PAD_TO)


def plan_epoch(
    lengths: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], settings: BatchSettings, seed: Sequence[int]
) -> list[npt.NDArray[np.int64]]:
    """The micro-batches of one epoch: numbers of windows, in the order in which they are learnt from.

    Windows of like length share a batch; which ones, and the order of the batches, are drawn anew each epoch.

    Args:
        lengths: tokens of each window, [windows].
        weights: how often each window comes on average, [windows]; 2.5 is twice, or thrice in half of all epochs.
        settings: a batch's limits; a window longer than ``tokens`` makes a batch of its own.
        seed: of the run, and the number of the epoch.
    """
    generator = np.random.default_rng(seed)
    copies = np.floor(weights + generator.random(len(weights))).astype(np.int64)
    order = generator.permutation(np.repeat(np.arange(len(lengths)), copies))
    usual = max(1, settings.tokens // int(np.median(lengths))) if settings.windows is None else settings.windows
    group = NEIGHBOURS * usual
    batches = []
    for begin in range(0, len(order), group):
        chunk = order[begin : begin + group]
        batches += _cut(chunk[np.argsort(-lengths[chunk], kind="stable")], lengths, settings)
    return [batches[number] for number in generator.permutation(len(batches))]


def _cut(
    ordered: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], settings: BatchSettings
) -> list[npt.NDArray[np.int64]]:
    """Batches of windows that come longest first."""
    batches, begin = [], 0
    while begin < len(ordered):
        size = max(1, settings.tokens // padded_length(int(lengths[ordered[begin]])))
        size = size if settings.windows is None else min(size, settings.windows)
        batches.append(ordered[begin : begin + size])
        begin += size
    return batches
