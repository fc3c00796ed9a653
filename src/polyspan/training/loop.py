"""The loop that trains: plain steps that an interruption does not change."""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from tqdm import tqdm

from polyspan.backends.torch import takes_types
from polyspan.errors import InputError
from polyspan.training.averaging import WeightAverage
from polyspan.training.batches import plan_epoch
from polyspan.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from polyspan.training.examples import TrainingSet, TrainingWindow
from polyspan.training.model import parameter_groups
from polyspan.training.objective import MicroBatch, Objective, make_micro_batch
from polyspan.training.recipe import Optimisation, Recipe

LOG_STEPS = 20
BETAS = (0.9, 0.98)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What does not change the result.

    A checkpoint every so many seconds of training, and when to stop for now (None: never). ``cache`` is a folder for
    what teachers say, which several runs may share; None: one of the run's own. ``keep_epochs`` keeps each epoch's
    model in a folder of its own beside the best, for averaging.
    """

    checkpoint_seconds: float = 300.0
    stop_after_seconds: float | None = None
    show_progress: bool = False
    cache: Path | None = None
    keep_epochs: bool = False


def rate_factor(done: float, optimisation: Optimisation) -> float:
    """The learning rate's factor, 0 to 1, at a share ``done`` of the run, 0 to 1.

    It rises over the warm-up. "linear" then falls to 0 at the end (FARM's LinearWarmup); "constant" stays at 1
    until the last ``decay`` of the run and falls to 0 there.
    """
    rising = done / optimisation.warmup if optimisation.warmup else 1.0
    falling_from = optimisation.warmup if optimisation.schedule == "linear" else 1 - optimisation.decay
    falling = (1 - done) / (1 - falling_from) if falling_from < 1 else 1.0
    return max(0.0, min(1.0, rising, falling))


class Loop:
    """One run's model, optimiser and progress."""

    def __init__(
        self,
        recipe: Recipe,
        model: Any,
        training: TrainingSet,
        objective: Objective,
        accelerator: Accelerator,
        settings: RunSettings,
    ) -> None:
        self.recipe, self.model, self.training, self.objective = recipe, model, training, objective
        self.accelerator, self.settings = accelerator, settings
        self.optimiser: torch.optim.Optimizer = torch.optim.AdamW(
            parameter_groups(model, recipe.optimisation), lr=recipe.optimisation.learning_rate, betas=BETAS
        )
        self.average = WeightAverage(model, recipe.optimisation.ema_decay)
        self.began = time.monotonic()
        self._parallel = accelerator.prepare_model(model)
        self._takes_types = takes_types(model)
        self._lengths = training.lengths

    def resume(self, checkpoint: Path) -> None:
        """Go on from a checkpoint."""
        load_checkpoint(checkpoint, self.model, self.optimiser, self.average.weights)

    def plan(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """The micro-batches of an epoch, counted from 0."""
        return plan_epoch(self._lengths, self.training.weights, self.recipe.batch, [self.recipe.seed, epoch])

    def windows(self, epoch: int) -> list[TrainingWindow]:
        """The windows that come in an epoch, each once."""
        numbers = {number for batch in self.plan(epoch) for number in batch.tolist()}
        return [self.training.windows[number] for number in sorted(numbers)]

    def epoch(self, progress: Progress, checkpoint: Path, pad_id: int) -> bool:
        """Learn from the rest of the epoch that ``progress`` is in; False if the time is over before its end.

        Raises:
            InputError: if the epoch has fewer micro-batches than a step takes.
        """
        recipe = self.recipe
        plan = self.plan(progress.epoch)
        size = recipe.gradient_accumulation * self.accelerator.num_processes
        steps = [plan[begin : begin + size] for begin in range(0, len(plan) - size + 1, size)]
        if not steps:
            raise InputError(
                f"epoch {progress.epoch + 1} has {len(plan)} micro-batches, and each step takes {size} "
                "(gradient_accumulation times processes); lower gradient_accumulation or raise the data's weights"
            )
        saved, started = time.monotonic(), progress.seconds - (time.monotonic() - self.began)
        recent = [torch.tensor(loss, device=self.accelerator.device) for loss in progress.recent]
        for number, group in self._shown(steps, progress):
            done = (progress.epoch + number / len(steps)) / recipe.epochs
            recent.append(self._step(group, number, done, progress, pad_id))
            progress.step, progress.seconds = number + 1, started + time.monotonic() - self.began
            if progress.step % LOG_STEPS == 0 or progress.step == len(steps):
                progress.losses.append(round(float(torch.stack(recent).mean()), 6))
                recent.clear()
            over = self.time_is_over()
            if over or time.monotonic() - saved > self.settings.checkpoint_seconds:
                saved, progress.recent = time.monotonic(), [float(loss) for loss in recent]
                self.save(checkpoint, progress)
            if over and progress.step < len(steps):
                return False
        progress.epoch, progress.step, progress.recent = progress.epoch + 1, 0, []
        return True

    def save(self, checkpoint: Path, progress: Progress) -> None:
        """Write a checkpoint; all processes hold the same weights, so one writes, by its own clock."""
        if self.accelerator.is_main_process:
            save_checkpoint(checkpoint, self.model, self.optimiser, progress, self.average.weights)

    def time_is_over(self) -> bool:
        """Whether any process has run long enough."""
        limit = self.settings.stop_after_seconds
        if limit is None:
            return False
        over = torch.tensor(float(time.monotonic() - self.began > limit), device=self.accelerator.device)
        return bool(self.accelerator.reduce(over, "sum") > 0)

    def _shown(self, steps: Sequence[Any], progress: Progress) -> Iterator[tuple[int, Any]]:
        bar = tqdm(
            total=len(steps),
            initial=progress.step,
            desc=f"epoch {progress.epoch + 1} of {self.recipe.epochs}",
            unit="step",
            disable=not (self.settings.show_progress and self.accelerator.is_main_process),
        )
        with bar:
            for number in range(progress.step, len(steps)):
                yield number, steps[number]
                bar.update()
                if progress.losses:
                    bar.set_postfix(loss=f"{progress.losses[-1]:.3f}", tokens=f"{progress.tokens / 1e6:.2f}M")

    def _step(self, group: Sequence[Any], number: int, done: float, progress: Progress, pad_id: int) -> torch.Tensor:
        """One update from a group of micro-batches, of which each process takes its own; the mean loss."""
        accelerator = self.accelerator
        windows = sum(len(batch) for batch in group)
        total = torch.zeros((), device=accelerator.device)
        own = list(range(accelerator.process_index, len(group), accelerator.num_processes))
        for place in own:
            # Dropout depends on the step alone: a resumed run, or one on more processes, draws the same.
            torch.manual_seed(_mixed(self.recipe.seed, progress.epoch, number, place))
            batch = self._micro_batch(group[place], pad_id)
            accumulating = accelerator.no_sync(self._parallel) if place != own[-1] else nullcontext()
            with accumulating:
                with torch.autocast(accelerator.device.type, torch.bfloat16, self.recipe.precision == "bfloat16"):
                    losses = self.objective(self._parallel, batch)
                # Gradients are averaged over processes, the loss over all windows of the step.
                loss = losses.sum() * (accelerator.num_processes / windows)
                accelerator.backward(loss)
            total += losses.detach().sum()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimisation.max_grad_norm)
        rate = self.recipe.optimisation.learning_rate * rate_factor(done, self.recipe.optimisation)
        for settings in self.optimiser.param_groups:
            settings["lr"] = rate * settings["rate"]
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        progress.updates += 1
        self.average.update(progress.updates)
        progress.tokens += int(sum(self._lengths[batch].sum() for batch in group))
        summed: torch.Tensor = accelerator.reduce(total, "sum")
        return summed / windows

    def _micro_batch(self, numbers: Any, pad_id: int) -> MicroBatch:
        windows = [self.training.windows[number] for number in numbers]
        return make_micro_batch(windows, pad_id, self._takes_types, self.accelerator.device)


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
