"""Whether two systems differ by more than chance, over the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.metrics.arrays import Flags, Floats, check_lengths, flags, numbers
from polyspan.metrics.bootstrap import bootstrap_interval, chunks


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean of A minus that of B with its bootstrap interval, and a two-sided p-value, 0 to 1."""

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class McNemar:
    """How many questions only A, and only B, answers right, and a two-sided p-value, 0 to 1."""

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Changed:
    """The ids of the questions that B turns from right to wrong, and from wrong to right, in their order."""

    right_to_wrong: tuple[str, ...]
    wrong_to_right: tuple[str, ...]


def paired_difference(
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    resamples: int = 1000,
    trials: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """Compare exact match or F1 of two systems, [n] each, 0 to 1 or 0 to 100, question by question.

    The interval is that of ``bootstrap_interval`` over the differences. The p-value is approximate
    randomisation's (Noreen, 1989; Yeh, 2000): in ``trials`` trials the two scores of each question change
    places by the toss of a coin; p is (trials that differ at least as much + 1) / (trials + 1). The same
    ``seed`` gives the same figures, and A and B may change places.
    """
    a, b = numbers("scores_a", scores_a, 0.0, 100.0), numbers("scores_b", scores_b, 0.0, 100.0)
    check_lengths({"scores_a": a, "scores_b": b})
    if trials < 1:
        raise InputError(f"trials: expected at least 1, got {trials}")
    differences = a - b
    low, high = bootstrap_interval(differences, resamples, seed, level)
    return PairedDifference(float(differences.mean()), low, high, _randomisation(differences, trials, seed))


def mcnemar(right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> McNemar:
    """McNemar's test (1947) of two systems' exact matches [n], in its exact, binomial form.

    Of the questions that only one system answers right, each is as likely to be A's as B's if they do not
    differ: p = 2 P(X <= the smaller count), X binomial with one half, at most 1.
    """
    a, b = _both_right(right_a, right_b)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    count = only_a + only_b
    tail = ways = 1  # binomial coefficients, in whole numbers, each from the one before
    for chosen in range(min(only_a, only_b)):
        ways = ways * (count - chosen) // (chosen + 1)
        tail += ways
    return McNemar(only_a, only_b, min(1.0, 2 * tail / 2**count))


def changed(ids: Sequence[str], right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> Changed:
    """Which questions, ``ids`` [n], system B answers otherwise than A as to exact match [n]."""
    a, b = _both_right(right_a, right_b)
    if len(ids) != a.size:
        raise InputError(f"ids: expected {a.size} values, one for each of right_a, got {len(ids)}")
    return Changed(
        right_to_wrong=tuple(compress(ids, (a & ~b).tolist())), wrong_to_right=tuple(compress(ids, (b & ~a).tolist()))
    )


def _both_right(right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> tuple[Flags, Flags]:
    a, b = flags("right_a", right_a), flags("right_b", right_b)
    check_lengths({"right_a": a, "right_b": b})
    return a, b


def _randomisation(differences: Floats, trials: int, seed: int) -> float:
    moved = differences[differences != 0]
    total = moved.sum()
    least = abs(total) - 1e-12 * np.abs(moved).sum()  # sums of another order are equal but for rounding
    generator = np.random.default_rng(seed)
    extreme = 0
    for rows in chunks(trials, moved.size):
        swapped = generator.integers(2, size=(rows, moved.size), dtype=np.int8) @ moved
        extreme += int((np.abs(total - 2 * swapped) >= least).sum())
    return (extreme + 1) / (trials + 1)
