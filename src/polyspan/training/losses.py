"""What a student is taught by: gold answers, a teacher's predictions, a teacher's inner layers.

Logits have shape [windows, tokens]; ``allowed``, bool [windows, tokens], is true on context tokens and on the null
position 0, and nothing else enters a softmax. Losses come per window, [windows], for the caller to weight and
average, and padding changes neither them nor their gradients. All is computed in the precision given: float32.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from polyspan.errors import InputError


def masked_log_softmax(logits: torch.Tensor, allowed: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """The log of softmax(logits / temperature) over the ``allowed`` positions of the last axis.

    The others hold the lowest finite number in place of -inf, so that products with their probability of 0 are 0,
    not NaN, and they pass no gradient.
    """
    lowest = torch.finfo(logits.dtype).min
    inside = (logits / temperature).masked_fill(~allowed, lowest)
    return torch.log_softmax(inside, -1).masked_fill(~allowed, lowest)


def span_loss(
    start_logits: torch.Tensor, end_logits: torch.Tensor, allowed: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Half the negative log of the probability of all gold spans together, [windows].

    -1/2 log sum over gold (i, j) of p_start(i) p_end(j), which for one gold span is the mean of both cross-entropies.
    It is the marginal likelihood of Clark and Gardner (2018), who sum over starts and over ends apart; over whole
    spans the start of one answer with the end of another earns nothing.

    Args:
        start_logits: [windows, tokens].
        end_logits: the same for ends.
        allowed: bool [windows, tokens].
        targets: int64 [windows, answers, 2], the first and last token of each gold span, padded with -1; (0, 0) alone
            for an unanswerable window. Repeated spans count once. A window without any has a loss of 0; a gold span
            on positions that are not allowed has no probability.
    """
    first, last = targets.clamp(min=0).unbind(-1)
    start = masked_log_softmax(start_logits, allowed).gather(1, first)
    end = masked_log_softmax(end_logits, allowed).gather(1, last)
    same = (targets[:, :, None] == targets[:, None]).all(-1)
    gold = (targets[..., 0] >= 0) & ~same.tril(-1).any(-1)
    total = (start + end).masked_fill(~gold, torch.finfo(start.dtype).min).logsumexp(-1)
    return (-total / 2).masked_fill(~gold.any(-1), 0)


def prediction_loss(
    start_logits: torch.Tensor,
    end_logits: torch.Tensor,
    teacher_start: torch.Tensor,
    teacher_end: torch.Tensor,
    allowed: torch.Tensor,
    temperature: float = 1.0,
) -> torch.Tensor:
    """T² KL(teacher ‖ student) at temperature T, the mean of start and end, [windows] (Hinton et al., 2015).

    The teacher's [windows, tokens] are logits or log-probabilities at temperature 1, which are the same to a softmax;
    -inf is no probability. The student's are logits.
    """
    start = _divergence(start_logits, teacher_start, allowed, temperature)
    end = _divergence(end_logits, teacher_end, allowed, temperature)
    return temperature**2 * (start + end) / 2


def prediction_mse(
    start_logits: torch.Tensor,
    end_logits: torch.Tensor,
    teacher_start: torch.Tensor,
    teacher_end: torch.Tensor,
    allowed: torch.Tensor,
) -> torch.Tensor:
    """Mean squared difference of student's and teacher's logits, the mean of start and end, [windows].

    Both are centred first, over the allowed positions, for a softmax does not know what is added to all logits.
    Positions where the teacher is -inf are left out: it has no logit there.
    """
    start = _centred_mse(start_logits, teacher_start, allowed)
    end = _centred_mse(end_logits, teacher_end, allowed)
    return (start + end) / 2


def distillation_loss(prediction: torch.Tensor, span: torch.Tensor, weight: float | torch.Tensor) -> torch.Tensor:
    """The sum weight · prediction + (1 - weight) · span, [windows].

    ``weight``, 0 to 1, is one number, or one for each window: 1 where no answer is known, 0 where no teacher spoke.
    """
    return weight * prediction + (1 - weight) * span


def haystack1_loss(
    start_logits: torch.Tensor,
    end_logits: torch.Tensor,
    teacher_start: torch.Tensor,
    teacher_end: torch.Tensor,
    targets: torch.Tensor,
    weight: float,
    temperature: float,
) -> torch.Tensor:
    """The loss of Haystack 1's prediction-layer distillation with its faults, one number for the whole batch.

    It reproduces ``DistillationTrainer.compute_loss`` (haystack/modeling/training/base.py) on top of
    ``QuestionAnsweringHead.logits_to_loss``: softmaxes over all positions, question, special tokens and padding too
    (Haystack padded each window to max_seq_len); KL summed over start and end, but cross-entropy averaged over them,
    so that the teacher weighs more than ``weight``; the first gold answer only. All logits are [windows, tokens],
    ``targets`` as in ``span_loss``.
    """
    student = torch.stack([start_logits, end_logits]) / temperature
    teacher = torch.stack([teacher_start, teacher_end]) / temperature
    divergence = functional.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="sum") / len(start_logits)
    first, last = targets[:, 0].clamp(min=0).unbind(-1)
    start, end = functional.cross_entropy(start_logits, first), functional.cross_entropy(end_logits, last)
    return weight * temperature**2 * divergence + (1 - weight) * (start + end) / 2


def relation_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, heads: int) -> torch.Tensor:
    """KL(teacher ‖ student) of self-attention relations, the mean over heads and tokens, [windows].

    Relations are softmax(x xᵀ / √d) of a layer's queries, keys or values x, cut anew into ``heads`` pieces of d
    numbers, so that student and teacher may differ in width and in attention heads (MiniLMv2, Wang et al., 2021).

    Args:
        student: queries, keys or values of all attention heads side by side, [windows, tokens, width].
        teacher: the same of the teacher, its width may differ.
        mask: bool [windows, tokens], true on tokens and false on padding.
        heads: relation heads.

    Raises:
        InputError: as ``check_relation_heads``.
    """
    check_relation_heads(student.shape[-1], teacher.shape[-1], heads)
    rows = _divergence(_relations(student, heads), _relations(teacher, heads), mask[:, None, None])
    return _masked_mean(rows, mask[:, None])


def check_relation_heads(student_width: int, teacher_width: int, heads: int) -> None:
    """InputError if relation heads do not divide both widths."""
    if student_width % heads or teacher_width % heads:
        raise InputError(
            f"relation_heads: expected a divisor of the student's width {student_width} and of the teacher's "
            f"{teacher_width}, not {heads}"
        )


def hidden_loss(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, projection: nn.Module
) -> torch.Tensor:
    """Mean squared difference of hidden states over tokens and the teacher's width, [windows].

    TinyBERT's, Jiao et al., 2020. ``projection`` takes the student's states [windows, tokens, student width] to the
    teacher's width; ``mask``, bool [windows, tokens], is false on padding.
    """
    return _masked_mean((projection(student) - teacher).square(), mask[..., None])


def attention_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of attention scores over heads and pairs of tokens, [windows].

    TinyBERT's, Jiao et al., 2020. Scores are [windows, heads, tokens, tokens], before the softmax in that paper;
    ``mask``, bool [windows, tokens], is false on padding, where they may be -inf.

    Raises:
        InputError: if student and teacher differ in shape.
    """
    if student.shape != teacher.shape:
        raise InputError(
            f"attention scores: the student's {list(student.shape)} and the teacher's {list(teacher.shape)} differ; "
            "expected as many attention heads, learn from relations otherwise"
        )
    pairs = mask[:, None, :, None] & mask[:, None, None, :]
    return _masked_mean((student - teacher).masked_fill(~pairs, 0).square(), pairs)


class LayerProjections(nn.Module):
    """The hidden loss of several mapped layers, each with a trainable projection of its own.

    Its parameters belong into the optimiser beside the student's. They begin as the identity, padded with zeros where
    the widths differ.
    """

    def __init__(self, student_width: int, teacher_width: int, layers: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(student_width, teacher_width, bias=False) for _ in range(layers))
        for weight in self.projections.parameters():
            nn.init.eye_(weight)

    def forward(
        self, student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], mask: torch.Tensor
    ) -> torch.Tensor:
        """The mean of ``hidden_loss`` over the layers, [windows]; one student and one teacher state each."""
        layers = zip(student, teacher, self.projections, strict=True)
        return torch.stack([hidden_loss(one, other, mask, projection) for one, other, projection in layers]).mean(0)


def _divergence(
    student: torch.Tensor, teacher: torch.Tensor, allowed: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """KL(teacher ‖ student) over the last axis."""
    target = masked_log_softmax(teacher, allowed, temperature).exp()
    return functional.kl_div(masked_log_softmax(student, allowed, temperature), target, reduction="none").sum(-1)


def _centred_mse(student: torch.Tensor, teacher: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    known = allowed & (teacher > -torch.inf)
    difference = (student - teacher).masked_fill(~known, 0)
    return _masked_mean((difference - _masked_mean(difference, known)[:, None]).square(), known)


def _relations(vectors: torch.Tensor, heads: int) -> torch.Tensor:
    """Scaled dot products, [windows, heads, tokens, tokens]."""
    windows, tokens, width = vectors.shape
    pieces = vectors.reshape(windows, tokens, heads, width // heads).transpose(1, 2)
    return pieces @ pieces.mT / math.sqrt(width // heads)


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of each window's values where ``mask``, which broadcasts to them, is true; 0 where it nowhere is."""
    mask = mask.expand_as(values)
    return values.masked_fill(~mask, 0).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)
