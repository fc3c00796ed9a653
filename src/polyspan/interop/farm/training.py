"""Haystack 1's training verbs as recipes."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from polyspan.errors import InputError
from polyspan.features import WindowSettings
from polyspan.interop.farm.arguments import refuse

if TYPE_CHECKING:
    from polyspan.training import Recipe, TrainingReport
    from polyspan.training.recipe import Distillation

Stage = Literal["train", "prediction", "intermediate"]

_DEFAULTS: dict[Stage, dict[str, Any]] = {
    "train": {"n_epochs": 2, "learning_rate": 1e-5},
    "prediction": {"n_epochs": 2, "learning_rate": 3e-5},
    "intermediate": {"n_epochs": 5, "learning_rate": 5e-5, "distillation_loss": "mse"},
}
_LOSSES = {"kl_div": "kl", "mse": "mse", "haystack1": "haystack1"}
_NO_EFFECT = {
    "evaluate_every": "the model is measured after each epoch",
    "num_processes": "tokenizing takes no processes",
    "teacher_batch_size": "a teacher's batches are planned by length",
    "checkpoint_root_dir": "checkpoints are in the folder training of save_dir",
    "checkpoint_every": "a checkpoint is written every five minutes, and an interrupted run goes on from it",
    "checkpoints_to_keep": "one checkpoint is kept",
    "devices": "all GPUs that there are can be used",
    "use_auth_token": "the hub's own token counts",
}
"""Arguments that are taken and change nothing, and why."""
_REFUSED = {"processor", "dev_split", "distributed"}


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """When to stop: after ``patience`` epochs without a better F1 on the development file; 0: never.

    The other fields are Haystack 1's and have no effect.
    """

    head: int = 0
    metric: str = "loss"
    save_dir: str | None = None
    mode: str = "min"
    patience: int = 0
    min_delta: float = 0.001
    min_evals: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A model to train or to learn from: name or folder, and revision."""

    model: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class TrainingArguments:
    """The arguments of Haystack 1's training that have an effect.

    Files are in ``data_dir``, in SQuAD's JSON. Lengths are in tokens and ``doc_stride`` is FARM's, from one window's
    begin to the next one's; None: the reader's own. ``batch_size`` is windows, ``warmup_proportion`` a share of the
    run, ``use_amp`` computes in bfloat16. ``distillation_loss`` is "kl_div", "mse", or "haystack1" for Haystack's own
    formula with its faults. ``caching`` keeps what a teacher says in ``cache_path``, for other runs too.
    """

    data_dir: str | Path
    train_filename: str
    dev_filename: str | None = None
    save_dir: str | Path | None = None
    batch_size: int = 10
    n_epochs: int = 2
    learning_rate: float = 1e-5
    max_seq_len: int | None = None
    doc_stride: int | None = None
    max_query_length: int | None = None
    warmup_proportion: float = 0.2
    use_amp: bool = False
    use_gpu: bool | None = None
    grad_acc_steps: int = 1
    early_stopping: Any = None
    caching: bool = False
    cache_path: str | Path = "cache/data_silo"
    distillation_loss: Any = "kl_div"
    distillation_loss_weight: float = 0.5
    temperature: float = 1.0

    @classmethod
    def of(cls, stage: Stage, given: Mapping[str, Any]) -> "TrainingArguments":
        """From what a call was given. InputError where a name is unknown, or a value has no meaning here."""
        refuse(given)
        known = {one.name for one in fields(cls)}
        unknown = sorted(set(given) - known - set(_NO_EFFECT) - _REFUSED)
        if unknown:
            raise InputError(f"{unknown[0]}: no such argument; expected some of {', '.join(sorted(known))}")
        return cls(**{**_DEFAULTS[stage], **{name: value for name, value in given.items() if name in known}})

    def windows(self, reader: WindowSettings) -> WindowSettings:
        """The lengths, those of the reader where none are given."""
        return WindowSettings(
            max_seq_len=reader.max_seq_len if self.max_seq_len is None else self.max_seq_len,
            max_question_len=reader.max_question_len if self.max_query_length is None else self.max_query_length,
            step=reader.step if self.doc_stride is None else self.doc_stride,
        )


def train(
    student: Source,
    teacher: Source | None,
    stage: Stage,
    arguments: TrainingArguments,
    reader: WindowSettings,
    *,
    show_progress: bool,
) -> "tuple[Path, TrainingReport]":
    """Run a stage; the folder of the new model, and what was done.

    Raises what ``polyspan.training.train`` raises, and InputError where ``use_gpu`` False cannot be honoured.
    """
    from polyspan.backends.torch import first_gpu
    from polyspan.training import RunSettings
    from polyspan.training import train as run

    if arguments.use_gpu is False and first_gpu() is not None:
        raise InputError("use_gpu False: training takes the GPU that it finds; hide it with CUDA_VISIBLE_DEVICES=")
    out = arguments.save_dir
    if out is None:
        tail = "_tinybert_stage_1" if stage == "intermediate" else ""
        out = Path("saved_models") / f"{Path(student.model).name}{tail}"
    cache = Path(arguments.cache_path) if arguments.caching and teacher else None
    settings = RunSettings(show_progress=show_progress and sys.stderr.isatty(), cache=cache)
    return Path(out), run(recipe_of(student, teacher, stage, arguments, reader), Path(out), settings)


def recipe_of(
    student: Source, teacher: Source | None, stage: Stage, arguments: TrainingArguments, reader: WindowSettings
) -> "Recipe":
    """The whole run. A stage between inner layers reads no labels, as TinyBERT's first one does."""
    from polyspan.training import Recipe
    from polyspan.training.batches import BatchSettings, padded_length
    from polyspan.training.recipe import DataFile, Optimisation

    windows, folder = arguments.windows(reader), Path(arguments.data_dir)
    dev = () if arguments.dev_filename is None else (DataFile(str(folder / arguments.dev_filename)),)
    return Recipe(
        model=student.model,
        revision=student.revision,
        data=(DataFile(str(folder / arguments.train_filename), labelled=stage != "intermediate"),),
        dev=dev,
        epochs=arguments.n_epochs,
        seed=42,
        precision="bfloat16" if arguments.use_amp else "float32",
        gradient_accumulation=arguments.grad_acc_steps,
        patience=0 if arguments.early_stopping is None else int(arguments.early_stopping.patience),
        windows=windows,
        batch=BatchSettings(arguments.batch_size * padded_length(windows.max_seq_len), arguments.batch_size),
        optimisation=Optimisation(arguments.learning_rate, warmup=arguments.warmup_proportion),
        distillation=None if teacher is None else _distillation(teacher, stage, arguments),
    )


def _distillation(teacher: Source, stage: Stage, arguments: TrainingArguments) -> "Distillation":
    from polyspan.training.recipe import Distillation, Intermediate, TeacherSpec

    teachers = (TeacherSpec(teacher.model, teacher.revision),)
    loss = arguments.distillation_loss
    if stage == "intermediate":
        if loss != "mse":
            raise InputError(
                f"distillation_loss {loss!r}: inner layers are compared by their squared differences, 'mse'"
            )
        return Distillation(teachers, loss="none", intermediate=Intermediate("layers"))
    if loss not in _LOSSES:
        raise InputError(f"distillation_loss must be one of {', '.join(_LOSSES)}, not {loss!r:.60}")
    return Distillation(
        teachers,
        loss=_LOSSES[loss],  # type: ignore[arg-type] # one of the names
        temperature=float(arguments.temperature),
        distillation_loss_weight=float(arguments.distillation_loss_weight),
    )
