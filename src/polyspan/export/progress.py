"""How long work is watched."""

from collections.abc import Callable, Iterable
from typing import Any

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Shows how far the items, of which there are so many, have come, under a name; gives the same items."""


def unwatched(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:  # noqa: ARG001 -- a Progress takes them
    """The items alone."""
    return items
