"""Lists of figures, one a question, checked before anything is computed from them."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def numbers(name: str, values: npt.ArrayLike, low: float = -math.inf, high: float = math.inf) -> Floats:
    """The ``values`` as an array [n]; InputError where there is none, or one is no number from low to high."""
    try:
        given = np.asarray(values)
    except ValueError:  # lists of different lengths
        given = np.empty(0, dtype=object)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected a non-empty list of numbers, got shape {given.shape} of {given.dtype}")
    array = given.astype(np.float64)
    bad = np.flatnonzero(~((array >= low) & (array <= high)))
    if bad.size:
        raise InputError(f"{name}[{bad[0]}]: expected a number from {low:g} to {high:g}, got {array[bad[0]]:g}")
    return array


def flags(name: str, values: npt.ArrayLike) -> Flags:
    """The ``values`` as a boolean array [n]; InputError where there is none, or one is neither 0 nor 1."""
    array = numbers(name, values)
    bad = np.flatnonzero((array != 0) & (array != 1))
    if bad.size:
        raise InputError(f"{name}[{bad[0]}]: expected true or false, got {array[bad[0]]:g}")
    return array.astype(np.bool_)


def importance(weights: npt.ArrayLike | None, size: int) -> Floats:
    """The ``weights`` [size], all 1 where there are none; InputError where one is negative or all are 0."""
    if weights is None:
        return np.ones(size)
    array = numbers("weights", weights, low=0.0)
    with np.errstate(over="ignore"):
        total = float(array.sum())
    if not 0 < total < math.inf:
        raise InputError(f"weights: expected a finite sum above 0, got {total:g}")
    return array


def check_lengths(lists: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Raise InputError unless all ``lists`` (name to array) are as long as the first."""
    (first, expected), *others = ((name, array.size) for name, array in lists.items())
    for name, size in others:
        if size != expected:
            raise InputError(f"{name}: expected {expected} values, one for each of {first}, got {size}")
