"""How well a probability tells right answers from wrong ones.

All figures are over n questions: ``probability`` [n], 0 to 1, claims that what was shown (an answer or the
abstention) is exactly right; ``right`` [n] says whether it was. ``weights`` [n], 0 or more, say how many
questions each stands for (see ``prior_weights``); without them each stands for itself. Questions of equal
probability are never told apart. InputError names the list, and the place in it, that cannot be used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.metrics.arrays import Flags, Floats, check_lengths, flags, importance, numbers
from polyspan.metrics.bootstrap import Estimate, bootstrap_estimates

Binning = Literal["mass", "width"]

_BINS = 15
_FIGURES = ("aurc", "ece", "brier")


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """One point for each probability that occurs, from the highest down; all arrays [k], 0 to 1.

    Showing only what has at least the probability ``threshold`` shows the share ``coverage`` of the questions;
    the share ``risk`` of these is wrong.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """One row a bin that is not empty, from the least probable up; all arrays [b], 0 to 1.

    ``probability`` is the bin's mean, ``accuracy`` the share of it that is right, ``mass`` its share of all.
    """

    probability: Floats
    accuracy: Floats
    mass: Floats


def risk_coverage(
    probability: npt.ArrayLike, right: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> RiskCoverage:
    """The risk-coverage curve (El-Yaniv and Wiener, 2010; Geifman and El-Yaniv, 2017)."""
    ranking = _ranking(*_checked(probability, right, weights))
    coverage, risk = _curve(*ranking.sums())
    return RiskCoverage(ranking.probability, coverage[0], risk[0])


def aurc(curve: RiskCoverage) -> float:
    """The area under the risk-coverage curve, 0 to 1, less is better (Geifman, Uziel and El-Yaniv, 2019).

    The mean, over the questions, of the risk of showing a question and all that are at least as probable. So
    questions of equal probability all have the risk of the whole group: no threshold can part them.
    """
    return float(_area(curve.coverage, curve.risk))


def coverage_at(curve: RiskCoverage, accuracy: float) -> float:
    """The largest coverage at which at least the share ``accuracy`` of the shown is right; 0 where there is none."""
    if not 0 <= accuracy <= 1:
        raise InputError(f"accuracy: expected a share from 0 to 1, got {accuracy}")
    enough = curve.risk <= 1 - accuracy + 1e-12  # rounding must not cost a point that reaches it exactly
    return float(curve.coverage[enough].max(initial=0.0))


def brier_score(probability: npt.ArrayLike, right: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The mean squared difference of probability and outcome (1 where right), 0 to 1 (Brier, 1950)."""
    ranking = _ranking(*_checked(probability, right, weights))
    return float(_brier(ranking, *ranking.sums())[0])


def expected_calibration_error(
    probability: npt.ArrayLike,
    right: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    bins: int = _BINS,
    binning: Binning = "mass",
) -> float:
    """ECE: by how much accuracy and mean probability differ in a bin, its mean by mass over ``bins``, 0 to 1.

    Bins of equal "width" (Naeini et al., 2015) hold probabilities from i / bins up to (i + 1) / bins, which
    belongs to the next bin, but 1 to the last. Bins of equal "mass" (Nguyen and O'Connor, 2015) cut the ranked
    questions into parts of equal weight; a group of equal probability goes whole to the bin that holds its
    middle, so that bins differ in mass, or stay empty, where groups are large.
    """
    ranking = _ranking(*_checked(probability, right, weights))
    return float(_calibration_error(ranking, *ranking.sums(), bins, binning)[0])


def reliability(
    probability: npt.ArrayLike,
    right: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    bins: int = _BINS,
    binning: Binning = "mass",
) -> Reliability:
    """The table behind a reliability diagram (DeGroot and Fienberg, 1983), in the bins of the ECE."""
    ranking = _ranking(*_checked(probability, right, weights))
    mass, wrong = ranking.sums()
    index = _bin_index(ranking.probability, mass, bins, binning)
    claimed, correct, held = (
        _binned(values, index, bins)[0] for values in (mass * ranking.probability, mass - wrong, mass)
    )
    filled = held > 0
    held = held[filled]
    return Reliability(claimed[filled] / held, correct[filled] / held, held / held.sum())


def selective_scores(
    probability: npt.ArrayLike,
    right: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Mapping[str, Estimate]:
    """``aurc``, ``ece`` (15 bins of equal mass) and ``brier``, each with its 95 % basic bootstrap interval.

    Questions are drawn with their weights, which stay as they are. The figures lie within 0 and 1, and so do
    the ends; a plain ECE is too large in a small sample, its interval may therefore lie below it.
    """
    sample = _checked(probability, right, weights)
    ranking = _ranking(*sample)
    estimates = bootstrap_estimates(lambda counts: _figures(ranking, counts), sample[0].size, resamples, seed)
    clipped = [Estimate(each.value, *np.clip([each.low, each.high], 0.0, 1.0).tolist()) for each in estimates]
    return dict(zip(_FIGURES, clipped, strict=True))


def compare_probabilities(
    probability_a: npt.ArrayLike,
    probability_b: npt.ArrayLike,
    right: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Mapping[str, Estimate]:
    """What ``selective_scores`` gives, as differences: those of A minus those of B, below 0 where A is better.

    Each resample draws the same questions for both, so an interval that excludes 0 tells them apart.
    """
    a = _checked(probability_a, right, weights, "probability_a")
    b = _checked(probability_b, right, weights, "probability_b")
    one, other = _ranking(*a), _ranking(*b)
    estimates = bootstrap_estimates(
        lambda counts: _figures(one, counts) - _figures(other, counts), a[0].size, resamples, seed
    )
    return dict(zip(_FIGURES, estimates, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """Questions from the most probable down; the k groups of equal ``probability`` begin at ``starts``."""

    order: npt.NDArray[np.intp]  # [n]
    wrong: Floats  # [n], 1 where wrong, in this order; so are the weights
    weights: Floats
    starts: npt.NDArray[np.intp]  # [k]
    probability: Floats  # [k]

    def sums(self, counts: Floats | None = None) -> tuple[Floats, Floats]:
        """Each group's weight, and that of its wrong answers, [samples, k], where questions count so often."""
        mass = self.weights[None] if counts is None else counts[:, self.order] * self.weights
        return np.add.reduceat(mass, self.starts, axis=1), np.add.reduceat(mass * self.wrong, self.starts, axis=1)


def _checked(
    probability: npt.ArrayLike, right: npt.ArrayLike, weights: npt.ArrayLike | None, name: str = "probability"
) -> tuple[Floats, Flags, Floats]:
    """The questions that weigh anything: others may not be drawn, or a whole resample could weigh nothing."""
    claimed, outcome = numbers(name, probability, 0.0, 1.0), flags("right", right)
    weight = importance(weights, claimed.size)
    check_lengths({name: claimed, "right": outcome, "weights": weight})
    counted = weight > 0
    return claimed[counted], outcome[counted], weight[counted]


def _ranking(probability: Floats, right: Flags, weights: Floats) -> _Ranking:
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=np.inf))
    return _Ranking(order, (~right[order]).astype(np.float64), weights[order], starts, ranked[starts])


def _figures(ranking: _Ranking, counts: Floats) -> Floats:
    """The ``_FIGURES`` of each sample, [samples, 3]."""
    mass, wrong = ranking.sums(counts)
    error = _calibration_error(ranking, mass, wrong, _BINS, "mass")
    return np.stack([_area(*_curve(mass, wrong)), error, _brier(ranking, mass, wrong)], axis=1)


def _curve(mass: Floats, wrong: Floats) -> tuple[Floats, Floats]:
    """Coverage and risk, [samples, k], after each group; its risk is 0 as long as nothing is covered."""
    covered = mass.cumsum(axis=1)
    risk = np.divide(wrong.cumsum(axis=1), covered, out=np.zeros_like(covered), where=covered > 0)
    return covered / covered[:, -1:], risk


def _area(coverage: Floats, risk: Floats) -> Floats:
    area: Floats = (np.diff(coverage, axis=-1, prepend=0.0) * risk).sum(axis=-1)
    return area


def _brier(ranking: _Ranking, mass: Floats, wrong: Floats) -> Floats:
    if_wrong, if_right = ranking.probability**2, (1 - ranking.probability) ** 2
    score: Floats = (wrong @ if_wrong + (mass - wrong) @ if_right) / mass.sum(axis=1)
    return score


def _calibration_error(ranking: _Ranking, mass: Floats, wrong: Floats, bins: int, binning: Binning) -> Floats:
    index = _bin_index(ranking.probability, mass, bins, binning)
    gaps = _binned(mass * (1 - ranking.probability) - wrong, index, bins)
    error: Floats = np.abs(gaps).sum(axis=1) / mass.sum(axis=1)
    return error


def _bin_index(probability: Floats, mass: Floats, bins: int, binning: Binning) -> npt.NDArray[np.intp]:
    """The bin of each group, [samples, k], counted from the least probable."""
    if bins < 1:
        raise InputError(f"bins: expected at least 1, got {bins}")
    if binning == "width":
        place = np.broadcast_to(bins * probability, mass.shape)
    elif binning == "mass":
        covered = mass.cumsum(axis=1)
        total = covered[:, -1:]
        place = bins * (total - covered + mass / 2) / total
    else:
        raise InputError(f"binning: expected 'mass' or 'width', got {binning!r}")
    return np.clip(place.astype(np.intp), 0, bins - 1)


def _binned(values: Floats, index: npt.NDArray[np.intp], bins: int) -> Floats:
    """The sums, [samples, bins], of values [samples, k]."""
    rows = len(values)
    cells = index + bins * np.arange(rows)[:, None]
    sums = np.bincount(cells.ravel(), weights=values.ravel(), minlength=rows * bins).reshape(rows, bins)
    return sums.astype(np.float64, copy=False)
