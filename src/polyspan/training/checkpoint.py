"""An interrupted run, in one file that is written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from polyspan.errors import InputError, ModelError

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(slots=True)
class Progress:
    """How far a run is: ``step`` steps into ``epoch``, both counted from 0, and what was measured so far.

    ``digest`` tells the run from others, ``windows`` is the size of its training set, ``updates`` counts all
    steps. ``dev`` holds an entry for each finished epoch, ``best_epoch`` the one whose weights are kept. ``losses`` are
    means of steps, ``recent`` the losses since the last one.
    """

    digest: str
    epoch: int = 0
    step: int = 0
    windows: int = 0
    updates: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    dev: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None
    finished: bool = False


def save_checkpoint(
    path: Path, model: Any, optimiser: Any, progress: Progress, average: Mapping[str, torch.Tensor]
) -> None:
    """Write weights that learn, their moments, their average by name (or nothing) and the progress.

    Raises:
        InputError: if the file cannot be written; the one that was there stays.
    """
    tensors = {f"{name}|average": values for name, values in average.items()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            tensors[f"{name}|weight"] = parameter.detach()
            for moment in _MOMENTS if parameter in optimiser.state else ():
                tensors[f"{name}|{moment}"] = optimiser.state[parameter][moment]
    contiguous = {name: tensor.to("cpu").contiguous() for name, tensor in tensors.items()}
    unfinished = path.with_name(f"{path.name}.part")
    try:
        save_file(contiguous, unfinished, {"progress": json.dumps(asdict(progress))})
        unfinished.replace(path)
    except (SafetensorError, OSError) as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error}); make room and run again to go on") from error


def read_progress(path: Path, digest: str) -> Progress:
    """The progress of a checkpoint, or a new one where there is no file.

    Raises:
        InputError: if the checkpoint is another run's.
        ModelError: if the file is broken.
    """
    if not path.is_file():
        return Progress(digest)
    progress = _read(path)
    if progress.digest != digest:
        raise InputError(
            f"{path}: this checkpoint is of another recipe or other data (run {progress.digest}, this is {digest}); "
            "give another --out, or remove the folder"
        )
    return progress


def continued_progress(path: Path, digest: str) -> Progress:
    """A new run's progress that counts on from the checkpoint of another.

    Raises:
        InputError: if there is none.
        ModelError: if the file is broken.
    """
    if not path.is_file():
        raise InputError(f"continues: there is no {path}; name the folder of a training run")
    earlier = _read(path)
    return Progress(digest, updates=earlier.updates, tokens=earlier.tokens, seconds=earlier.seconds)


def _read(path: Path) -> Progress:
    try:
        with safe_open(path, "pt") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ModelError(f"{path}: not a checkpoint that can be read ({error}); remove it to begin anew") from error


def check_weights(path: Path, model: Any, *, averaged: bool) -> None:
    """Refuse a checkpoint of other weights than those that learn; InputError, which names one."""
    learning = {name: one.shape for name, one in model.named_parameters() if one.requires_grad}
    kinds = ("weight", "average") if averaged else ("weight",)
    wanted = {f"{name}|{kind}": shape for name, shape in learning.items() for kind in kinds}
    with safe_open(path, "pt") as file:
        held = {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 -- no mapping
    held = {name: shape for name, shape in held.items() if name.endswith(("|weight", "|average"))}
    if strange := sorted(name for name in held | wanted if held.get(name) != wanted.get(name)):
        raise InputError(f"{path}: it does not hold this run's weights, for example {strange[0]}")


def load_checkpoint(path: Path, model: Any, optimiser: Any, average: Mapping[str, torch.Tensor]) -> None:
    """Put a checkpoint's weights, moments and average into model, optimiser and average."""
    with safe_open(path, "pt") as file, torch.no_grad():
        names = set(file.keys())
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(file.get_tensor(f"{name}|weight"))
            if f"{name}|step" in names:
                state = {moment: file.get_tensor(f"{name}|{moment}").to(parameter.device) for moment in _MOMENTS}
                state["step"] = state["step"].cpu()
                optimiser.state[parameter] = state
        for name, values in average.items():
            values.copy_(file.get_tensor(f"{name}|average"))
