"""The card of a trained reader: what the run knows of itself."""

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from polyspan.cards import CardDataset, CardFacts, CardResult, CardTraining, model_card
from polyspan.training.checkpoint import Progress
from polyspan.training.development import Reports
from polyspan.training.examples import TrainingSet
from polyspan.training.recipe import Recipe, as_mapping

TAGS = ("extractive-question-answering",)
# What stands elsewhere in a card.
OWN_PLACES = ("model", "continues", "name", "licence", "data", "dev", "distillation.teachers")
MISSING = (None, "", ())


def run_card(recipe: Recipe, name: str, training: TrainingSet, progress: Progress, reports: Reports) -> str:
    """The README.md of the weights that a run keeps, as they are at ``progress``.

    ``reports`` are those of the development files, by path.
    """
    data, teachers = recipe.data, recipe.distillation.teachers if recipe.distillation else ()
    settings = {key: value for key, value in flat(as_mapping(recipe)) if not key.startswith(OWN_PLACES)}
    return model_card(
        CardFacts(
            name=name,
            licence=recipe.licence,
            languages=tuple(sorted({file.language for file in data if file.language})),
            base_model=shown(recipe.model),
            teachers=tuple(shown(teacher.model) for teacher in teachers),
            tags=TAGS,
            datasets=tuple(_datasets(recipe, training)),
            training=CardTraining(
                {**settings, "epochs": progress.epoch}, machine(), progress.seconds / 60, progress.tokens
            ),
            results=tuple(CardResult(Path(path).name, report) for path, report in reports.items()),
            limits=tuple(_limits(recipe, reports)),
        )
    )


def machine() -> str:
    """The accelerator's name, or how many cores of which kind; torch's version."""
    cores = f"{os.cpu_count()} {platform.machine()} cores"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cores
    return f"{device}, torch {torch.__version__}"


def flat(content: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted names, without those that are not given."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{group}{key}.")
        elif value not in MISSING and value != []:
            yield f"{group}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value


def _datasets(recipe: Recipe, training: TrainingSet) -> Iterator[CardDataset]:
    for file, questions in zip(recipe.data, training.questions, strict=True):
        name = Path(file.path).name
        if file.questions_from:
            name += f", questions of {Path(file.questions_from).name}"
        yield CardDataset(name, file.language, file.licence, file.source, questions, file.weight)


def shown(model: str) -> str:
    """A hub id as it is; of a folder its name, in words that nobody takes for an id."""
    return f"{Path(model).name} (a folder)" if Path(model).exists() else model


def _limits(recipe: Recipe, reports: Reports) -> Iterator[str]:
    yield "It quotes what a text says, true or not."
    yield "Its scores rank answers: neither temperatures nor a no-answer threshold were fitted."
    if not reports:
        yield "Nothing was measured while it was trained."
    if unstated := [Path(file.path).name for file in recipe.data if not file.licence]:
        yield f"The recipe states no licence of {', '.join(unstated)}."
    if any(as_mapping(recipe.unanswerable).values()):
        yield "Some of its unanswerable questions were made by rule, not asked by people."
