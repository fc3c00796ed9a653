"""What a micro-batch costs: gold answers, teachers, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from polyspan.features import collate
from polyspan.training.alignment import carry_over, mix_distributions
from polyspan.training.batches import PAD_TO
from polyspan.training.examples import TrainingWindow
from polyspan.training.intermediate import Lesson
from polyspan.training.losses import distillation_loss, haystack1_loss, prediction_loss, prediction_mse, span_loss
from polyspan.training.recipe import Distillation
from polyspan.training.teacher import Prediction, Teacher, log_probabilities
from polyspan.types import Window


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """Tensors of shape [windows, tokens], padded to a multiple of 32.

    ``inputs`` are what the student takes, ``type_ids`` perhaps among them. ``allowed`` is true on context tokens and on
    the null position 0; ``targets``, int64 [windows, answers, 2], are padded with -1, and nothing else where only
    teachers speak.
    """

    windows: Sequence[TrainingWindow]
    inputs: dict[str, torch.Tensor]
    type_ids: torch.Tensor
    allowed: torch.Tensor
    targets: torch.Tensor


class Objective(Protocol):
    """A loss for each window of a micro-batch."""

    def __call__(self, model: Any, batch: MicroBatch) -> torch.Tensor:
        """Float32 [windows]."""


def make_micro_batch(
    windows: Sequence[TrainingWindow], pad_id: int, takes_types: bool, device: torch.device
) -> MicroBatch:
    """Windows as tensors on a device."""
    batch = collate([one.window for one in windows], pad_id, PAD_TO)
    input_ids, attention_mask, type_ids = (
        torch.from_numpy(values).to(device) for values in (batch.input_ids, batch.attention_mask, batch.type_ids)
    )
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    if takes_types:
        inputs["token_type_ids"] = type_ids
    allowed = np.zeros(batch.input_ids.shape, np.bool_)
    most = max(1 if one.targets is None else len(one.targets) for one in windows)
    targets = np.full((len(windows), most, 2), -1, np.int64)
    for row, one in enumerate(windows):
        allowed[row, [0, *allowed_positions(one.window)]] = True
        if one.targets is not None:
            targets[row, : len(one.targets)] = one.targets
    return MicroBatch(
        windows=windows,
        inputs=inputs,
        type_ids=type_ids,
        allowed=torch.from_numpy(allowed).to(device),
        targets=torch.from_numpy(targets).to(device),
    )


def allowed_positions(window: Window) -> Any:
    """Where answers may begin and end: positions of context tokens that hold more than whitespace."""
    return window.context_start + np.flatnonzero(window.offsets[:, 0] < window.offsets[:, 1])


def gold_objective(model: Any, batch: MicroBatch) -> torch.Tensor:
    """The span loss of the gold answers."""
    output = model(**batch.inputs)
    return span_loss(output.start_logits.float(), output.end_logits.float(), batch.allowed, batch.targets)


class DistillationObjective:
    """Teachers' distributions beside the gold answers, carried over from their tokenizers to the student's.

    A window that no teacher speaks about, or that they shall not speak about, has its gold answers alone, one without
    gold answers its teachers alone.
    For "haystack1" one teacher reads the student's own tokens, and every window has the mean of its micro-batch, for
    that loss is one of whole batches, their padding included. For "none" there are gold answers alone. A lesson adds
    what a teacher's inner layers teach.
    """

    def __init__(self, settings: Distillation, teachers: Sequence[Teacher], lesson: Lesson | None = None) -> None:
        self._settings, self._teachers, self._lesson = settings, teachers, lesson

    def __call__(self, model: Any, batch: MicroBatch) -> torch.Tensor:
        """Float32 [windows]."""
        if self._lesson is None:
            return self._answers(model(**batch.inputs), batch)
        output, inside = self._lesson(model, batch.inputs, batch.type_ids)
        loss: torch.Tensor = self._answers(output, batch) + inside
        return loss

    def _answers(self, output: Any, batch: MicroBatch) -> torch.Tensor:
        start, end = output.start_logits.float(), output.end_logits.float()
        if self._settings.loss == "haystack1":
            return self._haystack1(start, end, batch)
        gold = span_loss(start, end, batch.allowed, batch.targets)
        if self._settings.loss == "none":
            return gold
        taught, spoken = self._taught(batch)
        if self._settings.loss == "mse":
            prediction = prediction_mse(start, end, taught[0], taught[1], batch.allowed)
        else:
            prediction = prediction_loss(start, end, taught[0], taught[1], batch.allowed, self._settings.temperature)
        labelled = (batch.targets[:, :, 0] >= 0).any(1)
        weight = torch.where(labelled, self._settings.distillation_loss_weight, 1.0) * spoken
        return distillation_loss(prediction, gold, weight)

    def _haystack1(self, start: torch.Tensor, end: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
        live = self._teachers[0].live_logits(batch.windows)
        taught_start, taught_end = (torch.from_numpy(logits).to(start.device) for logits in live)
        weight, temperature = self._settings.distillation_loss_weight, self._settings.temperature
        loss = haystack1_loss(start, end, taught_start, taught_end, batch.targets, weight, temperature)
        return loss.expand(len(batch.windows))

    def _taught(self, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of the teachers together, [2, windows, tokens], and 1 where any spoke, [windows]."""
        mass = np.zeros((2, *batch.allowed.shape))
        spoken = np.zeros(len(batch.windows), np.float32)
        for row, one in enumerate(batch.windows):
            if not is_taught(one, self._settings):
                continue
            said = [(teacher.spec.weight, found) for teacher in self._teachers if (found := teacher.prediction(one))]
            carried = [_carried(found, one.window) for _, found in said]
            places = [0, *range(one.window.context_start, one.window.context_start + len(one.window.offsets))]
            if carried:
                spoken[row] = 1
                mass[:, row, places] = mix_distributions(carried, [weight for weight, _ in said])
        with np.errstate(divide="ignore"):
            taught = torch.from_numpy(np.log(mass).astype(np.float32))
        # Where no teacher spoke any numbers do, as their weight is 0.
        taught[:, spoken == 0] = 0.0
        device = batch.allowed.device
        return taught.to(device), torch.from_numpy(spoken).to(device)


def is_taught(window: TrainingWindow, settings: Distillation) -> bool:
    """Whether teachers are asked about a window."""
    return settings.unanswerable or not window.is_unanswerable


def _carried(prediction: Prediction, window: Window) -> Any:
    """Start and end probabilities over null and the window's context tokens, [2, 1 + tokens]."""
    blank = np.append(False, prediction.offsets[:, 0] >= prediction.offsets[:, 1])
    start, end = (
        np.exp(log_probabilities(np.where(blank, -np.inf, logits).astype(np.float32)))
        for logits in (prediction.start, prediction.end)
    )
    carried = carry_over(start, end, prediction.offsets, window.offsets)
    return np.stack([carried.start, carried.end])
