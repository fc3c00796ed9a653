"""Lists that hold answers and "no answer" alike."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def with_no_answer(
    answers: Sequence[Item], no_answer: Item, chosen: bool, score: Callable[[Item], float]
) -> list[Item]:
    """All in one ranking: ``no_answer`` stands first if and only if it was ``chosen``, else where its score puts it.

    Args:
        answers: best first.
        no_answer: the entry for it.
        chosen: whether the reader chose it.
        score: an entry's.
    """
    if chosen or not answers:
        return [no_answer, *answers]
    ranked = [*answers[1:], no_answer]
    ranked.sort(key=score, reverse=True)
    return [answers[0], *ranked]
