"""A whole run: checks, training set, epochs, the best model kept."""

import atexit
import json
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list
from tqdm import tqdm

from polyspan.backends import BackendOptions, ModelFolder, NativeSettings, find_model
from polyspan.backends.torch import open_tokenizer, save_model
from polyspan.datasets import file_signature, read_squad, write_json
from polyspan.errors import DatasetError, InputError, ModelError
from polyspan.features import PairTokenizer
from polyspan.training.card import run_card
from polyspan.training.checkpoint import Progress, check_weights, continued_progress, read_progress
from polyspan.training.development import dev_mean, dev_reports
from polyspan.training.dropout import use_cheap_dropout
from polyspan.training.examples import TrainingSet, make_training_set
from polyspan.training.intermediate import Lesson, make_lesson
from polyspan.training.loop import Loop, RunSettings
from polyspan.training.model import LESSON, open_model, open_student, own_weights
from polyspan.training.objective import DistillationObjective, Objective, gold_objective, is_taught
from polyspan.training.recipe import Recipe, TeacherSpec, as_mapping
from polyspan.training.retriever_recipe import RetrieverRecipe
from polyspan.training.teacher import Teacher, have_same_tokens

Item = TypeVar("Item")
WORK = "training"
CHECKPOINT = "checkpoint.safetensors"
REPORT = "report.json"
EPOCHS = "epochs"
CARD = "README.md"
# Weights, two moments and a new checkpoint beside the old one, then a model beside the old one: in float32.
COPIES_ON_DISK = 8
SAMPLED = 100
# Other processes wait while one reads with the teachers or measures.
LONGEST_WAIT = timedelta(days=7)
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
    waiting = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision="no",  # the loop casts by itself
        kwargs_handlers=[waiting],
    )
    atexit.register(_leave_group)
    progress, checkpoint = _check(recipe, out), out / WORK / CHECKPOINT
    if progress.finished:
        return _report(progress)
    folder = find_model(recipe.model, recipe.revision or None)
    loop, teachers = _prepare(recipe, folder, out, settings, accelerator)
    reading = [] if recipe.distillation and recipe.distillation.loss == "haystack1" else teachers
    progress.windows = len(loop.training.windows)
    if progress.step or progress.epoch:
        loop.resume(checkpoint)
    elif recipe.continues:
        loop.resume(Path(recipe.continues) / WORK / CHECKPOINT)
    while not _is_done(progress, recipe):
        _ask_teachers(loop, reading, progress)
        if loop.epoch(progress, checkpoint, folder.pad_id):
            if accelerator.is_main_process:
                with loop.average.applied():
                    _finish_epoch(loop, folder, progress, out)
            progress.dev, progress.best_epoch = broadcast_object_list([progress.dev, progress.best_epoch])
            loop.save(checkpoint, progress)
        if loop.time_is_over() and not _is_done(progress, recipe):
            return _report(progress)
    progress.finished = True
    report = _report(progress)
    if accelerator.is_main_process:
        content = {"recipe": as_mapping(recipe), **asdict(report)}
        write_json(out / WORK / REPORT, content)
    loop.save(checkpoint, progress)
    return report


def _leave_group() -> None:
    """Stop the threads that talk to other processes: one that still runs when Python ends aborts the process."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _prepare(
    recipe: Recipe, folder: ModelFolder, out: Path, settings: RunSettings, accelerator: Accelerator
) -> tuple[Loop, list[Teacher]]:
    """All that a run needs, and its teachers; what can be refused is refused before what takes long."""
    tokenizer = _tokenizer(recipe, folder)
    torch.manual_seed(recipe.seed)  # for a new span head
    model = open_student(folder, recipe.optimisation)
    if accelerator.device.type == "cpu":
        use_cheap_dropout(model)
    if recipe.continues and not (out / WORK / CHECKPOINT).exists():
        continued = Path(recipe.continues) / WORK / CHECKPOINT
        check_weights(continued, model, averaged=recipe.optimisation.ema_decay > 0)
    lesson = _open_lesson(recipe, model, accelerator)
    check_room(out, model, recipe.epochs if settings.keep_epochs else 0)
    show = bars(settings.show_progress and accelerator.is_main_process)
    cache = out / WORK / "teachers" if settings.cache is None else settings.cache
    teachers = _open_teachers(recipe, cache, accelerator)
    training = make_training_set(recipe, tokenizer, show)
    _check_tokens(recipe, training, tokenizer, teachers)
    objective: Objective = gold_objective
    if recipe.distillation is not None:
        objective = DistillationObjective(recipe.distillation, teachers, lesson)
    if accelerator.is_main_process:
        (out / WORK).mkdir(parents=True, exist_ok=True)
    return Loop(recipe, model.to(accelerator.device), training, objective, accelerator, settings), teachers


def run_digest(recipe: Recipe | RetrieverRecipe) -> str:
    """What tells runs apart: 16 hex digits over all settings and the content of the data files."""
    plain = as_mapping(recipe)
    for group in ("data", "dev"):
        for one in plain[group]:
            for key in ("path", "questions_from"):
                if one.get(key):
                    one[key] = file_signature(Path(one[key]))["dataset_sha256"]
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _check(recipe: Recipe, out: Path) -> Progress:
    """Everything that can be refused before long work; how far this run is."""
    for file in recipe.dev:
        for example in read_squad(Path(file.path)):
            if not example.question.strip():
                raise DatasetError(f"{file.path}: question {example.id!r} is empty; correct it or leave it out")
    check_out(out)
    progress = read_progress(out / WORK / CHECKPOINT, run_digest(recipe))
    if recipe.continues and not (progress.step or progress.epoch):
        return continued_progress(Path(recipe.continues) / WORK / CHECKPOINT, progress.digest)
    return progress


def check_out(out: Path) -> None:
    """Refuse a folder that holds something, but no training run."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a new folder as --out")
    strangers = [path.name for path in out.iterdir() if path.name != WORK] if out.is_dir() else []
    if strangers and not (out / WORK).is_dir():
        raise InputError(f"{out}: holds {strangers[0]} already and no training run; give a new folder as --out")


def _tokenizer(recipe: Recipe, folder: ModelFolder) -> PairTokenizer:
    """The student's, where it can read windows of the recipe's size."""
    _check_size(recipe, folder)
    tokenizer = folder.pair_tokenizer()
    if tokenizer is None:
        raise ModelError(f"{folder.path}: training needs a tokenizer.json; save the tokenizer with transformers first")
    return tokenizer


def _check_size(recipe: Recipe, folder: ModelFolder) -> None:
    longest, size = folder.max_seq_len, recipe.windows.max_seq_len
    if longest is not None and size > longest:
        raise InputError(
            f"windows.max_seq_len {size} is more than {folder.name} can see: {longest} tokens; lower it to that"
        )


def check_room(out: Path, model: Any, kept: int = 0) -> None:
    """Refuse a disk without room for checkpoints and models, and for so many models that are ``kept`` besides."""
    place = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    needed = (COPIES_ON_DISK + kept) * BYTES * sum(parameter.numel() for parameter in model.parameters())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"{out}: {free / 1e6:,.0f} MB are free there, and checkpoints and models need {needed / 1e6:,.0f} MB; make "
            "room or give another --out"
        )


def _open_lesson(recipe: Recipe, student: Any, accelerator: Accelerator) -> Lesson | None:
    """The loss between inner layers, made a part of the student to be saved and synchronised with it."""
    settings = recipe.distillation
    if settings is None or settings.intermediate is None:
        return None
    folder = _teacher_folder(settings.teachers[0])
    _check_size(recipe, folder)
    lesson = make_lesson(settings.intermediate, student, open_model(folder).to(accelerator.device))
    setattr(student, LESSON, lesson)
    return lesson


def _teacher_folder(spec: TeacherSpec) -> ModelFolder:
    return find_model(spec.model, spec.revision or None)


def _open_teachers(recipe: Recipe, cache: Path, accelerator: Accelerator) -> list[Teacher]:
    settings = recipe.distillation
    specs = () if settings is None or settings.loss == "none" else settings.teachers
    return [Teacher(spec, recipe.windows, cache, str(accelerator.device)) for spec in specs]


def _check_tokens(recipe: Recipe, training: TrainingSet, tokenizer: PairTokenizer, teachers: Sequence[Teacher]) -> None:
    """Refuse teachers of other tokenizers where tokens are compared one by one."""
    settings = recipe.distillation
    if settings is None or (settings.loss == "kl" and settings.intermediate is None):
        return
    sample = [one.context for one in training.windows[:: 1 + len(training.windows) // SAMPLED]]
    if settings.loss == "none":  # then no teacher is a reader
        own = open_tokenizer(_teacher_folder(settings.teachers[0]))
        same = [have_same_tokens(own, tokenizer, sample)]
    else:
        same = [teacher.has_tokens_of(tokenizer, sample) for teacher in teachers]
    what = f"loss {settings.loss}" if settings.intermediate is None else "intermediate"
    for spec, is_same in zip(settings.teachers, same, strict=True):
        if not is_same:
            raise InputError(
                f"{spec.model}: {what} needs a teacher with the student's own tokenizer; take loss kl alone, or "
                "another teacher"
            )


def _ask_teachers(loop: Loop, teachers: Sequence[Teacher], progress: Progress) -> None:
    """Let the teachers read what comes in this epoch; one process reads for all."""
    began, settings = time.monotonic(), loop.recipe.distillation
    windows = [one for one in loop.windows(progress.epoch) if settings is not None and is_taught(one, settings)]
    for teacher in teachers:
        if loop.accelerator.is_main_process:
            teacher.read_all(windows, bars(loop.settings.show_progress))
        loop.accelerator.wait_for_everyone()
        teacher.open_cache()
    progress.seconds += time.monotonic() - began


def _finish_epoch(loop: Loop, folder: ModelFolder, progress: Progress, out: Path) -> None:
    """Save the epoch's model, measure it, and keep it where it is the best so far, or where each is kept."""
    recipe, latest = loop.recipe, out / WORK / "latest"
    latest.mkdir(exist_ok=True)
    save_model(loop.model, folder, latest, own_weights(loop.model))
    # Teachers may teach to abstain or not: then the reader finds out by itself.
    null = _has_null_targets(loop.training) or (None if recipe.distillation else False)
    ModelFolder(latest).write_settings(NativeSettings(recipe.name or out.name, no_answer=null))
    options = BackendOptions(backend="torch", device=str(loop.model.device))
    reports = dev_reports(latest, recipe.dev, recipe.windows, options) if recipe.dev else {}
    gained = not reports or progress.best_epoch is None
    if reports:
        found, best = dev_mean(reports), max((one["mean_f1"] for one in progress.dev), default=-1.0)
        gained = found > best
        scores = {path: dict(report.scores) for path, report in reports.items()}
        progress.dev.append({"epoch": progress.epoch, "mean_f1": found, "files": scores})
    card = run_card(recipe, recipe.name or out.name, loop.training, progress, reports)
    (latest / CARD).write_text(card, encoding="utf-8")
    if loop.settings.keep_epochs:
        shutil.copytree(latest, out / WORK / EPOCHS / str(progress.epoch), dirs_exist_ok=True)
    if gained:
        progress.best_epoch = progress.epoch
        move_files(latest, out)
    shutil.rmtree(latest)


def move_files(source: Path, target: Path) -> None:
    """Put the files of a folder in the place of those of another."""
    for path in [path for path in source.rglob("*") if path.is_file()]:
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def _has_null_targets(training: TrainingSet) -> bool:
    return any(one.is_unanswerable for one in training.windows)


def _is_done(progress: Progress, recipe: Recipe) -> bool:
    """Whether all epochs are over, or so many have brought no gain that the recipe's patience is."""
    patience, best = recipe.patience, progress.best_epoch
    has_stopped_gaining = patience > 0 and best is not None and progress.epoch - best >= patience
    return progress.epoch >= recipe.epochs or has_stopped_gaining


def _report(progress: Progress) -> TrainingReport:
    return TrainingReport(
        finished=progress.finished,
        epochs=progress.epoch,
        tokens=progress.tokens,
        seconds=round(progress.seconds, 1),
        windows=progress.windows,
        losses=tuple(progress.losses),
        dev=tuple(progress.dev),
        best_epoch=progress.best_epoch,
    )


def bars(show: bool) -> Any:
    """A progress that draws bars, or none."""

    def bar(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
        shown: Iterable[Item] = tqdm(items, total=total, desc=what, unit="q", disable=not show)
        return shown

    return bar
