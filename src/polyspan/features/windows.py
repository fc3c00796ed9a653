"""Tokenised question and context to overlapping windows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from polyspan.errors import InputError
from polyspan.features.tokens import PairTemplate, Tokens
from polyspan.types import Int32Array, Window

SMALLEST_ROOM = 8
TITLE_TOKENS = 32
TITLE_SHARE = 4
"""A title takes one in so many tokens of the room at most."""


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How contexts are cut, in tokens; ``doc_stride`` is the overlap of two neighbouring windows.

    ``step``, from one window's begin to the next one's, stands in its place where it is given: what FARM called
    doc_stride.
    """

    max_seq_len: int = 384
    doc_stride: int = 128
    max_question_len: int = 64
    step: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that make no windows."""
        if self.max_question_len < 1 or self.doc_stride < 0 or (self.step is not None and self.step < 1):
            raise InputError(
                f"max_question_len and step must be at least 1 and doc_stride at least 0, not {self.max_question_len}, "
                f"{self.step} and {self.doc_stride}"
            )


def window_slices(tokens: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """First and last (exclusive) context token of each window of ``room`` tokens; none for no tokens."""
    step = max(1, room - overlap)
    count = 1 + max(0, -(-(tokens - room) // step)) if tokens else 0
    return [(k * step, min(k * step + room, tokens)) for k in range(count)]


def make_windows(
    question: Int32Array,
    context: Tokens,
    template: PairTemplate,
    settings: WindowSettings,
    number: int = 0,
    title: Int32Array | None = None,
) -> Iterator[Window]:
    """The windows of one question over one context; none over a context without tokens.

    Args:
        question: token ids [question tokens]; those past ``max_question_len`` are left out.
        context: the whole context's tokens; their offsets go into the windows as they are.
        template: the model's special tokens.
        settings: sizes in tokens. An overlap of over half the room is cut to half of it.
        number: the context's number, which goes into the windows as it is.
        title: token ids that each window reads before its piece of the context, as if they were of it, though no answer
            lies in them; at most 32, and a quarter of the room, are read.

    Raises:
        InputError: if question and special tokens leave room for less than 8 tokens of context.
    """
    question = question[: settings.max_question_len]
    room = settings.max_seq_len - template.size - len(question)
    if room < SMALLEST_ROOM:
        raise InputError(
            f"a window of max_seq_len {settings.max_seq_len} tokens leaves room for {room} tokens of context "
            f"beside a question of {len(question)}; raise max_seq_len or lower max_question_len"
        )
    told = np.zeros(0, np.int32) if title is None else title[: min(TITLE_TOKENS, room // TITLE_SHARE)]
    room -= len(told)
    head = np.concatenate([template.prefix, question, template.middle, told]).astype(np.int32)
    types_before = [*template.prefix_types, *[template.question_type] * len(question), *template.middle_types]
    overlap = min(settings.doc_stride, room // 2) if settings.step is None else max(0, room - settings.step)
    slices = window_slices(len(context), room, overlap)
    for position, (first, last) in enumerate(slices):
        types = [*types_before, *[template.context_type] * (len(told) + last - first), *template.suffix_types]
        yield Window(
            context=number,
            input_ids=np.concatenate([head, context.ids[first:last], template.suffix]).astype(np.int32),
            type_ids=np.array(types, np.int32),
            context_start=len(head),
            offsets=context.offsets[first:last],
            blocks=None if context.blocks is None else context.blocks[first:last],
            owned=_owned(slices, position),
        )


def _owned(slices: list[tuple[int, int]], position: int) -> tuple[int, int]:
    """The window's own context tokens: an overlap belongs half to each neighbour."""
    first, last = slices[position]
    begin = first if position == 0 else (first + slices[position - 1][1]) // 2
    end = last if position == len(slices) - 1 else (slices[position + 1][0] + last) // 2
    return begin - first, end - first
