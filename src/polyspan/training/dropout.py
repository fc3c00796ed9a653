"""Dropout that costs a CPU little: random bytes, eight from each number that is drawn.

torch draws one number for each value, one after the other, which took half the time of a step.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

STEPS = 256
ATTENTION = "polyspan_eager"


def dropout(values: torch.Tensor, probability: float, training: bool) -> torch.Tensor:
    """Values of which each is 0 with ``probability`` and else scaled up, so that the mean stays.

    That is Srivastava et al., 2014. On a CPU the probability is rounded to a 256th. Elsewhere this is torch's own.
    """
    if values.device.type != "cpu" or not training:
        return torch.nn.functional.dropout(values, probability, training)
    return _drop(values, probability, values.shape)


def _drop(values: torch.Tensor, probability: float, shape: Sequence[int]) -> torch.Tensor:
    """Values times random factors of a ``shape`` that is broadcast to theirs."""
    dropped = round(probability * STEPS)
    if dropped in {0, STEPS}:
        return values * (0.0 if dropped else 1.0)
    count = math.prod(shape)
    words = torch.randint(-(2**63), 2**63 - 1, (-(-count // 8),), dtype=torch.int64)
    kept = words.view(torch.uint8)[:count].view(*shape) >= dropped
    return values * kept.to(values.dtype).mul_(STEPS / (STEPS - dropped))


class CheapDropout(torch.nn.Module):
    """A module around ``dropout``."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.p = probability

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The same shape."""
        return dropout(values, self.p, self.training)


def use_cheap_dropout(model: Any) -> None:
    """Put it in the place of all dropout of a model, in attention too where transformers lets that be chosen."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, CheapDropout(child.p).train(child.training))
    if getattr(model, "_supports_attention_backend", False):
        AttentionInterface.register(ATTENTION, _attend)
        AttentionMaskInterface.register(ATTENTION, eager_mask)
        model.set_attn_implementation(ATTENTION)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **given: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Plain attention, [windows, tokens, heads, width], and its probabilities, after dropout.

    All windows of a batch drop the same places, which is dropout still for each of them, and a twelfth less of a step.
    """
    scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.mT
    if attention_mask is not None:
        scores = scores + attention_mask
    probabilities = scores.softmax(-1).to(query.dtype)
    if module.training:
        probabilities = _drop(probabilities, given.get("dropout", 0.0), (1, *probabilities.shape[1:]))
    return (probabilities @ value).transpose(1, 2).contiguous(), probabilities
