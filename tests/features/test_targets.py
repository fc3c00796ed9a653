import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.features import NULL_TARGET, PairTokenizer, WindowSettings, make_windows, span_targets
from polyspan.types import Span, Window
from tiny import SENTENCES, make_tokenizer

TOKENIZERS = {kind: PairTokenizer(make_tokenizer(kind)) for kind in ("wordpiece", "bpe", "unigram")}
QUESTION = "Who wrote the letter?"

kinds = st.sampled_from(sorted(TOKENIZERS))
pieces = st.sampled_from(
    [*SENTENCES, " ", "\n\n", "\u00a0", "👩‍👧", "e\u0301", "كتبت الرسالة", "กำแพง", "\u200b", "ﬁ½"]
)
contexts = st.lists(pieces | st.text(max_size=5), min_size=1, max_size=5).map("".join).filter(bool)


def window_of(*offsets: tuple[int, int], context_start: int = 4) -> Window:
    size = context_start + len(offsets) + 1
    ids, types = np.arange(size, dtype=np.int32), np.zeros(size, np.int32)
    places = np.array(offsets, np.int32).reshape(-1, 2)
    return Window(0, ids, types, context_start, places, (0, len(offsets)))


def targets(window: Window, *answers: tuple[int, int]) -> list[tuple[int, int]]:
    found = span_targets(window, [Span(*answer) for answer in answers])
    assert found.dtype == np.int32
    return [tuple(row) for row in found.tolist()]


def words_of(window: Window) -> dict[int, range]:
    """The characters of each position that holds more than whitespace."""
    offsets = enumerate(window.offsets.tolist(), window.context_start)
    return {place: range(begin, end) for place, (begin, end) in offsets if begin < end}


@given(context=contexts, kind=kinds, data=st.data())
def test_targets_follow_their_definition(context: str, kind: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[kind]
    ends = st.integers(0, len(context))
    drawn = data.draw(st.lists(st.tuples(ends, ends).map(sorted), max_size=3))
    answers = [Span(start, end) for start, end in drawn if start < end]
    settings = WindowSettings(max_seq_len=data.draw(st.sampled_from([40, 200])), doc_stride=4)
    question, tokens = tokenizer.encode(QUESTION).ids, tokenizer.encode(context)
    for window in make_windows(question, tokens, tokenizer.template, settings):
        found = targets(window, *((answer.start, answer.end) for answer in answers))
        words = words_of(window)
        seen = {character for word in words.values() for character in word}
        touched = [answer for answer in answers if seen.intersection(range(answer.start, answer.end))]
        whole = [answer for answer in touched if min(seen) <= answer.start and answer.end <= max(seen) + 1]
        assert (found == [NULL_TARGET]) == (not touched)
        assert (found == []) == (bool(touched) and not whole)
        for answer in whole:
            wanted = range(answer.start, answer.end)
            places = [place for place, word in words.items() if set(word).intersection(wanted)]
            assert (min(places), max(places)) in found
        assert len(found) == len(set(found)) <= max(1, len(whole))


def test_targets_of_words_and_of_parts_of_words() -> None:
    window = window_of((0, 3), (4, 7), (7, 10), (11, 15))
    assert targets(window, (4, 10)) == [(5, 6)]
    assert targets(window, (5, 8)) == [(5, 6)]
    assert targets(window, (0, 15)) == [(4, 7)]
    assert targets(window, (11, 15), (0, 3), (12, 14)) == [(7, 7), (4, 4)]


def test_targets_are_null_where_no_part_of_an_answer_stands() -> None:
    window = window_of((20, 23), (24, 27))
    assert targets(window) == targets(window, (0, 20)) == targets(window, (27, 40)) == [NULL_TARGET]
    assert targets(window, (0, 3), (24, 27)) == [(5, 5)]


@pytest.mark.parametrize("answer", [(19, 23), (24, 28), (10, 21), (0, 90)])
def test_targets_are_empty_where_an_answer_is_cut(answer: tuple[int, int]) -> None:
    window = window_of((20, 23), (24, 27))
    assert targets(window, answer) == []
    assert targets(window, answer, (20, 23)) == [(4, 4)]


def test_targets_are_never_whitespace_tokens() -> None:
    window = window_of((0, 0), (0, 3), (4, 4), (4, 7), (8, 8))
    assert targets(window, (0, 7)) == [(5, 7)]
    assert targets(window, (3, 7)) == [(7, 7)]
    assert targets(window, (3, 4)) == [NULL_TARGET]
    assert targets(window_of((2, 2), (5, 5)), (0, 9)) == targets(window_of(), (0, 9)) == [NULL_TARGET]


def test_targets_do_not_mind_characters_that_no_token_holds() -> None:
    # "cafe\u0301 noir": the accent belongs to no token; nor does the answer's outer whitespace
    window = window_of((0, 4), (6, 10))
    assert targets(window, (0, 5)) == [(4, 4)]
    assert targets(window, (5, 10)) == [(5, 5)]


def test_targets_stand_in_the_windows_own_tokens() -> None:
    tokenizer = TOKENIZERS["wordpiece"]
    context = " ".join(SENTENCES[:3])
    begin = context.index("Ada")
    tokens = tokenizer.encode(context)
    windows = list(
        make_windows(tokenizer.encode(QUESTION).ids, tokens, tokenizer.template, WindowSettings(48, doc_stride=8))
    )
    found = [targets(window, (begin, begin + len("Ada Lovelace"))) for window in windows]
    holding = [number for number, one in enumerate(found) if one not in ([], [NULL_TARGET])]
    assert 0 not in holding
    for number in holding:
        window, ((first, last),) = windows[number], found[number]
        places = window.offsets[[first - window.context_start, last - window.context_start]]
        assert context[places[0, 0] : places[1, 1]] == "Ada Lovelace"
    assert holding
