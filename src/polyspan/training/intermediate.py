"""What is learnt inside the encoder: a live teacher's relations (MiniLMv2) or its mapped layers (TinyBERT)."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from polyspan.backends.torch import takes_types
from polyspan.errors import InputError
from polyspan.training.losses import LayerProjections, attention_loss, check_relation_heads, relation_loss
from polyspan.training.recipe import Intermediate

_PROJECTION = re.compile(
    r"\.(?:layer|layers)\.(\d+)\..*\.(?:(query|query_proj|q|q_lin)|(key|key_proj|k|k_lin)|(value|value_proj|v|v_lin))$"
)
ROLES = ("queries", "keys", "values")
STUDENT, TEACHER = 0, 1


class Lesson(torch.nn.Module):
    """The loss between a student's inner layers and a teacher's, both reading the same tokens.

    Its parameters, if there are any, are learnt beside the student's.
    """

    def __init__(self, weight: float, teacher: Any) -> None:
        super().__init__()
        self._weight = weight
        # In a tuple the teacher is no part of what is trained, saved or moved with this module.
        self._teacher = (teacher.eval().requires_grad_(requires_grad=False),)
        self._teacher_takes_types = takes_types(teacher)

    def forward(
        self, student: Any, inputs: Mapping[str, torch.Tensor], type_ids: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """The student's output, and the loss of each window times its weight, float32 [windows].

        ``inputs`` are what the student takes; ``type_ids`` are there for a teacher that takes them.
        """
        taught = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        if self._teacher_takes_types:
            taught["token_type_ids"] = type_ids
        output, mine = self.seen(student, STUDENT, inputs)
        with torch.no_grad():
            _, theirs = self.seen(self._teacher[0], TEACHER, taught)
        mask = inputs["attention_mask"].bool()
        with torch.autocast(mask.device.type, enabled=False):
            return output, self._weight * self.difference(mine, theirs, mask)

    def seen(self, model: Any, side: int, inputs: Mapping[str, torch.Tensor]) -> tuple[Any, Any]:
        """A model's output, and what it computes inside, float32."""
        raise NotImplementedError

    def difference(self, mine: Any, theirs: Any, mask: torch.Tensor) -> torch.Tensor:
        """The loss of each window, [windows]."""
        raise NotImplementedError


class RelationLesson(Lesson):
    """The mean of the relation losses of queries, keys and values."""

    def __init__(self, settings: Intermediate, student: Any, teacher: Any) -> None:
        """InputError where the two models do not fit."""
        super().__init__(settings.weight, teacher)
        heads, layer = settings.relation_heads, settings.teacher_layer
        self._heads = teacher.config.num_attention_heads if heads is None else heads
        check_relation_heads(student.config.hidden_size, teacher.config.hidden_size, self._heads)
        self._watched = (
            attention_projections(student, student.config.num_hidden_layers - 1),
            attention_projections(teacher, teacher.config.num_hidden_layers - 1 if layer is None else layer),
        )

    def seen(self, model: Any, side: int, inputs: Mapping[str, torch.Tensor]) -> tuple[Any, Any]:
        """Queries, keys and values, each [windows, tokens, width]."""
        with recorded(self._watched[side]) as found:
            output = model(**inputs)
        return output, [found[role].float() for role in ROLES]

    def difference(self, mine: Any, theirs: Any, mask: torch.Tensor) -> torch.Tensor:
        """The loss of each window, [windows]."""
        losses = [relation_loss(one, other, mask, self._heads) for one, other in zip(mine, theirs, strict=True)]
        return torch.stack(losses).mean(0)


class LayerLesson(Lesson):
    """The mean of the hidden losses of the embeddings and all layers, plus the mean of the attention losses.

    Attention is that of the models' output, hence probabilities (the student's with its dropout), whereas TinyBERT took
    the scores before the softmax. Transformers gives it in "eager" mode alone, which both models are switched to.
    """

    def __init__(self, settings: Intermediate, student: Any, teacher: Any) -> None:
        """InputError where the two models do not fit."""
        super().__init__(settings.weight, teacher)
        mine, theirs = student.config, teacher.config
        step, rest = divmod(theirs.num_hidden_layers, mine.num_hidden_layers)
        if rest or mine.num_attention_heads != theirs.num_attention_heads:
            raise InputError(
                f"intermediate layers: the teacher's {theirs.num_hidden_layers} layers of {theirs.num_attention_heads} "
                f"attention heads cannot be mapped evenly to the student's {mine.num_hidden_layers} of "
                f"{mine.num_attention_heads}; take kind relations, or another teacher"
            )
        self._steps = 1, step
        self.projections = LayerProjections(mine.hidden_size, theirs.hidden_size, mine.num_hidden_layers + 1)
        for model in (student, teacher):
            model.set_attn_implementation("eager")

    def seen(self, model: Any, side: int, inputs: Mapping[str, torch.Tensor]) -> tuple[Any, Any]:
        """Hidden states [windows, tokens, width], and attention [windows, heads, tokens, tokens], of mapped layers."""
        output = model(**inputs, output_hidden_states=True, output_attentions=True)
        step = self._steps[side]
        states, attentions = output.hidden_states[::step], output.attentions[step - 1 :: step]
        return output, ([one.float() for one in states], [one.float() for one in attentions])

    def difference(self, mine: Any, theirs: Any, mask: torch.Tensor) -> torch.Tensor:
        """The loss of each window, [windows]."""
        hidden: torch.Tensor = self.projections(mine[0], theirs[0], mask)
        attention = [attention_loss(one, other, mask) for one, other in zip(mine[1], theirs[1], strict=True)]
        return hidden + torch.stack(attention).mean(0)


def make_lesson(settings: Intermediate, student: Any, teacher: Any) -> Lesson:
    """The loss that a recipe asks for; the teacher, on the student's device to be, is evaluated and never changed.

    Raises:
        InputError: if the two models do not fit.
    """
    kind = RelationLesson if settings.kind == "relations" else LayerLesson
    return kind(settings, student, teacher)


def attention_projections(model: Any, layer: int) -> dict[str, torch.nn.Module]:
    """The linear layers that give the queries, keys and values of a layer, counted from 0.

    Raises:
        InputError: if the model has no such layer, or no such linear layers of the usual names.
    """
    found = [
        (role, module)
        for name, module in model.named_modules()
        if (match := _PROJECTION.search(name)) and int(match[1]) == layer
        for role, part in zip(ROLES, match.groups()[1:], strict=True)
        if part
    ]
    if sorted(role for role, _ in found) != sorted(ROLES):
        raise InputError(
            f"intermediate relations: {type(model).__name__} has no queries, keys and values that can be told apart in "
            f"layer {layer} of {model.config.num_hidden_layers} (from 0); give another teacher_layer, or take kind "
            "layers"
        )
    return dict(found)


@contextmanager
def recorded(modules: Mapping[str, torch.nn.Module]) -> Iterator[dict[str, torch.Tensor]]:
    """What each of the modules computes first inside the block, by their names."""
    found: dict[str, torch.Tensor] = {}

    def keeper(name: str) -> Callable[..., None]:
        def keep(_module: Any, _given: Any, output: torch.Tensor) -> None:
            # DeBERTa projects the tokens first, and then relative positions by the same layers.
            found.setdefault(name, output)

        return keep

    hooks = [module.register_forward_hook(keeper(name)) for name, module in modules.items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
