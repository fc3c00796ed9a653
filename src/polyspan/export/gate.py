"""What an exported model loses against the float model, question by question, and whether that is too much."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from polyspan.backends import SpanScorer
from polyspan.cards.text import table
from polyspan.evaluation import Prediction, Questions, as_predictions, predict, reading_options
from polyspan.evaluation.opendomain import REGIME
from polyspan.export.progress import Progress
from polyspan.features import Batch
from polyspan.metrics import PairedDifference, paired_difference, token_f1
from polyspan.reader import Reader
from polyspan.types import FloatArray, Int64Array, Reading

Floats = npt.NDArray[np.float64]

_HEADER = (
    "language",
    "questions",
    "F1, float",
    "F1, exported",
    "loss (95 % interval)",
    "same span",
    "logits: mean difference",
    "largest",
    "correlation",
)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredWindow:
    """A window as a scorer saw it, int64 [tokens], and its start and end ``logits``, float32 [2, tokens]."""

    input_ids: Int64Array
    type_ids: Int64Array
    logits: FloatArray


class Recorder:
    """A scorer that keeps each window with its logits in ``windows``, by the bytes of its token ids."""

    def __init__(self, scorer: SpanScorer) -> None:
        self._scorer = scorer
        self.name, self.tokenizer, self.max_seq_len = scorer.name, scorer.tokenizer, scorer.max_seq_len
        self.windows: dict[bytes, ScoredWindow] = {}

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """The scorer's own logits."""
        start, end = self._scorer.score(batch)
        for row, size in enumerate(batch.attention_mask.sum(axis=1)):
            ids = batch.input_ids[row, :size].copy()
            logits = np.stack([start[row, :size], end[row, :size]])
            self.windows[ids.tobytes()] = ScoredWindow(ids, batch.type_ids[row, :size].copy(), logits)
        return start, end

    def save(self, folder: Path) -> None:
        """Write the scorer's files."""
        self._scorer.save(folder)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the exported model agrees with the float model on the questions of one language, or on all.

    ``f1_float``, ``f1`` and ``loss``, their paired difference, are 0 to 100. ``same_span`` is the share, 0 to 1, of
    questions with the same best span, chosen or not. Of start and end logits of all tokens: ``mean_difference`` and
    ``largest_difference``, absolute, and Pearson's ``correlation``.
    """

    language: str
    questions: int
    f1_float: float
    f1: float
    loss: PairedDifference
    same_span: float
    mean_difference: float
    largest_difference: float
    correlation: float


@dataclass(frozen=True, slots=True)
class GateReport:
    """The agreement in each language, and on all questions together."""

    languages: tuple[Agreement, ...]
    whole: Agreement

    def failures(self, max_loss: float) -> list[str]:
        """Why a model that may lose ``max_loss`` points of F1 is refused; nothing if it is not.

        Over all questions the loss itself counts, in a language the lower end of its 95 % interval.
        """
        found = []
        if self.whole.loss.difference > max_loss:
            found.append(f"over all it loses {self.whole.loss.difference:.2f} points of F1, more than {max_loss:g}")
        found += [
            f"in {one.language} it loses {one.loss.difference:.2f} points of F1 ({one.loss.low:.2f} to "
            f"{one.loss.high:.2f}), beyond chance more than {max_loss:g}"
            for one in self.languages
            if one.loss.low > max_loss
        ]
        return found

    def doubt(self, max_loss: float) -> str:
        """What the questions are too few to say of a model that is not refused; "" where they are enough."""
        if self.whole.loss.high <= max_loss:
            return ""
        return (
            f"on {self.whole.questions:,} questions a loss of up to {self.whole.loss.high:.2f} points of F1 cannot be "
            f"ruled out, more than {max_loss:g}; measure on more of them"
        )

    def table(self) -> str:
        """The figures as Markdown."""
        rows = self.languages if len(self.languages) == 1 else (*self.languages, self.whole)
        return table(_HEADER, [_row(one) for one in rows])


def _row(one: Agreement) -> tuple[str, ...]:
    return (
        one.language,
        f"{one.questions:,}",
        f"{one.f1_float:.2f}",
        f"{one.f1:.2f}",
        f"{one.loss.difference:.2f} ({one.loss.low:.2f} to {one.loss.high:.2f})",
        f"{100 * one.same_span:.1f} %",
        f"{one.mean_difference:.4f}",
        f"{one.largest_difference:.3f}",
        f"{one.correlation:.5f}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What the float model says of one dataset: predictions, their F1 [n], windows with logits."""

    questions: Questions
    predictions: list[Prediction]
    f1: Floats
    windows: dict[bytes, ScoredWindow]


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """F1 of both models [n], 0 to 1, whether their best spans are the same [n], and their logits [m]."""

    f1_float: Floats
    f1: Floats
    same: npt.NDArray[np.bool_]
    logits_float: FloatArray
    logits: FloatArray


class Gate:
    """What the float model says of given data, asked once, for any number of exports to be held against.

    Each dataset is read as ``polyspan evaluate`` reads it: the reader may abstain where there are unanswerable
    questions. F1 is SQuAD's, over characters where a script writes no spaces. Datasets of one language count together;
    one that names none stands for itself, under its file's name.
    """

    def __init__(self, reader: Reader, datasets: Sequence[Questions], progress: Progress) -> None:
        """Ask the float model."""
        self._reader, self._progress = reader, progress
        self._said = [_ask(reader, reader, one, progress, "float") for one in datasets]

    @property
    def windows(self) -> list[ScoredWindow]:
        """All windows with the float model's logits."""
        return [window for said in self._said for window in said.windows.values()]

    def measure(self, exported: Reader) -> GateReport:
        """Ask an exported model, and compare."""
        compared: dict[str, list[_Compared]] = {}
        for said in self._said:
            again = _ask(exported, self._reader, said.questions, self._progress, "exported")
            compared.setdefault(_language(said.questions), []).append(_compare(said, again))
        every = [one for group in compared.values() for one in group]
        return GateReport(tuple(_agreement(name, group) for name, group in compared.items()), _agreement("all", every))


def _language(questions: Questions) -> str:
    return next(filter(None, questions.languages), "") or str(questions.source["dataset"]).removesuffix(".json")


def _ask(reader: Reader, float_reader: Reader, questions: Questions, progress: Progress, what: str) -> _Said:
    """What a reader says, with the float reader's options but as many tokens at once as suit it."""
    recorder = Recorder(reader.scorer)
    recording = Reader(recorder, reader.settings)
    options = reading_options(float_reader, questions.examples, "auto", _language(questions))
    readings: Iterable[Reading] = progress(
        predict(recording, questions.examples, replace(options, batch_tokens=reader.defaults.batch_tokens)),
        len(questions.examples),
        f"{questions.source['dataset']}, {what}",
    )
    predictions = list(as_predictions(questions.examples, readings))
    golds = [[answer.text for answer in example.answers] or [""] for example in questions.examples]
    f1 = [token_f1(gold, one.shown, REGIME) for gold, one in zip(golds, predictions, strict=True)]
    return _Said(questions, predictions, np.array(f1, np.float64), recorder.windows)


def _compare(said: _Said, again: _Said) -> _Compared:
    pairs = zip(said.predictions, again.predictions, strict=True)
    # Equal vocabularies make equal windows; of other ones only the answers can be compared.
    shared = [key for key in said.windows if key in again.windows]
    return _Compared(
        said.f1,
        again.f1,
        np.array([(one.start, one.end) == (other.start, other.end) for one, other in pairs], np.bool_),
        _logits(said, shared),
        _logits(again, shared),
    )


def _logits(said: _Said, keys: Iterable[bytes]) -> FloatArray:
    return np.concatenate([np.zeros(0, np.float32), *(said.windows[key].logits.ravel() for key in keys)])


def _agreement(language: str, compared: Sequence[_Compared]) -> Agreement:
    def pooled(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(one, name) for one in compared])

    before, after = 100 * pooled("f1_float"), 100 * pooled("f1")
    logits, other = pooled("logits_float").astype(np.float64), pooled("logits").astype(np.float64)
    difference = np.abs(logits - other)
    return Agreement(
        language,
        before.size,
        float(before.mean()),
        float(after.mean()),
        paired_difference(before, after),
        float(pooled("same").mean()),
        float(difference.mean()) if difference.size else float("nan"),
        float(difference.max(initial=0.0)),
        float(np.corrcoef(logits, other)[0, 1]) if logits.size else float("nan"),
    )
