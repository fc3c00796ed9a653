"""Fitting a calibration to questions with known answers, and what it is worth on questions it was not fitted to."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from polyspan.backends import NativeSettings
from polyspan.datasets.shared import normalise_context
from polyspan.decoding import Calibration, Confidence
from polyspan.errors import DatasetError, InputError
from polyspan.evaluation.logistic import fit_logistic, rescale
from polyspan.evaluation.observe import (
    MOST_DOCUMENTS,
    Asked,
    Datasets,
    Observations,
    ask_alone,
    ask_among_others,
)
from polyspan.metrics import (
    Signature,
    compare_probabilities,
    make_signature,
    prior_weights,
    selective_scores,
    threshold_table,
)
from polyspan.metrics.arrays import Flags, Floats
from polyspan.types import LANGUAGE_CODE, Report

Fitted = tuple[Confidence, float]

FOLDS = 5
FEWEST_QUESTIONS = 100
_TRIED = 1_000  # thresholds
_DOUBTS = {"null_margin": 1, "log_windows": 1, "agreement": -1}  # which way they speak against an answer


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What calibrations say of n questions, arrays [n].

    The probability that each is ``unanswerable``, that its best span is ``exact`` if it is not, and the
    ``threshold``, in logits, above which its null margin is "no answer".
    """

    unanswerable: Floats
    exact: Floats
    threshold: Floats

    def at(self, rows: Flags) -> "Verdicts":
        """Those of some rows."""
        return Verdicts(self.unanswerable[rows], self.exact[rows], self.threshold[rows])


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration fitted to all questions, with reports on such as were left out of the fit.

    ``report`` is on all questions asked of their own context alone, ``datasets`` on those of each dataset, and
    ``among_others`` on those asked of several documents, if there were any.
    """

    calibration: Calibration
    report: Report
    datasets: Mapping[str, Report]
    among_others: Report | None


def questions_to_ask(datasets: Datasets, stored: NativeSettings, language: str | None = None) -> list[Asked]:
    """What to ask a model of the settings ``stored``: each question alone and some among others.

    They come mixed, so that a progress bar tells the truth.

    Raises, before anything is read:
        InputError: where the model never learnt to abstain, or ``language`` makes no sense.
        DatasetError: where there are too few questions, contexts, or questions of a kind.
    """
    if not stored.no_answer:
        raise InputError("the model was never trained to give no answer, so that no probability can be fitted")
    _check_language(language, stored.calibration)
    alone = ask_alone(datasets)
    unanswerable = sum(not one.example.answers for one in alone)
    _check_enough(
        {
            "questions": (len(alone), FEWEST_QUESTIONS),
            "contexts": (len({normalise_context(one.example.context) for one in alone}), 2 * FOLDS),
            "unanswerable questions": (unanswerable, 2 * FOLDS),
            "answerable questions": (len(alone) - unanswerable, 2 * FOLDS),
        }
    )
    return sorted(alone + ask_among_others(datasets), key=lambda one: (one.dataset, one.example.id))


def fit_confidence(observed: Observations, prior: float = 0.5) -> Confidence:
    """The maps from features to probabilities, as if the share ``prior`` of all questions were unanswerable.

    What a question's lacking an answer looks like is learnt within datasets that hold both kinds: datasets differ in
    language, domain and length of text, and one of answerable questions alone would teach that its own are answerable.

    With all other features fixed, the probability that there is no answer never falls, and that the best span is right
    never rises, as the null margin rises, windows get more (the best of many is high by chance) or agree less. Data may
    say otherwise by accident, where long contexts happen to be the answerable ones. Raises InputError where a kind of
    question, or of outcome, is missing.
    """
    both, weights = _within_datasets(observed, prior)
    answerable = observed.at(~observed.unanswerable)
    everywhere = np.ones(answerable.exact.size)
    rightness = {name: -sign for name, sign in _DOUBTS.items()}
    return Confidence(
        unanswerable=fit_logistic(both.features, both.unanswerable, weights, _DOUBTS),
        exact=fit_logistic(answerable.features, answerable.exact, everywhere, rightness),
    )


def fit_language(observed: Observations, general: Confidence, prior: float = 0.5) -> Confidence:
    """The maps of one language: the general ones' logits stretched and shifted to what its questions say.

    As ``fit_confidence`` has them: a few hundred questions of one kind of text are too few to weigh features anew.
    """
    both, weights = _within_datasets(observed, prior)
    answerable = observed.at(~observed.unanswerable)
    everywhere = np.ones(answerable.exact.size)
    return Confidence(
        unanswerable=rescale(general.unanswerable, both.features, both.unanswerable, weights),
        exact=rescale(general.exact, answerable.features, answerable.exact, everywhere),
    )


def fit_threshold(observed: Observations, prior: float = 0.5) -> float:
    """The threshold, in logits, with the highest expected F1 if the share ``prior`` of all questions is unanswerable.

    It counts questions that were asked of their own context alone. What is best for just these (``best_threshold``) is
    a matter of a few of them, so each null margin is blurred by a logistic kernel, whose width shrinks as questions get
    more (Silverman, 1986, equation 3.28).
    """
    observed = observed.at(observed.alone)
    margins, gains = observed.null_margin, _gains(observed, prior)
    width = 1.06 * margins.std() * margins.size**-0.2
    tried = np.linspace(margins.min() - width, margins.max() + width, _TRIED)
    blurred = [(1 + np.tanh((threshold - margins) / width)) @ gains for threshold in tried]
    return float(tried[np.argmax(blurred)])


def best_threshold(observed: Observations, prior: float) -> float:
    """The threshold, in logits, with the highest mean F1 on these questions, weighted as ``fit_threshold`` does.

    It lies halfway between two null margins, or one logit beyond them all. Raises InputError where a kind is missing.
    """
    levels, level = np.unique(observed.null_margin, return_inverse=True)
    answered = np.concatenate([[0.0], np.bincount(level, weights=_gains(observed, prior)).cumsum()])
    between = np.concatenate([[levels[0] - 1], (levels[:-1] + levels[1:]) / 2, [levels[-1] + 1]])
    return float(between[answered.argmax()])


def _gains(observed: Observations, prior: float) -> Floats:
    """What answering each question adds to the sum of F1, instead of abstaining."""
    return prior_weights(observed.unanswerable, prior) * (observed.f1 - observed.unanswerable)


def _within_datasets(observed: Observations, prior: float) -> tuple[Observations, Floats]:
    """The questions of all datasets that hold both kinds, and weights [n] by which each has the share ``prior``.

    All questions, weighted together, where no dataset holds both. Raises InputError where a kind is missing.
    """
    _, number = np.unique(observed.dataset, return_inverse=True)
    share = np.bincount(number, observed.unanswerable) / np.bincount(number)
    both = (share > 0) & (share < 1)
    if not both.any():
        return observed, prior_weights(observed.unanswerable, prior)
    weights = np.zeros(number.size)
    for one in np.flatnonzero(both):
        weights[number == one] = prior_weights(observed.unanswerable[number == one], prior)
    rows = both[number]
    return observed.at(rows), weights[rows]


def calibrate(
    observed: Observations,
    prior: float = 0.5,
    stored: Calibration | None = None,
    language: str | None = None,
    source: Signature | None = None,
) -> Calibrated:
    """Fit to all questions, and report on each by a fit to others.

    The questions' contexts are parted into ``FOLDS``; what is reported of a fold comes from a fit to the other ones, so
    that no context is judged by a fit that saw it.

    Args:
        observed: the questions.
        prior: share of unanswerable questions to fit and report for, above 0 and below 1.
        stored: the model's calibration; needed for a ``language``.
        language: an ISO 639 code. Fits this language's threshold and probabilities, and keeps the rest of ``stored``.
        source: what the reports' signatures say of the model.

    Raises:
        InputError: where ``prior`` or ``language`` makes no sense, or ``stored`` has no ``confidence`` to keep.
        DatasetError: where there are too few questions, contexts, or questions of a kind.
    """
    stored = Calibration() if stored is None else stored
    _check_language(language, stored)
    if not 0 < prior < 1:
        raise InputError(f"prior: expected a share of unanswerable questions above 0 and below 1, got {prior}")
    _check_enough(_needed(observed))

    def fit(seen: Observations) -> Fitted:
        general = None if language is None else stored.confidence
        confidence = fit_confidence(seen, prior) if general is None else fit_language(seen, general, prior)
        return confidence, fit_threshold(seen, prior)

    confidence, threshold = fit(observed)
    verdicts = _cross_fit(observed, fit)
    source = {**(source or {}), "folds": FOLDS, **({} if language is None else {"language": language})}

    def report(rows: Flags, **more: str) -> Report:
        return _report(observed.at(rows), verdicts.at(rows), prior, {**source, **more})

    alone = observed.alone
    names = dict.fromkeys(observed.dataset[alone].tolist())
    return Calibrated(
        Calibration(threshold, confidence=confidence)
        if language is None
        else replace(
            stored,
            thresholds={**stored.thresholds, language: threshold},
            confidences={**stored.confidences, language: confidence},
        ),
        report(alone),
        {name: report(alone & (observed.dataset == name), dataset=name) for name in names},
        None if alone.all() else report(~alone, documents=f"2 to {MOST_DOCUMENTS}"),
    )


def judge(
    observed: Observations, calibration: Calibration, prior: float = 0.5, source: Signature | None = None
) -> Report:
    """What a calibration is worth on questions that it was not fitted to, in the figures of ``calibrate``'s reports.

    Raises InputError where it has no ``confidence``, or the questions cannot be weighted to the ``prior``.
    """
    if calibration.confidence is None:
        raise InputError("the calibration holds no fitted probabilities; calibrate the model first")
    verdicts = Verdicts(
        calibration.confidence.unanswerable.probability(observed.features),
        calibration.confidence.exact.probability(observed.features),
        np.full(observed.exact.size, calibration.no_answer_threshold),
    )
    return _report(observed, verdicts, prior, source or {})


def _needed(observed: Observations) -> dict[str, tuple[int, int]]:
    """What a fit needs: how many there are of each, and how many there have to be."""
    return {
        "questions with something to quote": (int(observed.alone.sum()), FEWEST_QUESTIONS),
        "questions answered right": (int(observed.exact.sum()), FOLDS),
        "answerable questions answered wrong": (int((~observed.unanswerable & ~observed.exact).sum()), FOLDS),
    }


def _check_enough(found: Mapping[str, tuple[int, int]]) -> None:
    for kind, (count, needed) in found.items():
        if count < needed:
            raise DatasetError(f"the data holds {count} {kind}; expected at least {needed}, add more files")


def _check_language(language: str | None, stored: Calibration) -> None:
    if language is not None and re.fullmatch(LANGUAGE_CODE, language) is None:
        raise InputError(f"language {language!r}: expected an ISO 639 code such as 'de'")
    if language is not None and stored.confidence is None:
        raise InputError("a language's calibration needs a calibrated model; calibrate it without a language first")


def _cross_fit(observed: Observations, fit: Callable[[Observations], Fitted]) -> Verdicts:
    """Each fold by a fit to the others."""
    fold = folds(observed)
    unanswerable, exact, thresholds = np.zeros((3, fold.size))
    for number in range(FOLDS):
        held = fold == number
        confidence, thresholds[held] = fit(observed.at(~held))
        features = observed.at(held).features
        unanswerable[held] = confidence.unanswerable.probability(features)
        exact[held] = confidence.exact.probability(features)
    return Verdicts(unanswerable, exact, thresholds)


def folds(observed: Observations) -> npt.NDArray[np.int64]:
    """The fold of each question [n]: whole contexts at random, with and without unanswerable questions alike."""
    mixed = np.bincount(observed.context, observed.unanswerable) > 0
    shuffled = np.random.default_rng(0).permutation(mixed.size)
    fold = np.empty(mixed.size, np.int64)
    fold[shuffled[np.argsort(mixed[shuffled], kind="stable")]] = np.arange(mixed.size) % FOLDS
    return fold[observed.context]


def _report(observed: Observations, verdicts: Verdicts, prior: float, source: Signature) -> Report:
    """What the verdicts are worth.

    Questions are weighted for the ``prior``. Where they are all of one kind, they stand for their own share of
    unanswerable questions, 0 or 1, and the probabilities are carried over to it.
    """
    absent = observed.unanswerable
    share = prior if absent.any() and not absent.all() else float(absent[0])
    weights = prior_weights(absent, share)
    abstained = observed.null_margin > verdicts.threshold
    right = np.where(abstained, absent, observed.exact)
    unanswerable = _with_prior(verdicts.unanswerable, prior, share)
    fitted = np.where(abstained, unanswerable, (1 - unanswerable) * verdicts.exact)
    softmax = np.where(abstained, *_softmax(observed.features))
    estimates = {
        "": selective_scores(fitted, right, weights),
        "softmax_": selective_scores(softmax, right, weights),
        "gain_": compare_probabilities(softmax, fitted, right, weights),
    }
    named = {f"{prefix}{name}": one for prefix, group in estimates.items() for name, one in group.items()}
    counts = {"total": absent.size, "unanswerable": int(absent.sum())}
    scores = {name: one.value for name, one in named.items()} | _threshold_scores(observed, verdicts, share, weights)
    intervals = {name: (one.low, one.high) for name, one in named.items()}
    signature = make_signature("calibration", "squad+characters", source, n=absent.size, prior=share)
    return Report({**counts, **scores}, signature, intervals)


def _threshold_scores(observed: Observations, verdicts: Verdicts, prior: float, weights: Floats) -> dict[str, float]:
    """Scores, 0 to 100, at the verdicts' thresholds and at the single one that is best for these questions."""
    best = best_threshold(observed, prior)
    graded = observed.unanswerable, observed.exact, observed.f1
    given = threshold_table(observed.null_margin - verdicts.threshold, *graded, [0.0], weights)
    ideal = threshold_table(observed.null_margin, *graded, [best], weights)
    scores = {name: float(column[0]) for name, column in given.items() if name != "threshold"}
    return {**scores, "best_f1": float(ideal["f1"][0]), "best_f1_thresh": best}


def _softmax(features: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Of an uncalibrated model, probabilities of no answer and of the best span: one softmax of all windows' spans.

    Each span weighs exp(-null margin), and no answer 1.
    """
    log_mass = np.logaddexp(0, -features["null_margin"] - features["log_share"])
    return np.exp(-log_mass), np.exp(-features["null_margin"] - log_mass)


def _with_prior(unanswerable: Floats, fitted: float, share: float) -> Floats:
    """Probabilities fitted for one share of unanswerable questions, for another (Elkan, 2001, theorem 2)."""
    for_it, against = unanswerable * share / fitted, (1 - unanswerable) * (1 - share) / (1 - fitted)
    return np.divide(for_it, for_it + against, out=np.full_like(for_it, share), where=for_it + against > 0)
