from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError
from polyspan.features import PairTemplate, Tokens, WindowSettings, make_windows
from polyspan.types import Int32Array, Window

BERT = PairTemplate((101,), (102,), (103,), (0,), (0,), (1,), 0, 1)
ROBERTA = PairTemplate((101,), (102, 104), (103,), (0,), (0, 0), (0,), 0, 0)


def question_of(size: int) -> Int32Array:
    return np.arange(1000, 1000 + size, dtype=np.int32)


def context_of(size: int) -> Tokens:
    starts = 3 * np.arange(size, dtype=np.int32)
    return Tokens(np.arange(2000, 2000 + size, dtype=np.int32), np.stack([starts, starts + 2], axis=1))


def context_numbers(window: Window) -> list[int]:
    """Which tokens of the context a window holds."""
    begin = window.context_start
    return [int(number) - 2000 for number in window.input_ids[begin : begin + len(window.offsets)]]


@given(
    question=st.integers(0, 100),
    size=st.integers(0, 600),
    max_seq_len=st.integers(20, 200),
    doc_stride=st.integers(0, 250),
    template=st.sampled_from([BERT, ROBERTA]),
)
def test_windows_cover_own_and_overlap(
    question: int, size: int, max_seq_len: int, doc_stride: int, template: PairTemplate
) -> None:
    settings = WindowSettings(max_seq_len, doc_stride, max_question_len=7)
    context = context_of(size)
    windows = list(make_windows(question_of(question), context, template, settings, number=5))
    room = max_seq_len - template.size - min(question, 7)
    owned: list[int] = []
    for window in windows:
        numbers = context_numbers(window)
        assert len(window.input_ids) == len(window.type_ids) <= max_seq_len
        assert window.context == 5
        np.testing.assert_array_equal(window.offsets, context.offsets[numbers])
        owned += numbers[slice(*window.owned)]
    assert owned == list(range(size))
    for left, right in pairwise(windows):
        assert len(left.offsets) == room
        assert len(set(context_numbers(left)) & set(context_numbers(right))) == min(doc_stride, room // 2)
    assert (len(windows) == 0) == (size == 0)


@given(title=st.integers(0, 100), size=st.integers(1, 600), template=st.sampled_from([BERT, ROBERTA]))
def test_windows_read_the_title_before_their_piece_and_find_nothing_in_it(
    title: int, size: int, template: PairTemplate
) -> None:
    settings = WindowSettings(max_seq_len=100, doc_stride=20)
    ids = np.arange(5000, 5000 + title, dtype=np.int32)
    context = context_of(size)
    room = 100 - template.size - 3
    kept = min(title, 32, room // 4)
    owned: list[int] = []
    for window in make_windows(question_of(3), context, template, settings, title=ids):
        before = window.input_ids[: window.context_start]
        assert before.tolist() == [*template.prefix, *question_of(3), *template.middle, *ids[:kept]]
        assert len(window.input_ids) == len(window.type_ids) <= 100
        assert set(window.type_ids[window.context_start - kept :]) == {template.context_type}
        numbers = context_numbers(window)
        np.testing.assert_array_equal(window.offsets, context.offsets[numbers])
        owned += numbers[slice(*window.owned)]
    assert owned == list(range(size))


@given(size=st.integers(1, 400), doc_stride=st.integers(0, 50))
def test_windows_are_no_more_than_needed(size: int, doc_stride: int) -> None:
    windows = list(make_windows(question_of(4), context_of(size), BERT, WindowSettings(107, doc_stride)))
    before_last = [number for window in windows[:-1] for number in context_numbers(window)]
    assert size - 1 not in before_last


def test_windows_follow_the_template() -> None:
    (window,) = make_windows(question_of(3), context_of(2), ROBERTA, WindowSettings(32, 8))
    assert window.input_ids.tolist() == [101, 1000, 1001, 1002, 102, 104, 2000, 2001, 103]
    assert window.type_ids.tolist() == [0] * 9
    assert (window.context_start, window.owned) == (6, (0, 2))
    (window,) = make_windows(question_of(3), context_of(2), BERT, WindowSettings(32, 8))
    assert window.input_ids.tolist() == [101, 1000, 1001, 1002, 102, 2000, 2001, 103]
    assert window.type_ids.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert window.input_ids.dtype == window.type_ids.dtype == np.int32


def test_windows_cut_a_question_that_is_too_long() -> None:
    (window,) = make_windows(question_of(500), context_of(10), BERT, WindowSettings(64, 8, max_question_len=16))
    assert window.input_ids[1:18].tolist() == [*range(1000, 1016), 102]
    assert len(window.offsets) == 10


def test_windows_own_half_of_each_overlap() -> None:
    windows = list(make_windows(question_of(4), context_of(30), BERT, WindowSettings(27, 8)))
    assert [context_numbers(window)[0] for window in windows] == [0, 12]
    assert [window.owned for window in windows] == [(0, 16), (4, 18)]


@pytest.mark.parametrize("question", [6, 60])
def test_windows_refuse_too_small_a_room(question: int) -> None:
    settings = WindowSettings(max_seq_len=16, max_question_len=64)
    with pytest.raises(InputError, match="max_seq_len 16 tokens leaves room for") as raised:
        list(make_windows(question_of(question), context_of(5), BERT, settings))
    assert "\n" not in str(raised.value)
    assert len(list(make_windows(question_of(5), context_of(5), BERT, settings))) == 1


@pytest.mark.parametrize(("question", "stride"), [(0, 0), (-1, 5), (5, -1)])
def test_windows_refuse_senseless_sizes(question: int, stride: int) -> None:
    with pytest.raises(InputError, match="max_question_len and step must be at least 1"):
        WindowSettings(max_question_len=question, doc_stride=stride)


@pytest.mark.parametrize("question", [4, 30])
def test_windows_begin_a_step_apart_whatever_the_question(question: int) -> None:
    settings = WindowSettings(max_seq_len=128, step=40)
    windows = list(make_windows(question_of(question), context_of(500), BERT, settings))
    begins = [context_numbers(window)[0] for window in windows]
    assert {later - earlier for earlier, later in pairwise(begins)} == {40}
    assert sum(last - first for first, last in (window.owned for window in windows)) == 500
