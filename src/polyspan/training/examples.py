"""Data files to windows with targets."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from polyspan.datasets import read_quotes, read_squad
from polyspan.datasets.detached import SUFFIXES, read_detached
from polyspan.errors import InputError
from polyspan.features import NULL_TARGET, PairTokenizer, make_windows, span_targets
from polyspan.training.recipe import DataFile, Recipe
from polyspan.training.unanswerable import make_unanswerable
from polyspan.types import Int32Array, QAExample, Span, Window

Item = TypeVar("Item")
Progress = Callable[[Iterable[Item], int, str], Iterable[Item]]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingWindow:
    """A window with what it teaches.

    ``targets``, int32 [targets, 2], are first and last token of each right answer; None where only teachers speak.
    """

    window: Window
    targets: Int32Array | None
    question: str
    context: str
    language: str

    @property
    def is_unanswerable(self) -> bool:
        """Whether its label says that it holds no answer."""
        return self.targets is not None and tuple(self.targets[0]) == NULL_TARGET


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """All windows of a run, how often each comes in an epoch, and how many questions each data file gave."""

    windows: list[TrainingWindow]
    weights: npt.NDArray[np.float64]
    questions: tuple[int, ...]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each window, [windows]."""
        return np.array([len(one.window.input_ids) for one in self.windows], np.int64)


def read_examples(file: DataFile, recipe: Recipe) -> tuple[list[QAExample], list[QAExample]]:
    """The questions of a data file, and those made unanswerable.

    Raises:
        DatasetError: where the file is broken or holds an answer that does not stand in its context.
        InputError: where ``questions_from`` has no question for it.
    """
    examples = (read_quotes if file.labelled else read_squad)(Path(file.path))
    shares = recipe.unanswerable
    if file.questions_from:
        detached = file.questions_from.endswith(SUFFIXES)
        examples = list((_detached_questions if detached else _parallel_questions)(examples, file))
        # Of words in two languages cannot be told what a sentence speaks of.
        shares = replace(shares, misplaced_entity=0.0)
    made = make_unanswerable(examples, shares, recipe.seed, file.language) if file.labelled else ()
    return examples, list(made)


def _detached_questions(examples: Iterable[QAExample], file: DataFile) -> list[QAExample]:
    found = read_detached(Path(file.questions_from), (one.context for one in examples))
    if not found:
        raise InputError(f"questions_from: {file.questions_from} has no question about the texts of {file.path}")
    return found


def _parallel_questions(examples: Iterable[QAExample], file: DataFile) -> Iterator[QAExample]:
    parallel = Path(file.questions_from)
    questions = {_bare_id(one, parallel): one.question for one in read_squad(parallel)}
    asked = [(one, questions.get(_bare_id(one, Path(file.path)))) for one in examples]
    if not any(question for _, question in asked):
        raise InputError(f"questions_from: {parallel} and {file.path} share no id, so they are not parallel")
    return (replace(one, question=question) for one, question in asked if question)


def _bare_id(example: QAExample, path: Path) -> str:
    """The id without the name of its file, with which some collections begin all ids."""
    return example.id.removeprefix(f"{path.name.partition('.')[0]}-")


def make_training_set(recipe: Recipe, tokenizer: PairTokenizer, progress: Progress[QAExample]) -> TrainingSet:
    """Every window of every data file that teaches something.

    Raises:
        DatasetError: as ``read_examples``.
        InputError: if the files give no window at all.
    """
    windows: list[TrainingWindow] = []
    weights: list[float] = []
    files = [(file, *read_examples(file, recipe)) for file in recipe.data]
    for file, own, made in files:
        factors = [1.0 if one.answers else file.unanswerable_weight for one in own] + [1.0] * len(made)
        shown = progress([*own, *made], len(factors), Path(file.path).name)
        for factor, found in zip(factors, _windows_of(shown, file, recipe, tokenizer), strict=True):
            windows.extend(found)
            weights.extend([file.weight * factor] * len(found))
    if not windows:
        raise InputError("the data files give no window to learn from; are their contexts empty?")
    return TrainingSet(windows, np.array(weights), tuple(len(own) + len(made) for _, own, made in files))


def _windows_of(
    examples: Iterable[QAExample], file: DataFile, recipe: Recipe, tokenizer: PairTokenizer
) -> Iterator[list[TrainingWindow]]:
    """The windows of each example that teach something."""
    context, tokens = None, tokenizer.encode("")
    for example in examples:
        if example.context != context:
            context, tokens = example.context, tokenizer.encode(example.context)
        question = tokenizer.encode(example.question).ids
        answers = [Span(answer.start, answer.start + len(answer.text)) for answer in example.answers]
        cut = list(make_windows(question, tokens, tokenizer.template, recipe.windows))
        targets = [span_targets(window, answers) if file.labelled else None for window in cut]
        yield [
            TrainingWindow(window, target, example.question, example.context, file.language)
            for window, target in zip(cut, targets, strict=True)
            if target is None or len(target)
        ]
