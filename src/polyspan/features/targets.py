"""Annotated answers to the tokens that a model is taught to point at."""

from collections.abc import Sequence

import numpy as np

from polyspan.types import Int32Array, Span, Window

NULL_TARGET = (0, 0)
BEYOND = np.iinfo(np.int32).max  # more than any offset


def span_targets(window: Window, answers: Sequence[Span]) -> Int32Array:
    """First and last token, inclusive, of each answer in a window: [targets, 2], positions in ``input_ids``.

    The null position (0, 0) alone where the window holds no part of any answer. Empty where it holds answers only
    in part: such a window teaches neither. Characters of an answer that the tokenizer drops between the window's
    first and last token, such as whitespace and combining marks, do not count.

    Args:
        window: any.
        answers: characters of the whole context; none for an unanswerable question.
    """
    starts, ends = window.offsets[:, 0], window.offsets[:, 1]
    filled = np.flatnonzero(starts < ends)
    first, last = starts[filled].min(initial=BEYOND), ends[filled].max(initial=0)
    found: dict[tuple[int, int], None] = {}
    touched = False
    for answer in answers:
        inside = filled[(ends[filled] > answer.start) & (starts[filled] < answer.end)]
        if not inside.size:
            continue
        touched = True
        if first <= answer.start and answer.end <= last:
            found[int(inside[0]) + window.context_start, int(inside[-1]) + window.context_start] = None
    if not touched:
        found[NULL_TARGET] = None
    return np.array(list(found), np.int32).reshape(-1, 2)
