from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError
from polyspan.features import PairTokenizer, WindowSettings, collate, make_windows
from polyspan.types import Int32Array
from tiny import SENTENCES, make_tokenizer

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch

from polyspan.training.alignment import carry_over, mix_distributions
from polyspan.training.losses import distillation_loss, prediction_loss, prediction_mse, span_loss

TOKENIZERS = {kind: PairTokenizer(make_tokenizer(kind)) for kind in ("wordpiece", "bpe", "unigram")}

kinds = st.sampled_from(sorted(TOKENIZERS))
pieces = st.sampled_from(
    [*SENTENCES, " ", "\n\n", "\u00a0", "👩‍👧", "e\u0301", "كتبت الرسالة", "กำแพง", "ﬁ½", "橋は", "\u200b"]
)
texts = st.lists(pieces | st.text(max_size=5), min_size=1, max_size=4).map("".join)


def offsets(*tokens: tuple[int, int]) -> Int32Array:
    return np.array(tokens, np.int32).reshape(-1, 2)


def spread(text: str, *tokens: str) -> Int32Array:
    """The offsets of tokens in the order in which they stand in a text."""
    found, place = [], 0
    for token in tokens:
        begin = text.index(token, place)
        place = begin + len(token)
        found.append((begin, place))
    return offsets(*found)


def random_mass(size: int, seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.full(size, 0.3))


def places(teacher: Int32Array, student: Int32Array) -> list[tuple[int | None, int | None]]:
    """The student's token of each teacher's start and end; None where the mass is dropped."""
    found = []
    for number in range(len(teacher)):
        mass = np.zeros(1 + len(teacher))
        mass[[0, 1 + number]] = 0.5
        carried = carry_over(mass, mass, teacher, student)
        start, end = (int(side[1:].argmax()) if side[1:].any() else None for side in (carried.start, carried.end))
        found.append((start, end))
    return found


def test_alignment_of_one_sentence_in_two_tokenisations_by_hand() -> None:
    text = "The bridge opened."
    teacher = spread(text, "The", "br", "idge", "opened", ".")
    student = spread(text, "The", "bridge", "open", "ed.")
    start = np.array([0.10, 0.10, 0.50, 0.10, 0.15, 0.05])
    end = np.array([0.20, 0.05, 0.05, 0.10, 0.40, 0.20])
    carried = carry_over(start, end, teacher, student)
    # starts: "br" and "idge" begin in "bridge", "opened" in "open", "." in "ed."
    np.testing.assert_allclose(carried.start, [0.10, 0.10, 0.50 + 0.10, 0.15, 0.05])
    # ends: "br" and "idge" end in "bridge", "opened" and "." in "ed."
    np.testing.assert_allclose(carried.end, [0.20, 0.05, 0.05 + 0.10, 0, 0.40 + 0.20])
    assert carried.kept == pytest.approx(1)


def test_alignment_drops_what_lies_outside_the_window_and_scales_the_rest() -> None:
    text = "The bridge opened."
    teacher = spread(text, "The", "br", "idge", "opened", ".")
    student = spread(text, "bridge", "open")
    start = np.array([0.10, 0.30, 0.20, 0.10, 0.20, 0.10])
    end = np.array([0.10, 0.10, 0.20, 0.10, 0.10, 0.40])
    carried = carry_over(start, end, teacher, student)
    # starts: 0.3 of "The" and 0.1 of "." go, 0.6 stays
    np.testing.assert_allclose(carried.start, [1 / 6, 3 / 6, 2 / 6])
    # ends: 0.1 of "The" and 0.4 of "." go, 0.5 stays; "opened" is inside in part, and ends with the last token
    np.testing.assert_allclose(carried.end, [1 / 5, 3 / 5, 1 / 5])
    assert carried.kept == pytest.approx(0.5)


def test_alignment_without_anything_left_gives_all_to_null() -> None:
    mass = np.array([0.0, 1.0])
    carried = carry_over(mass, mass, offsets((0, 3)), offsets((10, 12), (12, 14)))
    assert carried.start.tolist() == carried.end.tolist() == [1, 0, 0]
    assert carried.kept == 0


@pytest.mark.parametrize("student", [offsets(), offsets((3, 3), (5, 5))])
def test_alignment_to_a_window_without_words_keeps_null(student: Int32Array) -> None:
    mass = np.array([0.25, 0.75])
    carried = carry_over(mass, mass, offsets((2, 6)), student)
    assert carried.start.tolist() == [1] + [0] * len(student)
    assert carried.kept == 0.25


def test_alignment_where_no_token_contains_the_character() -> None:
    # "a (b) c": the student has no token for brackets
    teacher, student = offsets((0, 1), (2, 3), (3, 4), (4, 5), (6, 7)), offsets((0, 1), (3, 4), (6, 7))
    assert places(teacher, student) == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]


def test_alignment_of_whitespace_tokens() -> None:
    # the teacher's "▁" before a word is an empty offset at the word's begin; the student's own gets nothing
    assert places(offsets((0, 2), (3, 3), (3, 5)), offsets((0, 2), (3, 5))) == [(0, 0), (1, 0), (1, 1)]
    assert places(offsets((0, 2), (3, 5)), offsets((0, 2), (3, 3), (3, 5))) == [(0, 0), (2, 2)]
    assert places(offsets((3, 3), (3, 5)), offsets((3, 5)))[0] == (0, None)


def test_alignment_of_tokens_that_share_a_character() -> None:
    # byte-level tokens of one emoji: one by one where both have them, its first for starts and its last for ends
    shared = offsets((0, 1), (1, 2), (1, 2), (1, 2), (2, 3))
    assert places(shared, shared) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]
    assert places(shared, shared[1:]) == [(None, None), (0, 0), (1, 1), (2, 2), (3, 3)]
    assert places(shared, offsets((0, 1), (1, 2), (2, 3))) == [(0, 0), (1, 1), (1, 1), (1, 1), (2, 2)]
    assert places(offsets((0, 2), (2, 3)), shared) == [(0, 3), (4, 4)]


def test_alignment_of_japanese() -> None:
    text = "橋は1874年に開通"
    teacher = spread(text, *text)
    student = spread(text, "橋は", "1874", "年に開", "通")
    expected = [0, 0, 1, 1, 1, 1, 2, 2, 2, 3]
    assert places(teacher, student) == [(place, place) for place in expected]
    # and back: a start at the first character, an end at the last
    assert places(student, teacher) == [(0, 1), (2, 5), (6, 8), (9, 9)]


def test_alignment_of_arabic() -> None:
    text = "كتبت الرسالة سيدة"  # characters count in reading order, from the right
    teacher = spread(text, "كتبت", "ال", "رسالة", "سيدة")
    student = spread(text, "كت", "بت", "الرسالة", "سيد", "ة")
    assert places(teacher, student) == [(0, 1), (2, 2), (2, 2), (3, 4)]


def by_definition(
    teacher: Int32Array, student: Int32Array, mass: npt.NDArray[np.float64], *, ends: bool
) -> npt.NDArray[np.float64]:
    """The mass that stays on null and the student's tokens, unscaled, token by token."""
    result = np.zeros(1 + len(student))
    result[0] = mass[0]
    words = [number for number, (begin, end) in enumerate(student.tolist()) if begin < end]
    for number, (first, stop) in enumerate(teacher.tolist()):
        before = teacher[:number].tolist().count([first, stop])
        same = [place for place, token in enumerate(student.tolist()) if token == [first, stop]]
        if before < len(same):
            result[1 + same[before]] += mass[1 + number]
        elif words and first < student[words[-1], 1] and max(first, stop - 1) >= student[words[0], 0]:
            if ends:
                found = [word for word in words if student[word, 0] < stop][-1:]
            else:
                found = [word for word in words if student[word, 1] > first][:1]
            for word in found:
                result[1 + word] += mass[1 + number]
    return result


@given(texts, kinds, kinds, st.data())
def test_alignment_equals_its_definition(text: str, teacher_kind: str, student_kind: str, data: st.DataObject) -> None:
    teacher, student = (TOKENIZERS[kind].encode(text).offsets for kind in (teacher_kind, student_kind))
    first = data.draw(st.integers(0, len(student)))
    student = student[first : data.draw(st.integers(first, len(student)))]
    start, end = (random_mass(1 + len(teacher), data.draw(st.integers(0, 2**32))) for _ in range(2))
    carried = carry_over(start, end, teacher, student)
    expected_start = by_definition(teacher, student, start, ends=False)
    expected_end = by_definition(teacher, student, end, ends=True)
    assert carried.kept == pytest.approx(min(expected_start.sum(), expected_end.sum()))
    np.testing.assert_allclose(carried.start * expected_start.sum(), expected_start, atol=1e-12)
    np.testing.assert_allclose(carried.end * expected_end.sum(), expected_end, atol=1e-12)


@given(texts, kinds, kinds, st.integers(0, 2**32))
def test_alignment_conserves_mass(text: str, teacher_kind: str, student_kind: str, seed: int) -> None:
    teacher, student = (TOKENIZERS[kind].encode(text).offsets for kind in (teacher_kind, student_kind))
    mass = random_mass(1 + len(teacher), seed)
    carried = carry_over(mass, mass, teacher, student)
    assert 0 <= carried.kept <= 1 + 1e-12
    for side in (carried.start, carried.end):
        assert side.shape == (1 + len(student),)
        assert (side >= 0).all()
        assert side.sum() == pytest.approx(1)


@given(texts, kinds, st.integers(0, 2**32))
def test_alignment_of_the_same_tokens_is_the_identity(text: str, kind: str, seed: int) -> None:
    tokens = TOKENIZERS[kind].encode(text).offsets
    start, end = random_mass(1 + len(tokens), seed), random_mass(1 + len(tokens), seed + 1)
    carried = carry_over(start, end, tokens, tokens)
    np.testing.assert_allclose(carried.start, start, atol=1e-15)
    np.testing.assert_allclose(carried.end, end, atol=1e-15)
    assert carried.kept == pytest.approx(1)


def softmax(logits: torch.Tensor) -> npt.NDArray[np.float64]:
    return np.asarray(logits.double().softmax(-1))


@pytest.mark.parametrize("kind", sorted(TOKENIZERS))
def test_alignment_with_identical_tokenizers_gives_the_plain_loss(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    texts = "The bridge \u200b was\u00a0opened 👩‍👧 in 1874.", " ".join(SENTENCES)
    windows = [
        window
        for text in texts
        for window in make_windows(
            tokenizer.encode("Who?").ids, tokenizer.encode(text), tokenizer.template, WindowSettings(48, 16, 16)
        )
    ]
    torch.manual_seed(0)
    shape = collate(windows, 0).input_ids.shape
    start, end = (torch.randn(shape).mul(4).requires_grad_() for _ in range(2))
    teacher_start, teacher_end = torch.randn(shape) * 8, torch.randn(shape) * 8
    allowed = torch.zeros(shape, dtype=torch.bool)
    carried_start, carried_end = torch.full(shape, -torch.inf), torch.full(shape, -torch.inf)
    for row, window in enumerate(windows):
        seen = [0, *range(window.context_start, window.context_start + len(window.offsets))]
        allowed[row, seen] = True
        carried = carry_over(
            softmax(teacher_start[row, seen]), softmax(teacher_end[row, seen]), window.offsets, window.offsets
        )
        carried_start[row, seen] = torch.from_numpy(carried.start).log().float()
        carried_end[row, seen] = torch.from_numpy(carried.end).log().float()
    span = span_loss(start, end, allowed, torch.zeros(len(windows), 1, 2, dtype=torch.int64))

    def mixed(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return distillation_loss(prediction_loss(start, end, one, other, allowed, 3.0), span, 0.75)

    def squared(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return prediction_mse(start, end, one, other, allowed)

    assert len(windows) > 3
    for loss in (mixed, squared):
        plain, across = loss(teacher_start, teacher_end), loss(carried_start, carried_end)
        torch.testing.assert_close(across, plain, rtol=1e-5, atol=1e-5)
        plain_gradient, across_gradient = (
            torch.autograd.grad(value.sum(), [start, end], retain_graph=True) for value in (plain, across)
        )
        torch.testing.assert_close(across_gradient, plain_gradient, rtol=1e-5, atol=1e-5)


def test_alignment_mixes_teachers_by_weight() -> None:
    one, other = np.array([0.2, 0.8, 0.0]), np.array([0.6, 0.0, 0.4])
    np.testing.assert_allclose(mix_distributions([one, other], [3, 1]), [0.3, 0.6, 0.1])
    np.testing.assert_allclose(mix_distributions([one, other], [0, 0.5]), other)
    np.testing.assert_allclose(mix_distributions([one], [7]), one)


@pytest.mark.parametrize("weights", [[], [1], [1, 1, 1], [0, 0], [2, -1]])
def test_alignment_refuses_weights_that_mix_nothing(weights: Sequence[float]) -> None:
    with pytest.raises(InputError, match="expected one for each of 2 teachers, none negative and one above 0"):
        mix_distributions([np.array([1.0]), np.array([1.0])], weights)
