"""The steps of an encoder that learns, by the trainer of sentence-transformers; an interruption changes nothing."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from datasets import Dataset  # type: ignore[attr-defined] # mypy takes the tests' folder of that name for it
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.training_args import BatchSamplers
from tqdm import tqdm
from transformers import PrinterCallback, TrainerCallback

from polyspan.backends.torch import quietly
from polyspan.features import without_surrogates
from polyspan.training.loop import LOG_STEPS, RunSettings
from polyspan.training.retriever_pairs import Lesson
from polyspan.training.retriever_recipe import RetrieverRecipe

PRECISION = "ACCELERATE_MIXED_PRECISION"
KEPT = 2
"""Checkpoints: the last one may be broken by a crash."""


class Trainer(SentenceTransformerTrainer):
    """The library's, without its model card."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Leave out what would encode examples for a card that nobody reads."""


class Watch(TrainerCallback):
    """Saves checkpoints by the clock and at the end, stops in time, shows a bar."""

    def __init__(self, settings: RunSettings, began: float) -> None:
        self._settings, self._began, self._saved = settings, began, time.monotonic()
        self._bar = tqdm(desc="training", unit="step", disable=not settings.show_progress)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 -- transformers' signature
        """Show how far an earlier run came."""
        self._bar.total = state.max_steps
        self._bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 -- likewise
        """Save where it is time to."""
        self._bar.update()
        limit, now = self._settings.stop_after_seconds, time.monotonic()
        over, last = limit is not None and now - self._began > limit, state.global_step >= state.max_steps
        if over or last or now - self._saved > self._settings.checkpoint_seconds:
            control.should_save, self._saved = True, now
        control.should_log |= last
        control.should_training_stop |= over

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 -- likewise
        """Take the bar away."""
        self._bar.close()


@contextmanager
def own_precision() -> Iterator[None]:
    """Let the precision that a trainer sets for the whole process end with the training."""
    before = os.environ.get(PRECISION)
    try:
        yield
    finally:
        os.environ.pop(PRECISION, None)
        if before is not None:
            os.environ[PRECISION] = before
        AcceleratorState._reset_state()  # accelerate has no other way


@own_precision()
def train_steps(
    recipe: RetrieverRecipe,
    model: SentenceTransformer,
    lessons: Sequence[Lesson],
    checkpoints: Path,
    settings: RunSettings,
    began: float,
) -> Any:
    """Learn until the end or until the time is over, counted from ``began`` (``time.monotonic``); the trainer's state.

    Checkpoints are written to a folder; from the last whole one that is there the training goes on.
    """
    rows = [(one.question, one.passage, *one.negatives) for one in lessons]
    names = ["question", "passage", *(f"wrong_{place}" for place in range(len(lessons[0].negatives)))]
    columns = {
        name: list(map(without_surrogates, texts)) for name, texts in zip(names, zip(*rows, strict=True), strict=True)
    }
    question_prompt, passage_prompt = prompts_of(model)
    optimisation = recipe.optimisation
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch,
        # No text stands twice in a batch, as right for one question and wrong for another.
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        prompts={name: question_prompt if name == "question" else passage_prompt for name in columns},
        learning_rate=optimisation.learning_rate,
        warmup_steps=optimisation.warmup,
        weight_decay=optimisation.weight_decay,
        max_grad_norm=optimisation.max_grad_norm,
        seed=recipe.seed,
        bf16=recipe.precision == "bfloat16",
        use_cpu=not torch.accelerator.is_available(),
        dataloader_pin_memory=torch.accelerator.is_available(),
        save_strategy="no",
        save_total_limit=KEPT,
        logging_steps=LOG_STEPS,
        report_to="none",
        disable_tqdm=True,
    )
    loss = CachedMultipleNegativesRankingLoss(model, optimisation.scale, mini_batch_size=recipe.micro_batch)
    watch = Watch(settings, began)
    trainer = Trainer(model, arguments, train_dataset=Dataset.from_dict(columns), loss=loss, callbacks=[watch])
    trainer.remove_callback(PrinterCallback)  # it prints to where reports go
    with quietly():
        trainer.train(resume_from_checkpoint=last_checkpoint(checkpoints))
    return trainer.state


def prompts_of(model: SentenceTransformer) -> tuple[str, str]:
    """What stands before questions and before passages."""
    return model.prompts["query"] or "", model.prompts["document"] or ""


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint: the file with the trainer's state is written last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None
