"""The model that learns: opened, partly frozen, with its parameters in groups; what it learns for itself."""

import re
from typing import Any

import torch
from transformers import AutoModelForQuestionAnswering

from polyspan.backends import ModelFolder
from polyspan.backends.farm_folder import FarmFolder
from polyspan.backends.torch import OPENING, quietly
from polyspan.backends.torch import open_model as open_reader
from polyspan.errors import InputError, ModelError
from polyspan.training.dropout import dropout
from polyspan.training.recipe import Optimisation

LESSON = "lesson"
_LAYER = re.compile(r"\.(?:layer|layers)\.(\d+)\.")


def open_student(folder: ModelFolder, optimisation: Optimisation) -> Any:
    """A model as ``open_model`` gives it, in training mode and with dropout before its span head.

    Raises:
        ModelError: if transformers cannot open it.
        InputError: if ``freeze`` names no module of it.
    """
    model = open_model(folder)
    freeze(model, optimisation.freeze)
    probability = optimisation.embeds_dropout_prob
    span_head(model).register_forward_pre_hook(lambda head, given: (dropout(given[0], probability, head.training),))
    return model.train()


def open_model(folder: ModelFolder) -> Any:
    """A float32 model for question answering; a plain encoder gets a new span head.

    Raises:
        ModelError: if transformers cannot open it.
    """
    if isinstance(folder, FarmFolder):
        return open_reader(folder, torch.float32)
    try:
        with quietly():
            return AutoModelForQuestionAnswering.from_pretrained(
                folder.path, dtype=torch.float32, weights_only=True, **OPENING
            )
    except Exception as error:  # odd configurations and broken weights fail in many ways
        raise ModelError(f"{folder.path}: transformers cannot open it: {' '.join(str(error).split())}") from error


def own_weights(model: Any) -> dict[str, torch.Tensor]:
    """A student's weights by their names, without those that its lesson alone needs."""
    return {name: values for name, values in model.state_dict().items() if not name.startswith(f"{LESSON}.")}


def span_head(model: Any) -> Any:
    """The last layer, which gives start and end logits."""
    head = getattr(model, "qa_outputs", getattr(model, "classifier", None))
    if not isinstance(head, torch.nn.Linear):
        raise ModelError(f"{type(model).__name__} has no linear layer for spans; expected an extractive reader")
    return head


def parameter_groups(model: Any, optimisation: Optimisation) -> list[dict[str, Any]]:
    """Groups for an optimiser, each with its own ``rate`` (a factor) and ``weight_decay``.

    Vectors (biases, normalisation) do not decay. The rate falls by ``layer_decay`` from each layer to the one
    below, the embeddings being lowest; what belongs to no layer learns like the last one.
    """
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    layers = 1 + max((int(match[1]) for name, _ in learning if (match := _LAYER.search(name))), default=-1)
    head = {id(parameter) for parameter in span_head(model).parameters()}
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in learning:
        match = _LAYER.search(name)
        below = layers - 1 - int(match[1]) if match else layers * ("embedding" in name)
        in_head = id(parameter) in head
        rate = optimisation.head_rate if in_head else optimisation.layer_decay**below
        decay = optimisation.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": parameters, "rate": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()]


def freeze(model: Any, names: tuple[str, ...]) -> None:
    """Keep the weights of some modules; InputError where there is none of a name, or nothing is left to learn."""
    for wanted in names:
        found = [
            module for name, module in model.named_modules() if name == wanted or name.rpartition(".")[2] == wanted
        ]
        if not found:
            raise InputError(
                f"freeze: {type(model).__name__} has no module {wanted!r}; expected a name such as word_embeddings"
            )
        for module in found:
            module.requires_grad_(requires_grad=False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"freeze: {', '.join(names)} leave nothing of {type(model).__name__} to learn")
