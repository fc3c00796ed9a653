"""What is learnt inside the encoder: a live teacher's relations (MiniLMv2) or its mapped layers (TinyBERT)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from polyspan.errors import InputError
from polyspan.training.losses import LayerProjections, attention_loss, relation_loss
from polyspan.training.recipe import Intermediate

_PROJECTION = re.compile(
    r"\.(?:layer|layers)\.(\d+)\..*\b(?:(query|query_proj|q|q_lin)|(key|key_proj|k|k_lin)|(value|value_proj|v|v_lin))$"
)
ROLES = ("queries", "keys", "values")


class IntermediateLoss(torch.nn.Module):
    """The loss between a student's and a teacher's layers, both reading the same tokens; [windows].

    Its parameters, if there are any, are learnt beside the student's.
    """

    def __init__(self, settings: Intermediate, student: Any, teacher: Any) -> None:
        """Map the layers; InputError where the two models do not fit."""
        super().__init__()
        self._settings = settings
        # The teacher is no part of what is trained, saved or moved with this module.
        self._teacher = (teacher.eval().requires_grad_(requires_grad=False),)
        self._layers = student.config.num_hidden_layers, teacher.config.num_hidden_layers
        self._heads = settings.relation_heads or teacher.config.num_attention_heads
        widths = student.config.hidden_size, teacher.config.hidden_size
        self.projections = None
        if settings.kind == "relations":
            uneven = [width for width in widths if width % self._heads]
            if uneven:
                raise InputError(f"relation_heads {self._heads} do not divide the width {uneven[0]}; choose others")
        else:
            if self._layers[1] % self._layers[0]:
                raise InputError(
                    f"{self._layers[1]} layers of the teacher cannot be mapped evenly to {self._layers[0]} of the student"
                )
            self.projections = LayerProjections(*widths, self._layers[0] + 1)

    def forward(self, student: Any, inputs: Mapping[str, torch.Tensor]) -> tuple[Any, torch.Tensor]:
        """The student's output, and the loss of each window."""
        mask = inputs["attention_mask"].bool()
        if self.projections is None:
            return self._relations(student, inputs, mask)
        wanted = {"output_hidden_states": True, "output_attentions": True}
        output = student(**inputs, **wanted)
        with torch.no_grad():
            taught = self._teacher[0](**inputs, **wanted)
        step = self._layers[1] // self._layers[0]
        hidden = self.projections(output.hidden_states, taught.hidden_states[::step], mask)
        pairs = zip(output.attentions, taught.attentions[step - 1 :: step], strict=True)
        attention = [attention_loss(mine, theirs, mask) for mine, theirs in pairs]
        return output, hidden + torch.stack(attention).mean(0)

    def _relations(
        self, student: Any, inputs: Mapping[str, torch.Tensor], mask: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        layer = self._settings.teacher_layer
        with recorded(student, self._layers[0] - 1) as mine:
            output = student(**inputs)
        with torch.no_grad(), recorded(self._teacher[0], self._layers[1] - 1 if layer is None else layer) as theirs:
            self._teacher[0](**inputs)
        losses = [relation_loss(mine[role].float(), theirs[role].float(), mask, self._heads) for role in ROLES]
        return output, torch.stack(losses).mean(0)


@contextmanager
def recorded(model: Any, layer: int) -> Iterator[dict[str, torch.Tensor]]:
    """Queries, keys and values, each [windows, tokens, width], that a layer computes inside the block.

    Raises:
        InputError: if the model has no such layer with linear projections of the usual names.
    """
    found: dict[str, torch.Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        match = _PROJECTION.search(name)
        if match and int(match[1]) == layer:
            role = ROLES[next(number for number in range(3) if match[number + 2])]
            hooks.append(module.register_forward_hook(lambda _, __, output, role=role: found.update({role: output})))
    try:
        if len(hooks) != len(ROLES):
            raise InputError(
                f"{type(model).__name__} has no queries, keys and values in layer {layer} that could be compared"
            )
        yield found
    finally:
        for hook in hooks:
            hook.remove()
