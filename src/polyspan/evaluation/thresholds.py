"""What other no-answer thresholds would have scored."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polyspan.evaluation.predictions import LARGEST_MARGIN
from polyspan.evaluation.reports import Graded, grade_texts
from polyspan.metrics import threshold_table
from polyspan.metrics.arrays import Floats

_LISTED = 11


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Columns as in ``threshold_table``, weighted as the graded predictions are, rows in rising threshold.

    ``curve`` holds all thresholds that differ in what they abstain from, ``listed`` a few for people to read, with
    the reader's ``own`` (None where it has none, or several) and the ``best``, which has the highest F1.
    """

    curve: Mapping[str, Floats]
    listed: Mapping[str, Floats]
    own: float | None
    best: float


def explore_thresholds(graded: Graded) -> Thresholds:
    """Score the best spans of all questions at all thresholds, their texts compared as ``graded`` was."""
    texts = {row.id: row.text for row in graded.rows}
    exact, f1 = grade_texts(graded.regime, graded.questions, texts)
    margins = np.array([row.null_margin for row in graded.rows])

    def table(thresholds: Floats) -> Mapping[str, Floats]:
        return threshold_table(margins, graded.unanswerable, exact, f1, thresholds, graded.weights)

    # The one below them all abstains always, as in the official script.
    curve = table(np.concatenate([[-LARGEST_MARGIN], np.unique(margins)]))
    best = float(curve["threshold"][curve["f1"].argmax()])
    own = [] if graded.threshold is None else [graded.threshold]
    spread = np.quantile(margins, np.linspace(0, 1, _LISTED)).round(2)
    return Thresholds(curve, table(np.unique([*spread, *own, best])), graded.threshold, best)
