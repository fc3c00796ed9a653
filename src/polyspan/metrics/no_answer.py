"""How well a reader abstains, at one threshold or at many."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.metrics.arrays import Floats, check_lengths, flags, importance, numbers


@dataclass(frozen=True, slots=True)
class NoAnswerScores:
    """Precision, recall and F1 of abstaining, 0 to 1; 0 where nothing was abstained, or nothing unanswerable."""

    precision: float
    recall: float
    f1: float


def prior_weights(unanswerable: npt.ArrayLike, prior: float) -> Floats:
    """Weights [n], 1 on average, under which the share ``prior`` (0 to 1) of the questions is unanswerable.

    Answerable questions share one weight and unanswerable ones another: importance weighting for another class
    prior (Elkan, 2001). Raises InputError where a kind of question is missing that the prior asks for.
    """
    absent = flags("unanswerable", unanswerable)
    if not 0 <= prior <= 1:
        raise InputError(f"prior: expected a share from 0 to 1, got {prior}")
    weights = np.zeros(absent.size)
    for rows, share, kind in ((absent, prior, "unanswerable"), (~absent, 1 - prior, "answerable")):
        if share and not rows.any():
            raise InputError(f"prior: {prior} asks for {kind} questions, and there is none; leave the weights out")
        weights[rows] = share * absent.size / max(1, rows.sum())
    return weights


def no_answer_scores(
    abstained: npt.ArrayLike, unanswerable: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> NoAnswerScores:
    """Precision, recall and F1 of ``abstained`` [n] as a detector of ``unanswerable`` [n] (van Rijsbergen, 1979).

    ``weights`` [n], 0 or more, say how many questions each stands for.
    """
    chosen, absent = flags("abstained", abstained), flags("unanswerable", unanswerable)
    weight = importance(weights, chosen.size)
    check_lengths({"abstained": chosen, "unanswerable": absent, "weights": weight})
    hits, all_chosen, all_absent = (float(weight[rows].sum()) for rows in (chosen & absent, chosen, absent))
    if not hits:
        return NoAnswerScores(0.0, 0.0, 0.0)
    return NoAnswerScores(hits / all_chosen, hits / all_absent, 2 * hits / (all_chosen + all_absent))


def threshold_table(
    null_margin: npt.ArrayLike,
    unanswerable: npt.ArrayLike,
    exact: npt.ArrayLike,
    f1: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
) -> Mapping[str, Floats]:
    """What each no-answer threshold [k] would score: columns [k] by name.

    ``null_margin`` [n] is in logits, above the threshold a question is abstained; ``exact`` and ``f1`` [n], 0 to
    1, are what the best span scores where it is shown; ``weights`` [n] as in ``no_answer_scores``. The columns:
    ``threshold`` (logits), then 0 to 100, as SQuAD 2.0's official script has it, ``exact`` and ``f1``,
    ``HasAns_exact`` and ``HasAns_f1``, ``NoAns_exact`` and ``NoAns_f1`` (left out where no question of the kind
    weighs anything), and ``abstained``, the share of questions. Sorting once serves all thresholds.
    """
    margin, absent = numbers("null_margin", null_margin), flags("unanswerable", unanswerable)
    shown = {"exact": numbers("exact", exact, 0.0, 1.0), "f1": numbers("f1", f1, 0.0, 1.0)}
    weight = importance(weights, margin.size)
    check_lengths({"null_margin": margin, "unanswerable": absent, **shown, "weights": weight})
    grid = numbers("thresholds", thresholds)
    order = np.argsort(margin, kind="stable")
    reached = np.searchsorted(margin[order], grid, side="right")

    def mean(if_shown: Floats, if_abstained: Floats, mass: Floats) -> Floats:
        gains = np.concatenate([np.zeros(1), (mass * (if_shown - if_abstained))[order].cumsum()])
        percent: Floats = 100.0 * (mass @ if_abstained + gains[reached]) / mass.sum()
        return percent

    abstaining = absent.astype(np.float64)
    table = {"threshold": grid}
    for part, rows in (("", np.ones_like(absent)), ("HasAns_", ~absent), ("NoAns_", absent)):
        if weight[rows].any():
            table |= {f"{part}{key}": mean(scores, abstaining, weight * rows) for key, scores in shown.items()}
    return table | {"abstained": mean(np.zeros_like(margin), np.ones_like(margin), weight)}
