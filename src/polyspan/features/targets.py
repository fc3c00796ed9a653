"""Annotated answers to the tokens that a model is taught to point at."""

from collections.abc import Sequence

import numpy as np

from polyspan.types import Int32Array, Span, Window

NULL_TARGET = (0, 0)


def span_targets(window: Window, answers: Sequence[Span]) -> Int32Array:
    """First and last token, inclusive, of each answer in a window: [targets, 2], positions in ``input_ids``.

    The null position (0, 0) alone where the window holds no part of any answer. Empty where it holds answers only
    in part: such a window teaches neither.

    Args:
        window: any.
        answers: characters of the whole context; none for an unanswerable question.
    """
    starts, ends = window.offsets[:, 0], window.offsets[:, 1]
    filled = np.flatnonzero(starts < ends)
    found: dict[tuple[int, int], None] = {}
    touched = False
    for answer in answers:
        inside = filled[(ends[filled] > answer.start) & (starts[filled] < answer.end)]
        if not inside.size:
            continue
        touched = True
        if starts[inside[0]] <= answer.start and ends[inside[-1]] >= answer.end:
            found[int(inside[0]) + window.context_start, int(inside[-1]) + window.context_start] = None
    if not touched:
        found[NULL_TARGET] = None
    return np.array(list(found), np.int32).reshape(-1, 2)
