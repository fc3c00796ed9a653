"""Fitting when ranked passages that are left need not be read, and what stopping there saves and loses."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from math import lgamma

import numpy as np
import numpy.typing as npt

from polyspan.datasets.shared import normalise_context
from polyspan.decoding import StopRule
from polyspan.errors import DatasetError
from polyspan.evaluation.observe import grade
from polyspan.metrics import Signature, bootstrap_interval, make_signature
from polyspan.metrics.arrays import Flags, Floats
from polyspan.pipeline import PassageRanker
from polyspan.reader import EarlyStop, Reader
from polyspan.types import QAExample, Reading, Report

AFTER = (1, 2, 4)
RISKS = (0.01, 0.02, 0.05, 0.1)
DOUBT = 0.05
"""The probability, over samples of questions, that a fitted limit's risk is higher than stated."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Trail:
    """What a reader that may not abstain says of a question after each of ``AFTER`` passages, and after all.

    ``threshold`` is the null margin, in logits, above which it would abstain.
    """

    example: QAExample
    readings: tuple[Reading, ...]
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Trails:
    """n questions read to the end of ``passages``, arrays [n, times] over the times to stop at, the end last.

    ``probability`` of the best answer, 0 to 1; whether the best answer ``changes`` until any later time; how many
    passages were ``read``; ``exact`` and ``f1`` (0 to 1) of what is shown, where right is to abstain if the question's
    own context does not answer it. Questions of one ``context`` [n] have the same number there.
    """

    passages: int
    probability: Floats
    changes: Flags
    read: Floats
    exact: Floats
    f1: Floats
    context: npt.NDArray[np.int64]

    def at(self, rows: Flags) -> "Trails":
        """Those of some questions."""
        arrays = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "passages"}
        return Trails(self.passages, **arrays)


def follow(reader: Reader, ranking: PassageRanker, examples: Iterable[QAExample], passages: int) -> Iterator[Trail]:
    """Read the ``passages`` that are ranked best for each question to the end; of equal questions only one."""
    seen: dict[str, list[Reading]] = defaultdict(list)
    unique = {example.question: example for example in examples}
    options = replace(reader.defaults, top_k=1, return_no_answer=False, score_threshold=0.0)

    def keep(reading: Reading) -> bool:
        seen[reading.question].append(reading)
        return False

    pairs = ((question, ranking.best(question, passages)) for question in unique)
    for last in reader.read_stream(pairs, options, EarlyStop(_before(passages), keep)):
        threshold = reader.threshold(options, last.question)
        yield Trail(
            unique[last.question],
            (*seen.pop(last.question), last),
            np.inf if threshold is None else threshold,
        )


def gather(trails: Sequence[Trail], passages: int) -> Trails:
    """Trails as arrays."""
    contexts: dict[str, int] = {}
    texts = [[one.answers[0].text if one.answers else "" for one in trail.readings] for trail in trails]
    grades = np.array([[_grade(trail, one) for one in trail.readings] for trail in trails])
    return Trails(
        passages,
        np.array([[one.answers[0].score if one.answers else 0.0 for one in trail.readings] for trail in trails]),
        np.array([[any(later != text for later in row[i:]) for i, text in enumerate(row)] for row in texts]),
        np.array([[one.passages_read for one in trail.readings] for trail in trails], np.float64),
        grades[:, :, 0],
        grades[:, :, 1],
        np.array([contexts.setdefault(normalise_context(one.example.context), len(contexts)) for one in trails]),
    )


def _before(passages: int) -> tuple[int, ...]:
    """Those of ``AFTER`` that come before the end."""
    return tuple(number for number in AFTER if number < passages)


def _grade(trail: Trail, reading: Reading) -> tuple[float, float]:
    abstained = not reading.answers or reading.no_answer.null_margin > trail.threshold
    if abstained or not trail.example.answers:
        right = float(abstained and not trail.example.answers)
        return right, right
    return grade(trail.example, reading.answers[0].text)


def fit_limit(trails: Trails, risk: float) -> float | None:
    """The lowest limit, 0 to 1, whose risk is no more than ``risk``; None where there are too few questions to tell.

    Reading stops the first time that the best answer's probability is above the limit. A lower limit stops earlier, and
    an answer that changes later changes after any earlier time too; so the questions that stopping changes are those
    whose probability is above the limit at some time before their last change, and get no fewer as the limit falls.
    The limit leaves as many of them as have a Clopper-Pearson upper bound (Clopper and Pearson, 1934), at a confidence
    of 1 - ``DOUBT``, of no more than ``risk``: an upper confidence bound calibration (Bates et al., 2021).
    """
    highest = np.sort(np.where(trails.changes, trails.probability, 0.0).max(axis=1))[::-1]
    allowed = _allowed(highest.size, risk)
    return None if allowed < 0 else float(highest[allowed])


def _allowed(n: int, risk: float) -> int:
    """How many of n may go wrong at most that their upper confidence bound is no more than ``risk``; -1: not even 0."""
    wrong = np.arange(n)
    ways = np.array([lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) for k in range(n)])
    below = np.cumsum(np.exp(ways + wrong * np.log(risk) + (n - wrong) * np.log1p(-risk)))
    return int(np.searchsorted(below, DOUBT, side="right")) - 1


def fit_stop(trails: Trails) -> StopRule:
    """A limit for each of ``RISKS`` that the questions are enough for; DatasetError where they are for none."""
    limits = [(risk, limit) for risk in RISKS if (limit := fit_limit(trails, risk)) is not None]
    if not limits:
        raise DatasetError(f"{len(trails.context)} questions are too few to tell a risk of {RISKS[-1]:g}; give more")
    return StopRule(trails.passages, _before(trails.passages), tuple(limits))


def stop_times(trails: Trails, limit: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Of each question [n] the time at which reading stops, by one limit or each question's own [n]."""
    above = trails.probability > np.reshape(limit, (-1, 1))
    above[:, -1] = True
    times: npt.NDArray[np.int64] = above.argmax(axis=1)
    return times


def judge_stops(trails: Trails, source: Signature) -> dict[float, Report]:
    """For each of ``RISKS`` what stopping saves and loses, each question by limits from questions on other contexts.

    ``passages`` read, and ``passages_all`` without stopping; ``changed``: the share, 0 to 100, of best answers that
    stopping changes; ``exact`` and ``f1`` (0 to 100) of what is shown, and ``exact_loss`` and ``f1_loss`` beside
    reading all. A risk that the questions are too few for is left out.
    """
    shuffled = np.random.default_rng(0).permutation(trails.context.max() + 1)
    fold = (shuffled % FOLDS)[trails.context]
    rows = np.arange(fold.size)
    reports = {}
    for risk in RISKS:
        limits = [fit_limit(trails.at(fold != number), risk) for number in range(FOLDS)]
        if any(limit is None for limit in limits):
            continue
        at = rows, stop_times(trails, np.array(limits, np.float64)[fold])
        values = {
            "passages": trails.read[at],
            "passages_all": trails.read[:, -1],
            "changed": 100.0 * trails.changes[at],
            "exact": 100 * trails.exact[at],
            "f1": 100 * trails.f1[at],
            "exact_loss": 100 * (trails.exact[:, -1] - trails.exact[at]),
            "f1_loss": 100 * (trails.f1[:, -1] - trails.f1[at]),
        }
        reports[risk] = Report(
            {"total": fold.size, **{name: float(array.mean()) for name, array in values.items()}},
            make_signature("early-stop", "squad+characters", {**source, "folds": FOLDS, "risk": risk}, n=fold.size),
            {name: bootstrap_interval(array) for name, array in values.items()},
        )
    return reports
