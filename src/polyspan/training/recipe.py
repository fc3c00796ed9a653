"""What a run needs, as one file: model, data, settings, teachers."""

import math
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from polyspan.errors import InputError
from polyspan.features import WindowSettings
from polyspan.training.batches import BatchSettings
from polyspan.training.unanswerable import Unanswerables

Options = TypeVar("Options")
_NAMES = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of questions in SQuAD's JSON.

    ``weight`` is how often each of its windows comes in an epoch, on average, and ``unanswerable_weight`` multiplies it
    for the questions that the file itself says have no answer. ``labelled`` False leaves its answers out, so that only
    teachers speak. ``source`` and ``licence`` go into the model's card. ``questions_from`` is a file whose
    questions are asked of its texts instead of its own: a parallel file, as XQuAD and MLQA have them, with the same ids
    in another language, or questions that are kept apart from the texts (.jsonl, see ``polyspan.datasets.detached``).
    """

    path: str
    language: str = ""
    weight: float = 1.0
    unanswerable_weight: float = 1.0
    labelled: bool = True
    questions_from: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse negative weights, and those that nothing has."""
        weights = self.weight, self.unanswerable_weight
        if not all(0 <= weight <= 100 for weight in weights):
            raise InputError(f"the weights of {self.path} must lie between 0 and 100, not {weights}")
        if self.unanswerable_weight != 1 and not self.labelled:
            raise InputError(f"unanswerable_weight: {self.path} is not labelled, so no question of it is unanswerable")


@dataclass(frozen=True, slots=True)
class Optimisation:
    """How weights change.

    ``schedule`` "linear" falls to 0 after the warm-up; "constant" holds the rate and falls in the last ``decay`` of
    the run. ``warmup`` and ``decay`` are shares of the run, 0 to 1. ``layer_decay`` multiplies the rate from each
    layer to the one below; ``head_rate`` multiplies it in the span head. ``freeze`` names modules (as
    ``named_modules`` gives them, or their last parts: "word_embeddings") whose weights stay. ``ema_decay``, 0 to 1:
    what is saved and measured is the exponential moving average of the weights over steps, of which each step keeps
    that part (0: the last weights).
    """

    learning_rate: float = 3e-5
    schedule: Literal["linear", "constant"] = "linear"
    warmup: float = 0.1
    decay: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    layer_decay: float = 1.0
    head_rate: float = 1.0
    embeds_dropout_prob: float = 0.1
    freeze: tuple[str, ...] = ()
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot train."""
        shares = self.warmup, self.decay, self.embeds_dropout_prob
        if not (self.learning_rate > 0 and all(0 <= share <= 1 for share in shares) and self.max_grad_norm > 0):
            raise InputError(
                "learning_rate and max_grad_norm must be above 0, and warmup, decay and embeds_dropout_prob between 0 "
                f"and 1, not {self.learning_rate}, {self.max_grad_norm} and {shares}"
            )
        decays = 0 < self.layer_decay <= 1 and self.weight_decay >= 0 and 0 <= self.ema_decay < 1
        if not (decays and self.head_rate > 0):
            raise InputError(
                "layer_decay must be above 0 and at most 1, head_rate above 0, weight_decay at least 0 and ema_decay "
                f"at least 0 and below 1, not {self.layer_decay}, {self.head_rate}, {self.weight_decay} and "
                f"{self.ema_decay}"
            )


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """A model to learn from: folder or hub id.

    ``weight`` counts against other teachers. ``languages`` are those of the data files it speaks about; empty: all.
    ``precision`` "bfloat16" reads faster and a little less exactly.
    """

    model: str
    revision: str = ""
    weight: float = 1.0
    languages: tuple[str, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, slots=True)
class Intermediate:
    """What is learnt from inside a teacher that has the student's tokenizer.

    "relations" compares the queries, keys and values of the student's last layer with those of ``teacher_layer``
    (counted from 0; None: the last), cut into ``relation_heads`` (None: the teacher's attention heads), as MiniLMv2
    does. "layers" compares hidden states, through trainable projections, and attention probabilities of evenly mapped
    layers, as TinyBERT does, which took the scores before the softmax. ``weight`` multiplies this loss beside the
    others.
    """

    kind: Literal["relations", "layers"] = "relations"
    weight: float = 1.0
    teacher_layer: int | None = None
    relation_heads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what compares nothing."""
        layer, heads = self.teacher_layer, self.relation_heads
        if self.weight <= 0 or (layer is not None and layer < 0) or (heads is not None and heads < 1):
            raise InputError(
                "weight must be above 0, teacher_layer at least 0 and relation_heads at least 1, not "
                f"{self.weight}, {layer} and {heads}"
            )
        if self.kind == "layers" and not (layer is None and heads is None):
            raise InputError("teacher_layer and relation_heads belong to kind relations; leave them out with layers")


@dataclass(frozen=True, slots=True)
class Distillation:
    """What is learnt from teachers.

    ``loss`` "kl" compares distributions, also across tokenizers; "mse" logits, and "haystack1" is the formula of
    Haystack 1 with its faults: both need the student's own tokenizer. "none" compares no answers: beside
    ``intermediate`` there are gold answers at most. ``distillation_loss_weight``, 0 to 1, is the teachers' share of
    the loss beside the gold answers. ``unanswerable`` False leaves windows whose label says that they hold no answer
    to that label alone: for teachers that abstain worse than they answer.
    """

    teachers: tuple[TeacherSpec, ...]
    loss: Literal["kl", "mse", "haystack1", "none"] = "kl"
    temperature: float = 1.0
    distillation_loss_weight: float = 0.5
    unanswerable: bool = True
    intermediate: Intermediate | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot teach."""
        if not self.teachers or min(teacher.weight for teacher in self.teachers) <= 0:
            raise InputError("distillation needs at least one teacher, each with a weight above 0")
        if not (0 < self.temperature <= 100 and 0 <= self.distillation_loss_weight <= 1):
            raise InputError(
                "temperature must be above 0 and at most 100, distillation_loss_weight between 0 and 1, not "
                f"{self.temperature} and {self.distillation_loss_weight}"
            )
        if self.loss == "none" and self.intermediate is None:
            raise InputError("loss none leaves nothing to learn from teachers; give intermediate, or take loss kl")
        if self.loss == "haystack1" and not self.unanswerable:
            raise InputError("loss haystack1 is one of whole batches; leave unanswerable true, or take loss kl")
        if len(self.teachers) > 1 or self.teachers[0].languages:
            if self.loss == "haystack1":
                raise InputError("loss haystack1 knows a single teacher, without languages; name one, or take loss kl")
            if self.intermediate is not None:
                raise InputError("intermediate knows a single teacher, without languages; name one, or leave it out")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole run.

    ``precision`` "bfloat16" computes in autocast and keeps float32 weights. ``licence`` is the new model's, one of the
    hub's licence ids ("cc-by-sa-4.0"), for its card. ``continues`` is the folder of another run of ``model``, with
    whose weights, their average and moments of the optimiser this one begins, to go on with other data or settings.
    """

    model: str
    data: tuple[DataFile, ...]
    dev: tuple[DataFile, ...] = ()
    revision: str = ""
    continues: str = ""
    name: str = ""
    licence: str = ""
    epochs: int = 2
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_accumulation: int = 1
    patience: int = 0
    windows: WindowSettings = field(default_factory=WindowSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    unanswerable: Unanswerables = field(default_factory=Unanswerables)
    optimisation: Optimisation = field(default_factory=Optimisation)
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        """Refuse empty runs."""
        if not self.data:
            raise InputError("a recipe needs at least one data file")
        if min(self.epochs, self.gradient_accumulation) < 1 or self.patience < 0 or self.seed < 0:
            raise InputError(
                "epochs and gradient_accumulation must be at least 1, patience (epochs without gain; 0: no early "
                f"stop) and seed at least 0, not {self.epochs}, {self.gradient_accumulation}, {self.patience} and "
                f"{self.seed}"
            )
        if self.patience and not self.dev:
            raise InputError("patience needs a dev file to measure on")
        self._check_teaching()

    def _check_teaching(self) -> None:
        """Refuse data that nobody labels, and teachers that nobody asks."""
        unlabelled = [file.path for file in self.data if not file.labelled]
        if unlabelled and (self.distillation is None or self.distillation.loss == "haystack1"):
            raise InputError(
                f"data: {unlabelled[0]} is not labelled, and only teachers teach from such files, by any loss but "
                "haystack1; leave it out, or distil"
            )
        languages = {file.language for file in self.data}
        for teacher in self.distillation.teachers if self.distillation else ():
            if teacher.languages and languages.isdisjoint(teacher.languages):
                raise InputError(
                    f"distillation: teacher {teacher.model} speaks about {', '.join(teacher.languages)}, and no data "
                    "file has such a language"
                )


def read_recipe(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The content of a YAML recipe, its ``${NAME}`` filled from ``variables`` or the environment.

    Raises:
        InputError: if the file is no YAML object, or a variable has no value.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a readable recipe: {' '.join(str(error).split())}; expected YAML") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a YAML object with model and data, got {type(content).__name__}")
    return {key: _filled(value, {**os.environ, **variables}, f"{path}: {key}") for key, value in content.items()}


def parse_recipe(content: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values; InputError, with the field, where one is unknown, missing or of another kind."""
    return build(Recipe, content, "recipe")


def as_mapping(options: Any) -> Any:
    """Plain values for JSON and YAML: what ``parse_recipe`` reads."""
    if is_dataclass(options):
        return {one.name: as_mapping(getattr(options, one.name)) for one in fields(options)}
    return [as_mapping(one) for one in options] if isinstance(options, tuple) else options


def _filled(value: Any, variables: Mapping[str, str], where: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, variables, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, variables, f"{where}[{number}]") for number, one in enumerate(value)]
    if not isinstance(value, str):
        return value
    missing = [name for name in _VARIABLE.findall(value) if name not in variables]
    if missing:
        raise InputError(f"{where}: ${{{missing[0]}}} has no value; give --define {missing[0]}=VALUE, or set it")
    return _VARIABLE.sub(lambda match: variables[match[1]], value)


def build(kind: type[Options], content: Any, where: str) -> Options:
    """A dataclass of options from plain values; InputError, which says ``where``, as ``parse_recipe`` raises it."""
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected an object, got {content!r:.60}")
    hints = typing.get_type_hints(kind)
    names = set(hints)
    unknown = [key for key in content if key not in names]
    if unknown:
        raise InputError(f"{where}: unknown field {unknown[0]!r}; expected some of {', '.join(sorted(names))}")
    values = {key: _value(hints[key], value, f"{where}.{key}") for key, value in content.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(f"{where}: {str(error).rpartition('__init__() ')[2]}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: expected a list, got {value!r:.60}")
        return tuple(_value(arguments[0], one, f"{where}[{number}]") for number, one in enumerate(value))
    if origin is Literal:
        if value not in arguments:
            raise InputError(f"{where}: expected one of {', '.join(arguments)}, got {value!r:.60}")
        return value
    if is_dataclass(hint):
        return build(typing.cast("type[Any]", hint), value, where)
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise InputError(f"{where}: expected {_NAMES[hint]}, got {value!r:.60}")
    return value
