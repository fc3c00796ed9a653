"""A teacher's predictions on a student's tokens, where the two read a text with different tokenizers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.types import Int32Array, Int64Array

Float64Array = npt.NDArray[np.float64]

BEYOND = np.iinfo(np.int32).max  # more than any offset


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Probabilities of start and end over null and the student's context tokens, float64 [1 + student tokens].

    ``kept``, 0 to 1, is the share of the teacher's mass that fell on null and inside the student's window, the
    smaller one of start and end. Where it is small the teacher points elsewhere, and this window says little. It does
    not tell whether the teacher saw all of the student's window.
    """

    start: Float64Array
    end: Float64Array
    kept: float


def carry_over(
    start: npt.NDArray[np.floating], end: npt.NDArray[np.floating], teacher: Int32Array, student: Int32Array
) -> Carried:
    """A teacher's start and end distributions on a student's tokens, by characters.

    A start goes to the student's token that contains the first character of the teacher's, or to the next one that
    begins after it; an end to the one that contains the last character, or the previous one. Tokens with the same
    offsets in both correspond one by one, also where several share a character, so that the same tokens carry over
    as they are. Null goes to null. Masses that meet add up; what lies outside the student's window is dropped, and
    the rest is scaled to 1. Where nothing is left, null takes all and ``kept`` is 0.

    Args:
        start: probabilities over null and the teacher's context tokens, [1 + teacher tokens].
        end: the same for ends.
        teacher: offsets of the teacher's context tokens, [teacher tokens, 2], in the order of the text; ends are
            exclusive, whitespace has start >= end.
        student: the same for the student's tokens, characters of the same text.
    """
    starts, ends = _match(teacher, student)
    carried_start, kept_start = _carry(start, starts, len(student))
    carried_end, kept_end = _carry(end, ends, len(student))
    return Carried(carried_start, carried_end, min(kept_start, kept_end))


def mix_distributions(distributions: Sequence[npt.NDArray[np.floating]], weights: Sequence[float]) -> Float64Array:
    """The weighted mean of several teachers' probabilities, all of the same shape.

    Raises:
        InputError: if there is not one weight for each, none of them negative and one above 0.
    """
    if len(weights) != len(distributions) or min(weights, default=0) < 0 or sum(weights) <= 0:
        raise InputError(
            f"teacher weights: expected one for each of {len(distributions)} teachers, none negative and one above 0, "
            f"not {list(weights)}"
        )
    mixed: Float64Array = np.average(np.stack(distributions), axis=0, weights=np.asarray(weights, np.float64))
    return mixed


def _match(teacher: Int32Array, student: Int32Array) -> tuple[Int64Array, Int64Array]:
    """The student's token for each of the teacher's, for starts and for ends; len(student) stands for none."""
    none = len(student)
    words = np.flatnonzero(student[:, 0] < student[:, 1])
    begins, stops = student[words, 0], student[words, 1]
    first, last = teacher[:, 0], teacher[:, 1] - 1
    outside = (np.maximum(first, last) < begins.min(initial=BEYOND)) | (first >= stops.max(initial=0))
    following = np.append(words, none)[np.searchsorted(stops, first, "right")]
    preceding = np.append(none, words)[np.searchsorted(begins, last, "right")]
    same = _same_tokens(teacher, student)
    starts, ends = (np.where(same < none, same, np.where(outside, none, found)) for found in (following, preceding))
    return starts, ends


def _same_tokens(teacher: Int32Array, student: Int32Array) -> Int64Array:
    """The student's token with the same offsets, the n-th for the teacher's n-th; len(student) for none."""
    wanted, there = (offsets.astype(np.int64) @ (BEYOND, 1) for offsets in (teacher, student))
    earlier = np.arange(len(wanted)) - np.searchsorted(wanted, wanted)
    places = np.minimum(np.searchsorted(there, wanted) + earlier, len(there))
    return np.where(np.append(there, -1)[places] == wanted, places, len(there))


def _carry(mass: npt.NDArray[np.floating], places: Int64Array, tokens: int) -> tuple[Float64Array, float]:
    """Mass [1 + teacher tokens] added up at ``places`` and scaled to 1, [1 + tokens], and the share that is left."""
    summed = np.zeros(2 + tokens)
    np.add.at(summed, np.append(0, 1 + places), mass)
    carried = summed[:-1]
    left = carried.sum()
    if not left:
        carried[0] = 1.0
        return carried, 0.0
    return carried / left, float(left / mass.sum())
