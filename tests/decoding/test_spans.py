import itertools
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from polyspan.decoding import Calibration, Candidate, SpanSettings, decode_window, whole_characters
from polyspan.decoding.merge import overlaps
from polyspan.errors import InputError
from polyspan.types import FloatArray, Span, Window

HEAD = 5  # special and question tokens before the context
TAIL = 3  # one special token and two of padding, which must not count


def window_of(
    offsets: Sequence[tuple[int, int]],
    owned: tuple[int, int] | None = None,
    context: int = 0,
    blocks: Sequence[int] | None = None,
) -> Window:
    size = HEAD + len(offsets) + 1
    return Window(
        context=context,
        input_ids=np.zeros(size, np.int32),
        type_ids=np.zeros(size, np.int32),
        context_start=HEAD,
        offsets=np.array(offsets, np.int32).reshape(-1, 2),
        owned=(0, len(offsets)) if owned is None else owned,
        blocks=None if blocks is None else np.array(blocks, np.int32),
    )


def logits_of(seed: int, tokens: int, scale: float = 5.0) -> tuple[FloatArray, FloatArray]:
    """Random logits, the highest outside the context, where no span may come from."""
    generator = np.random.default_rng(seed)
    start, end = (generator.normal(0, scale, HEAD + tokens + TAIL).astype(np.float32) for _ in range(2))
    for logits in (start, end):
        logits[1:HEAD] = logits[HEAD + tokens :] = 100 * scale
    return start, end


@st.composite
def token_offsets(draw: st.DrawFn, most: int = 30) -> list[tuple[int, int]]:
    """Offsets as tokenizers give them: blank tokens, gaps, several tokens on one character, nested starts."""
    offsets, place = [], draw(st.integers(0, 3))
    for kind in draw(st.lists(st.sampled_from("wwwwgbsn"), max_size=most)):
        size = draw(st.integers(1, 4))
        if kind == "b":
            offsets.append((place, place))
        elif kind == "s" and offsets:
            offsets.append(offsets[-1])
        elif kind == "n":
            offsets += [(place, place + 1), (place, place + size)]
            place += size
        else:
            place += kind == "g"
            offsets.append((place, place + size))
            place += size
    return offsets


def spans_by_force(
    window: Window, start: FloatArray, end: FloatArray, max_answer_len: int
) -> list[tuple[int, int, float]]:
    """All allowed (first token, last token, score), counted in tokens of the context."""
    offsets = window.offsets.tolist()
    blocks = [0] * len(offsets) if window.blocks is None else window.blocks.tolist()
    return [
        (i, j, float(start[HEAD + i]) + float(end[HEAD + j]))
        for i in range(len(offsets))
        for j in range(i, min(i + max_answer_len, len(offsets)))
        if offsets[i][0] < offsets[i][1] and offsets[j][0] < offsets[j][1] and blocks[i] == blocks[j]
    ]


def decode_by_force(window: Window, start: FloatArray, end: FloatArray, settings: SpanSettings) -> list[Candidate]:
    offsets = window.offsets.tolist()
    null = float(start[0]) + float(end[0]) if settings.null_trained else 0.0
    kept: list[Candidate] = []
    for i, j, score in sorted(
        spans_by_force(window, start, end, settings.max_answer_len), key=lambda one: (-one[2], one[0], one[1])
    ):
        span = Span(offsets[i][0], offsets[j][1])
        if len(kept) < settings.top_k and not any(overlaps(span, one.span, settings.overlap_threshold) for one in kept):
            kept.append(Candidate(window.context, span, score, null - score))
    return kept


@settings(max_examples=300)
@given(
    offsets=token_offsets(),
    seed=st.integers(0, 2**32 - 1),
    max_answer_len=st.sampled_from([1, 2, 3, 7, 64]),
    top_k=st.sampled_from([1, 2, 5, 1000]),
    overlap_threshold=st.sampled_from([0.0, 0.01, 0.5, 1.0]),
    temperature=st.sampled_from([0.5, 1.0, 3.0]),
    null_trained=st.booleans(),
    scale_and_block_size=st.tuples(st.sampled_from([0.0, 5.0]), st.sampled_from([None, 1, 2, 5])),
)
def test_spans_equal_brute_force(
    offsets: list[tuple[int, int]],
    seed: int,
    max_answer_len: int,
    top_k: int,
    overlap_threshold: float,
    temperature: float,
    null_trained: bool,
    scale_and_block_size: tuple[float, int | None],
) -> None:
    scale, block_size = scale_and_block_size
    start, end = logits_of(seed, len(offsets), scale)
    choice = SpanSettings(max_answer_len, top_k, overlap_threshold, temperature, null_trained)
    owned = tuple(sorted(int(place) for place in np.random.default_rng(seed).integers(0, len(offsets) + 1, 2)))
    blocks = None if block_size is None else [place // block_size for place in range(len(offsets))]
    window = window_of(offsets, owned=(owned[0], owned[1]), context=3, blocks=blocks)
    decoded = decode_window(window, start, end, choice)
    assert list(decoded.candidates) == decode_by_force(window, start, end, choice)
    null = float(start[0]) + float(end[0]) if null_trained else 0.0
    weights = [
        (score - null) / temperature
        for i, _, score in spans_by_force(window, start, end, max_answer_len)
        if owned[0] <= i < owned[1]
    ]
    assert decoded.log_mass == pytest.approx(np.logaddexp.reduce(weights, initial=-np.inf), abs=1e-6)


@given(offsets=token_offsets(), seed=st.integers(0, 2**32 - 1), top_k=st.integers(1, 8))
def test_spans_lie_between_tokens_that_are_not_blank(offsets: list[tuple[int, int]], seed: int, top_k: int) -> None:
    start, end = logits_of(seed, len(offsets))
    found = decode_window(window_of(offsets), start, end, SpanSettings(top_k=top_k)).candidates
    written = [offset for offset in offsets if offset[0] < offset[1]]
    assert {one.span.start for one in found} <= {offset[0] for offset in written}
    assert {one.span.end for one in found} <= {offset[1] for offset in written}
    assert all(one.span.start < one.span.end for one in found)
    assert [one.raw_score for one in found] == sorted((one.raw_score for one in found), reverse=True)
    assert (len(found) > 0) == (len(written) > 0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("null", [1e6, -1e6])
def test_spans_of_huge_logits(sign: float, null: float) -> None:
    offsets = [(2 * i, 2 * i + 1) for i in range(20)]
    start, end = logits_of(1, 20, scale=0.001)
    start[HEAD + 7] = end[HEAD + 9] = sign * 1e6
    start[0] = end[0] = null
    with np.errstate(all="raise", under="ignore"):
        decoded = decode_window(window_of(offsets), start, end, SpanSettings(temperature=0.1))
    best = decoded.candidates[0]
    assert np.isfinite([decoded.log_mass, best.raw_score, best.null_margin]).all()
    if sign > 0:
        assert (best.span, best.raw_score, best.null_margin) == (Span(14, 19), 2e6, 2 * null - 2e6)
        assert decoded.log_mass == pytest.approx((2e6 - 2 * null) / 0.1)


def test_spans_give_fewer_than_top_k_where_there_are_fewer() -> None:
    offsets = [(0, 3), (4, 4), (4, 9)]
    start, end = logits_of(0, 3)
    assert len(decode_window(window_of(offsets), start, end, SpanSettings(top_k=50)).candidates) <= 2
    every = decode_window(window_of(offsets), start, end, SpanSettings(top_k=50, overlap_threshold=1))
    assert {one.span for one in every.candidates} == {Span(0, 3), Span(4, 9), Span(0, 9)}


@pytest.mark.parametrize("max_answer_len", [1, 64])
def test_spans_of_one_token(max_answer_len: int) -> None:
    start, end = logits_of(0, 1)
    decoded = decode_window(
        window_of([(3, 8)], context=4), start, end, SpanSettings(max_answer_len, null_trained=False)
    )
    score = float(start[HEAD]) + float(end[HEAD])
    assert decoded.candidates == (Candidate(4, Span(3, 8), score, -score),)
    assert decoded.log_mass == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("offsets", [[], [(3, 3)], [(0, 0), (5, 5)]])
def test_spans_of_nothing(offsets: list[tuple[int, int]]) -> None:
    start, end = logits_of(0, len(offsets))
    decoded = decode_window(window_of(offsets), start, end, SpanSettings())
    assert decoded.candidates == ()
    assert decoded.log_mass == -np.inf


@given(
    offsets=token_offsets(),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    max_answer_len=st.sampled_from([1, 4, 64]),
)
def test_spans_of_one_window_share_all_of_its_mass(
    offsets: list[tuple[int, int]], seed: int, temperature: float, max_answer_len: int
) -> None:
    window = window_of(offsets)
    start, end = logits_of(seed, len(offsets))
    spans = spans_by_force(window, start, end, max_answer_len)
    assume(spans)
    decoded = decode_window(window, start, end, SpanSettings(max_answer_len, temperature=temperature))
    calibration = Calibration(span_temperature=temperature)
    null = float(start[0]) + float(end[0])
    shares = [calibration.share(null - score, decoded.log_mass) for _, _, score in spans]
    assert sum(shares) == pytest.approx(1, abs=1e-6)


@given(seed=st.integers(0, 1000), tokens=st.integers(12, 30))
def test_spans_of_overlapping_windows_count_once(seed: int, tokens: int) -> None:
    """Two windows with equal logits on their overlap of 8 weigh as much as one window over everything."""
    offsets = [(3 * i, 3 * i + 2) for i in range(tokens)]
    start, end = logits_of(seed, tokens)
    choice = SpanSettings(max_answer_len=4)
    cut = tokens - 10
    left, right = window_of(offsets[: cut + 8], owned=(0, cut + 4)), window_of(offsets[cut:], owned=(4, 10))
    masses = []
    for window, first in ((left, 0), (right, cut)):
        inside = slice(HEAD + first, HEAD + first + len(window.offsets))
        halves = [np.concatenate([one[:HEAD], one[inside], one[-TAIL:]]) for one in (start, end)]
        masses.append(decode_window(window, halves[0], halves[1], choice).log_mass)
    whole = decode_window(window_of(offsets), start, end, choice).log_mass
    assert np.logaddexp(masses[0], masses[1]) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize(
    "senseless",
    [
        {"max_answer_len": 0},
        {"top_k": 0},
        {"top_k": -1},
        {"overlap_threshold": -0.1},
        {"overlap_threshold": 1.1},
        {"overlap_threshold": float("nan")},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
    ],
)
def test_spans_refuse_senseless_settings(senseless: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(senseless))):
        SpanSettings(**senseless)  # type: ignore[arg-type]


letters = st.sampled_from("aß橋ไทकি1 .\u0301\u0323\u0e31\u093f\u094d\u20dd\u1112\u1161\u11ab\uff76\uff9e")


@given(text=st.text(letters | st.characters(), min_size=1, max_size=20), data=st.data())
def test_spans_split_no_letter_from_its_marks(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    wide = whole_characters(text, Span(start, end))
    assert 0 <= wide.start <= start < end <= wide.end <= len(text)
    assert wide.start == 0 or not is_mark(text[wide.start])
    assert wide.end == len(text) or not is_mark(text[wide.end])
    assert whole_characters(text, wide) == wide
    assert all(is_mark(character) for character in text[end : wide.end])
    assert wide.start == start or all(is_mark(character) for character in text[wide.start + 1 : start + 1])


def is_mark(character: str) -> bool:
    korean = "\u1160" <= character <= "\u11ff"
    return unicodedata.category(character) in {"Mn", "Mc", "Me"} or korean or character in "\uff9e\uff9f"


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("une cafe\u0301 noire", "cafe", "cafe\u0301"),
        ("वह दिल्ली में", "दिल्ल", "दिल्ली"),
        (
            "in \u1112\u1161\u11ab\u1100\u116e\u11a8 now",
            "\u1112\u1161\u11ab\u1100",
            "\u1112\u1161\u11ab\u1100\u116e\u11a8",
        ),
        ("ｶﾞｽ", "ｶ", "ｶﾞ"),
        ("ที่นี่", "ท", "ที่"),
        ("plain text", "text", "text"),
    ],
)
def test_spans_widen_to_whole_characters(text: str, part: str, whole: str) -> None:
    start = text.index(part)
    span = whole_characters(text, Span(start, start + len(part)))
    assert text[span.start : span.end] == whole


def test_spans_widen_to_the_letter_before_a_mark() -> None:
    assert whole_characters("xe\u0301\u0323y", Span(3, 4)) == Span(1, 4)


def test_spans_overlap_threshold_counts_the_shorter_span() -> None:
    offsets = [(0, 4), (4, 8), (8, 12)]
    found = {}
    for threshold in (0.0, 0.49, 0.5, 1.0):
        start, end = logits_of(2, 3)
        start[HEAD:-TAIL], end[HEAD:-TAIL] = [9, 8, 0], [0, 9, 8.5]
        decoded = decode_window(window_of(offsets), start, end, SpanSettings(top_k=9, overlap_threshold=threshold))
        found[threshold] = [(one.span.start, one.span.end) for one in decoded.candidates]
        assert not any(
            overlaps(one.span, other.span, threshold) for one, other in itertools.combinations(decoded.candidates, 2)
        )
    assert found[0.0] == found[0.49] == [(0, 8), (8, 12)]
    assert (4, 12) in found[0.5]
    assert found[1.0][:2] == [(0, 8), (0, 12)]
