"""A whole run: checks, training set, epochs, the best model kept."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from tqdm import tqdm

from polyspan.backends import BackendOptions, ModelFolder, NativeSettings, find_model
from polyspan.backends.torch import save_model
from polyspan.datasets import file_signature, read_squad
from polyspan.errors import InputError, ModelError
from polyspan.features import NULL_TARGET
from polyspan.training.checkpoint import Progress, read_progress
from polyspan.training.development import dev_mean, dev_scores
from polyspan.training.examples import TrainingSet, make_training_set
from polyspan.training.loop import Loop, RunSettings
from polyspan.training.model import open_student
from polyspan.training.objective import DistillationObjective, Objective, gold_objective
from polyspan.training.recipe import Recipe, as_mapping
from polyspan.training.teacher import Teacher

Item = TypeVar("Item")
WORK = "training"
CHECKPOINT = "checkpoint.safetensors"
REPORT = "report.json"
# Weights, two moments and a new checkpoint beside the old one, then a model beside the old one: in float32.
COPIES_ON_DISK = 8
BYTES = 4


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a run did: ``finished`` is False where it stopped for now. ``dev`` has an entry for each epoch."""

    finished: bool
    epochs: int
    tokens: int
    seconds: float
    windows: int
    losses: Sequence[float]
    dev: Sequence[dict[str, Any]]
    best_epoch: int | None


def train(recipe: Recipe, out: Path, settings: RunSettings | None = None) -> TrainingReport:
    """Train a reader; ``out`` becomes its model folder, with the run's own files in ``out/training``.

    A run that was interrupted goes on from its last checkpoint, to the same weights.

    Args:
        recipe: the whole run.
        out: a new or empty folder, or that of the same run.
        settings: what does not change the result.

    Raises:
        InputError: if ``out`` holds something else, or the disk has no room.
        DatasetError, ModelError: if data or model cannot be used; before any long work.
    """
    settings = RunSettings() if settings is None else settings
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    work = out / WORK
    progress = _check(recipe, out)
    if progress.finished:
        return _report(progress, 0)
    folder = find_model(recipe.model, recipe.revision or None)
    model = open_student(folder, recipe.optimisation)
    _check_room(out, model)
    tokenizer = folder.pair_tokenizer()
    if tokenizer is None:
        raise ModelError(f"{folder.path}: training needs a tokenizer.json; save the tokenizer with transformers first")
    show = _bars(settings.show_progress and accelerator.is_main_process)
    training = make_training_set(recipe, tokenizer, show)
    objective = _objective(recipe, training, out, accelerator, show)
    loop = Loop(recipe, model.to(accelerator.device), training, objective, accelerator, settings)
    checkpoint = work / CHECKPOINT
    if accelerator.is_main_process:
        work.mkdir(parents=True, exist_ok=True)
    if progress.step or progress.epoch:
        loop.resume(checkpoint)
    while progress.epoch < recipe.epochs and not _has_stopped_gaining(progress, recipe):
        if not loop.epoch(progress, checkpoint, tokenizer.pad_id):
            return _report(progress, len(training.windows))
        if accelerator.is_main_process:
            _finish_epoch(recipe, folder, model, training, progress, out)
        accelerator.wait_for_everyone()
        loop.save(checkpoint, progress)
    progress.finished = True
    loop.save(checkpoint, progress)
    report = _report(progress, len(training.windows))
    if accelerator.is_main_process:
        content = {"recipe": as_mapping(recipe), **asdict(report)}
        (work / REPORT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return report


def run_digest(recipe: Recipe) -> str:
    """What tells runs apart: 16 hex digits over all settings and the content of the data files."""
    plain = as_mapping(recipe)
    for group in ("data", "dev"):
        for one in plain[group]:
            one["path"] = file_signature(Path(one["path"]))["dataset_sha256"]
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _check(recipe: Recipe, out: Path) -> Progress:
    """Everything that can be refused before long work; how far this run is."""
    for file in recipe.dev:
        read_squad(Path(file.path))
    progress = read_progress(out / WORK / CHECKPOINT, run_digest(recipe))
    strangers = [path.name for path in out.iterdir() if path.name != WORK] if out.is_dir() else []
    if strangers and not (out / WORK).is_dir():
        raise InputError(f"{out}: holds {strangers[0]} already and no training run; give a new folder as --out")
    return progress


def _check_room(out: Path, model: Any) -> None:
    place = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    needed = COPIES_ON_DISK * BYTES * sum(parameter.numel() for parameter in model.parameters())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"{out}: {free / 1e6:,.0f} MB are free there, and checkpoints and models need {needed / 1e6:,.0f} MB; make "
            "room or give another --out"
        )


def _objective(recipe: Recipe, training: TrainingSet, out: Path, accelerator: Accelerator, show: Any) -> Objective:
    """The gold answers' loss, or that of the teachers, who read the training set first."""
    settings = recipe.distillation
    if settings is None:
        return gold_objective
    device = str(accelerator.device)
    teachers = [Teacher(spec, recipe.windows, out / WORK / "teachers", device) for spec in settings.teachers]
    for teacher in teachers:
        if accelerator.is_main_process:
            teacher.read_all(training.windows, show)
        accelerator.wait_for_everyone()
        teacher.open_cache()
    return DistillationObjective(settings, teachers)


def _finish_epoch(
    recipe: Recipe, folder: ModelFolder, model: Any, training: TrainingSet, progress: Progress, out: Path
) -> None:
    """Save the epoch's model, measure it, and keep it where it is the best so far."""
    latest = out / WORK / "latest"
    latest.mkdir(exist_ok=True)
    save_model(model, folder, latest)
    null = any(one.targets is not None and tuple(one.targets[0]) == NULL_TARGET for one in training.windows)
    ModelFolder(latest).write_settings(NativeSettings(recipe.name or out.name, no_answer=null))
    scores = dev_scores(latest, recipe.dev, recipe.windows, BackendOptions(backend="torch"))
    gained = not scores or progress.best_epoch is None
    if scores:
        found, best = dev_mean(scores), max((one["mean_f1"] for one in progress.dev), default=-1.0)
        gained = found > best
        progress.dev.append({"epoch": progress.epoch, "mean_f1": found, "files": scores})
    if gained:
        progress.best_epoch = progress.epoch
        for path in [path for path in latest.rglob("*") if path.is_file()]:
            target = out / path.relative_to(latest)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    shutil.rmtree(latest)


def _has_stopped_gaining(progress: Progress, recipe: Recipe) -> bool:
    behind = progress.epoch - (progress.best_epoch or 0)
    return bool(recipe.patience and progress.best_epoch is not None and behind >= recipe.patience)


def _report(progress: Progress, windows: int) -> TrainingReport:
    return TrainingReport(
        finished=progress.finished,
        epochs=progress.epoch,
        tokens=progress.tokens,
        seconds=round(progress.seconds, 1),
        windows=windows,
        losses=tuple(progress.losses),
        dev=tuple(progress.dev),
        best_epoch=progress.best_epoch,
    )


def _bars(show: bool) -> Any:
    def bar(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
        shown: Iterable[Item] = tqdm(items, total=total, desc=what, unit="q", disable=not show)
        return shown

    return bar
