import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch
from torch import Tensor
from torch.nn import functional

from polyspan.training.losses import (
    LayerProjections,
    attention_loss,
    distillation_loss,
    haystack1_loss,
    hidden_loss,
    masked_log_softmax,
    prediction_loss,
    prediction_mse,
    relation_loss,
    span_loss,
)

JUNK = 50.0  # the logit of a position that is not allowed
TEMPERATURE = 3.0


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def logs(*values: float) -> Tensor:
    return row(*values).log()


def trainable(*tensors: Tensor) -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in tensors]


def gradients(loss: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss.sum(), tensors, retain_graph=True, allow_unused=True, materialize_grads=True)


def gradient(loss: Tensor, tensor: Tensor) -> list[float]:
    return [float(value) for value in gradients(loss, tensor)[0].flatten()]


ALLOWED = torch.tensor([[True, True, True, False]])
# softmax over the first three positions: (1, 2, 5) / 8 and (2, 1, 1) / 4
START = torch.cat([logs(1, 2, 5), row(JUNK)], 1)
END = torch.cat([logs(2, 1, 1), row(JUNK)], 1)


def test_losses_masked_log_softmax_by_hand() -> None:
    found = masked_log_softmax(START, ALLOWED).exp()
    torch.testing.assert_close(found, row(1 / 8, 2 / 8, 5 / 8, 0))
    # at temperature 1/2 the odds are squared: (1, 4, 25) / 30
    torch.testing.assert_close(masked_log_softmax(START, ALLOWED, 0.5).exp(), row(1 / 30, 4 / 30, 25 / 30, 0))


def test_losses_masked_log_softmax_of_what_is_not_allowed_is_finite_and_passes_no_gradient() -> None:
    (logits,) = trainable(torch.cat([START[:, :3], row(math.nan)], 1))
    found = masked_log_softmax(logits, ALLOWED)
    assert found.isfinite().all()
    # the sum of the allowed logs has gradients 1 - 3 p = (5, 2, -7) / 8
    assert gradient(found[:, :3], logits) == pytest.approx([5 / 8, 2 / 8, -7 / 8, 0])
    assert gradient(found, logits)[3] == 0


def test_losses_span_loss_of_one_answer_is_the_mean_of_both_cross_entropies() -> None:
    start, end = trainable(START, END)
    loss = span_loss(start, end, ALLOWED, torch.tensor([[[1, 2]]]))
    # -(log(2/8) + log(1/4)) / 2 = log 4
    torch.testing.assert_close(loss, row(math.log(4))[0])
    # (p - [is gold]) / 2
    assert gradient(loss, start) == pytest.approx([1 / 16, -6 / 16, 5 / 16, 0])
    assert gradient(loss, end) == pytest.approx([2 / 8, 1 / 8, -3 / 8, 0])


def test_losses_span_loss_sums_over_whole_gold_spans() -> None:
    start, end = trainable(START, END)
    loss = span_loss(start, end, ALLOWED, torch.tensor([[[1, 2], [2, 2], [1, 2], [-1, -1]]]))
    # 2/8 · 1/4 + 5/8 · 1/4 = 7/32, the repeated span once; each gold span's part of it is 2/7 and 5/7
    torch.testing.assert_close(loss, row(-math.log(7 / 32) / 2)[0])
    # (p - part) / 2: (1/8, 2/8 - 2/7, 5/8 - 5/7) / 2
    assert gradient(loss, start) == pytest.approx([1 / 16, -1 / 56, -5 / 112, 0])
    assert gradient(loss, end) == pytest.approx([2 / 8, 1 / 8, -3 / 8, 0])


def test_losses_span_loss_gives_nothing_for_the_start_of_one_answer_with_the_end_of_another() -> None:
    targets = torch.tensor([[[0, 1], [1, 0]]])
    allowed = torch.tensor([[True, True]])
    # 10 and -10 apart: p(0, 0) is near 1, but neither (0, 1) nor (1, 0) is gold's
    crossed = span_loss(row(10, -10), row(10, -10), allowed, targets)
    right = span_loss(row(10, -10), row(-10, 10), allowed, targets)
    assert crossed.item() > 9
    assert right.item() < 1e-8


def test_losses_span_loss_of_a_window_without_targets_is_zero_and_teaches_nothing() -> None:
    start, end = trainable(START, END)
    loss = span_loss(start, end, ALLOWED, torch.full((1, 2, 2), -1))
    assert loss.tolist() == [0]
    assert gradient(loss, start) == gradient(loss, end) == [0] * 4


def test_losses_span_loss_of_a_target_that_is_not_allowed() -> None:
    outside = torch.tensor([[[3, 3]]])
    assert span_loss(START, END, ALLOWED, outside).tolist() == [math.inf]
    beside = torch.tensor([[[3, 3], [1, 2]]])
    torch.testing.assert_close(span_loss(START, END, ALLOWED, beside), row(math.log(4))[0])


def test_losses_prediction_loss_by_hand() -> None:
    allowed = torch.tensor([[True, True, False]])
    start, end = trainable(torch.cat([2 * logs(1, 3), row(JUNK)], 1), torch.cat([logs(1, 2), row(-JUNK)], 1))
    # logits, and log-probabilities: -inf where there is no probability
    teacher_start, teacher_end = row(7, 7, -JUNK), torch.cat([logs(1 / 3, 2 / 3), row(-math.inf)], 1)
    loss = prediction_loss(start, end, teacher_start, teacher_end, allowed, temperature=2)
    # start at temperature 2: KL((1/2, 1/2) ‖ (1/4, 3/4)) = 1/2 log 2 + 1/2 log 2/3 = 1/2 log 4/3; end: 0
    # 2² · (1/2 log 4/3 + 0) / 2 = log 4/3
    torch.testing.assert_close(loss, row(math.log(4 / 3))[0])
    # T² / 2 · (student - teacher) / T = student - teacher
    assert gradient(loss, start) == pytest.approx([-1 / 4, 1 / 4, 0])
    assert gradient(loss, end) == pytest.approx([0, 0, 0])


def test_losses_prediction_loss_of_a_teacher_without_mass_on_an_allowed_position() -> None:
    student, teacher = row(0, 0), row(0, -math.inf)
    loss = prediction_loss(student, student, teacher, teacher, torch.tensor([[True, True]]), TEMPERATURE)
    # T² · KL((1, 0) ‖ (1/2, 1/2)) = 9 log 2
    torch.testing.assert_close(loss, row(9 * math.log(2))[0])


def test_losses_prediction_mse_by_hand() -> None:
    start, end = trainable(row(1, 2, 6, JUNK), row(5, 5, 5, JUNK))
    loss = prediction_mse(start, end, row(10, 10, 10, -JUNK), row(3, -math.inf, 7, 0), ALLOWED)
    # start: centred (-2, -1, 3) against (0, 0, 0): 14/3; end, without its second: (0, 0) against (-2, 2): 4
    torch.testing.assert_close(loss, row((14 / 3 + 4) / 2)[0])
    # 2 d / n / 2 with d = (-2, -1, 3), n = 3, and d = (2, -2), n = 2
    assert gradient(loss, start) == pytest.approx([-2 / 3, -1 / 3, 1, 0])
    assert gradient(loss, end) == pytest.approx([1, 0, -1, 0])


def test_losses_prediction_mse_does_not_know_an_offset() -> None:
    torch.testing.assert_close(
        prediction_mse(START + 9, END, END, START - 4, ALLOWED), prediction_mse(START, END, END, START, ALLOWED)
    )


def test_losses_distillation_weight_means_what_it_says() -> None:
    prediction, span = row(4, 8)[0], row(2, 2)[0]
    assert distillation_loss(prediction, span, 0.75).tolist() == [3.5, 6.5]
    assert distillation_loss(prediction, span, torch.tensor([1, 0])).tolist() == [4, 2]


def test_losses_haystack1_is_its_formula_letter_by_letter() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, teacher = (torch.randn(3, 7, 2, generator=generator) for _ in range(2))
    targets = torch.tensor([[[1, 4], [2, 2]], [[0, 0], [-1, -1]], [[-1, -1], [-1, -1]]])

    first = targets[:, 0].clamp(0, logits.size(1))
    criterion = torch.nn.CrossEntropyLoss(reduction="none")
    per_sample = (criterion(logits[..., 0], first[:, 0]) + criterion(logits[..., 1], first[:, 1])) / 2
    student_log_probs = functional.log_softmax(logits / TEMPERATURE, dim=-2)
    teacher_probs = functional.softmax(teacher / TEMPERATURE, dim=-2)
    divergence = functional.kl_div(student_log_probs, teacher_probs, reduction="batchmean")
    expected = (divergence * 0.75 * TEMPERATURE**2 + per_sample * (1 - 0.75)).mean()

    found = haystack1_loss(logits[..., 0], logits[..., 1], teacher[..., 0], teacher[..., 1], targets, 0.75, TEMPERATURE)
    torch.testing.assert_close(found, expected)


def test_losses_haystack1_teacher_weighs_twice_as_much_as_it_says() -> None:
    everywhere, answer = torch.ones_like(ALLOWED), torch.tensor([[[1, 2]]])
    # without padding the only differences are KL summed, not averaged, over start and end, and the batch's mean
    mended = distillation_loss(
        2 * prediction_loss(START, END, END, START, everywhere, TEMPERATURE),
        span_loss(START, END, everywhere, answer),
        0.25,
    )
    torch.testing.assert_close(haystack1_loss(START, END, END, START, answer, 0.25, TEMPERATURE), mended.mean())


def test_losses_relation_loss_by_hand() -> None:
    root = math.sqrt(math.log(3))
    # one head of width 1; the teacher's products are ((log 3, 0), (0, 0)), so its relations (3/4, 1/4) and
    # (1/2, 1/2); the student's are all 0, so (1/2, 1/2) twice; the third token is padding
    student, teacher = row(0, 0, JUNK)[..., None], row(root, 0, -JUNK)[..., None]
    loss = relation_loss(student, teacher, torch.tensor([[True, True, False]]), heads=1)
    # the mean over both tokens of 3/4 log 3/2 + 1/4 log 1/2 and 0
    torch.testing.assert_close(loss, row((0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2)[0])


def test_losses_relation_loss_cuts_any_width_into_the_same_heads() -> None:
    root = math.sqrt(math.log(3))
    # two heads: the teacher's, of width 2 each, have products log 3 · √2 once scaled by √2, in the first head only
    scaled = root * 2**0.25
    student = torch.zeros(1, 2, 2, dtype=torch.float64)
    teacher = torch.tensor([[[scaled, 0, 0, 0], [0, 0, 0, 0]]], dtype=torch.float64)
    loss = relation_loss(student, teacher, torch.ones(1, 2, dtype=torch.bool), heads=2)
    torch.testing.assert_close(loss, row((0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 4)[0])


def test_losses_relation_loss_refuses_heads_that_do_not_divide() -> None:
    mask = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(InputError, match="divisor of the student's width 6 and of the teacher's 8, not 4"):
        relation_loss(torch.zeros(1, 3, 6), torch.zeros(1, 3, 8), mask, 4)


def test_losses_hidden_loss_by_hand() -> None:
    projection = torch.nn.Linear(1, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        projection.weight.copy_(torch.tensor([[1], [2]]))
    (student,) = trainable(torch.tensor([[[1], [3], [JUNK]]], dtype=torch.float64))
    teacher = torch.tensor([[[1, 0], [2, 6], [0, 0]]], dtype=torch.float64)
    loss = hidden_loss(student, teacher, torch.tensor([[True, True, False]]), projection)
    # (1, 2) - (1, 0) = (0, 2) and (3, 6) - (2, 6) = (1, 0): (4 + 1) / 4
    torch.testing.assert_close(loss, row(5 / 4)[0])
    # d/dx: 2/4 · (0 · 1 + 2 · 2) and 2/4 · (1 · 1 + 0 · 2); d/dW: 2/4 · (0 · 1 + 1 · 3) and 2/4 · (2 · 1 + 0 · 3)
    assert gradient(loss, student) == pytest.approx([2, 1 / 2, 0])
    assert gradient(loss, projection.weight) == pytest.approx([3 / 2, 1])


def test_losses_attention_loss_by_hand() -> None:
    mask = torch.tensor([[True, True, False]])
    (student,) = trainable(torch.tensor([[[[1, 2, -math.inf], [3, 4, -math.inf], [9, 9, 9]]]]))
    teacher = torch.tensor([[[[1, 0, -math.inf], [0, 4, -math.inf], [1, 1, 1]]]])
    loss = attention_loss(student, teacher, mask)
    assert loss.tolist() == [(2**2 + 3**2) / 4]
    assert gradient(loss, student) == [0, 1, 0, 1.5, 0, 0, 0, 0, 0]


def test_losses_attention_loss_refuses_other_heads() -> None:
    mask = torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(InputError, match=r"\[1, 1, 2, 2\] and the teacher's \[1, 4, 2, 2\] differ"):
        attention_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 2, 2), mask)


def test_losses_layer_projections_have_one_trainable_map_for_each_layer() -> None:
    torch.manual_seed(0)
    layers = LayerProjections(4, 6, 2)
    student, teacher = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 6)
    mask = torch.ones(3, 5, dtype=torch.bool)
    loss = layers(list(student), list(teacher), mask)
    each = [hidden_loss(student[k], teacher[k], mask, layers.projections[k]) for k in range(2)]
    torch.testing.assert_close(loss, (each[0] + each[1]) / 2)
    before = [parameter.clone() for parameter in layers.parameters()]
    loss.sum().backward()
    torch.optim.SGD(layers.parameters(), lr=0.1).step()
    assert [parameter.shape for parameter in before] == [(6, 4)] * 2
    assert all((old != new).any() for old, new in zip(before, layers.parameters(), strict=True))
    with pytest.raises(ValueError, match="argument 2"):
        layers(list(student), list(teacher)[:1], mask)


SHAPES = {  # w windows, t tokens, a answers, h heads
    "start": "wt",
    "end": "wt",
    "hidden": "wts",
    "attention": "whtt",
    "teacher_start": "wt",
    "teacher_end": "wt",
    "teacher_hidden": "wtb",
    "teacher_attention": "whtt",
    "allowed": "wt",
    "mask": "wt",
    "targets": "wa2",
}
STUDENT = ("start", "end", "hidden", "attention")
JUNKS = {torch.float64: JUNK, torch.bool: False, torch.int64: -1}

Case = dict[str, Tensor]


def make_case(windows: int, tokens: int, seed: int) -> Case:
    """Random inputs of every loss: windows of the null position, one token of a question, and the context."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"w": windows, "t": tokens, "a": 2, "2": 2, "h": 2, "s": 4, "b": 6}
    case = {
        name: 3 * torch.randn([sizes[axis] for axis in axes], generator=generator, dtype=torch.float64)
        for name, axes in SHAPES.items()
    }
    case["mask"] = torch.ones(windows, tokens, dtype=torch.bool)
    case["allowed"] = case["mask"].clone()
    case["allowed"][:, 1:2] = False
    case["targets"] = case["targets"].abs().long().clamp(max=tokens - 1)
    case["targets"][case["targets"] == 1] = 0
    return {name: value.requires_grad_(name in STUDENT) for name, value in case.items()}


def padded(case: Case, rows: int, columns: int) -> Case:
    """More windows, tokens and answers, filled with what is neither allowed nor masked in."""
    more = {"w": rows, "t": columns, "a": columns}
    wide = {}
    for name, value in case.items():
        sizes = [size + more.get(axis, 0) for axis, size in zip(SHAPES[name], value.shape, strict=True)]
        wide[name] = torch.full(sizes, JUNKS[value.dtype], dtype=value.dtype)
        inside(wide[name], value)[...] = value.detach()
        wide[name].requires_grad_(name in STUDENT)
    return wide


def inside(wide: Tensor, plain: Tensor) -> Tensor:
    """The part of a padded tensor that was there before."""
    return wide[tuple(slice(size) for size in plain.shape)]


PREDICTIONS = ("start", "end", "teacher_start", "teacher_end", "allowed")
PROJECTION = torch.nn.Linear(4, 6, bias=False, dtype=torch.float64)
with torch.no_grad():
    PROJECTION.weight.copy_(torch.arange(24).view(6, 4) / 10 - 1)


LOSSES: dict[str, tuple[Callable[..., Tensor], tuple[str, ...], dict[str, Any]]] = {
    "span": (span_loss, ("start", "end", "allowed", "targets"), {}),
    "prediction": (prediction_loss, PREDICTIONS, {"temperature": TEMPERATURE}),
    "mse": (prediction_mse, PREDICTIONS, {}),
    "relation": (relation_loss, ("hidden", "teacher_hidden", "mask"), {"heads": 2}),
    "hidden": (hidden_loss, ("hidden", "teacher_hidden", "mask"), {"projection": PROJECTION}),
    "attention": (attention_loss, ("attention", "teacher_attention", "mask"), {}),
}


def loss_of(name: str, case: Case) -> Tensor:
    function, inputs, options = LOSSES[name]
    return function(*(case[one] for one in inputs), **options)


def student(case: Case) -> tuple[Tensor, ...]:
    return tuple(case[name] for name in STUDENT)


@pytest.mark.parametrize("name", LOSSES)
@given(
    windows=st.integers(1, 3),
    tokens=st.integers(1, 6),
    rows=st.integers(0, 2),
    columns=st.integers(0, 40),
    seed=st.integers(0, 2**32),
)
def test_losses_padding_changes_neither_values_nor_gradients(
    name: str, windows: int, tokens: int, rows: int, columns: int, seed: int
) -> None:
    plain = make_case(windows, tokens, seed)
    wide = padded(plain, rows, columns)
    expected, found = loss_of(name, plain), loss_of(name, wide)
    assert (expected >= -1e-12).all()
    torch.testing.assert_close(found[:windows], expected)
    for old, new in zip(gradients(expected, *student(plain)), gradients(found, *student(wide)), strict=True):
        torch.testing.assert_close(inside(new, old), old)
        assert new.count_nonzero() == old.count_nonzero()
    assert not found[windows:].any()


@pytest.mark.parametrize("name", LOSSES)
def test_losses_gradients_are_those_of_finite_differences(name: str) -> None:
    case = padded(make_case(1, 4, seed=3), 1, 1)

    def loss(*inputs: Tensor) -> Tensor:
        return loss_of(name, case | dict(zip(STUDENT, inputs, strict=True)))

    assert torch.autograd.gradcheck(loss, student(case))


@pytest.mark.parametrize("temperature", [0.5, 1, 10])
@pytest.mark.parametrize("alone", [False, True])
def test_losses_of_huge_logits_and_of_a_single_allowed_position_are_finite(temperature: float, alone: bool) -> None:
    huge = torch.tensor([[1e6, -1e6, 1e6, -1e6, 3.0]])
    allowed = torch.tensor([[True, not alone, not alone, False, False]])
    start, end = trainable(huge, -huge)
    targets = torch.tensor([[[0, 0]]]) if alone else torch.tensor([[[1, 2], [2, 2]]])
    losses = [
        span_loss(start, end, allowed, targets),
        prediction_loss(start, end, -huge, huge, allowed, temperature),
        prediction_mse(start, end, -huge, huge, allowed),
        haystack1_loss(start, end, -huge, huge, targets, 0.5, temperature),
    ]
    for loss in losses:
        assert loss.isfinite().all()
        assert all(found.isfinite().all() for found in gradients(loss, start, end))
    if alone:
        assert [loss.item() for loss in losses[:3]] == [0, 0, 0]
