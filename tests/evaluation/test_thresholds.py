from dataclasses import replace

import numpy as np
import pytest

from polyspan.evaluation import Answered, explore_thresholds, grade_predictions, score_predictions
from polyspan.evaluation.predictions import LARGEST_MARGIN


def test_thresholds_agree_with_the_official_report(answered: Answered) -> None:
    found = explore_thresholds(grade_predictions(answered))
    scores = score_predictions("squad", answered).scores
    assert found.own == 0
    assert found.best == pytest.approx(scores["best_f1_thresh"])
    for threshold, f1 in ((found.own, scores["f1"]), (found.best, scores["best_f1"])):
        row = found.listed["threshold"].tolist().index(threshold)
        assert found.listed["f1"][row] == pytest.approx(f1)
    row = found.listed["threshold"].tolist().index(0)
    for name in ("exact", "HasAns_f1", "NoAns_f1"):
        assert found.listed[name][row] == pytest.approx(scores[name])
    assert found.listed["abstained"][row] == 50


def test_thresholds_curve_goes_from_always_abstaining_to_never(answered: Answered) -> None:
    curve = explore_thresholds(grade_predictions(answered)).curve
    margins = sorted(row.null_margin for row in answered.predictions.values())
    assert curve["threshold"].tolist() == [-LARGEST_MARGIN, *margins]
    assert np.all(np.diff(curve["abstained"]) < 0)
    assert (curve["abstained"][0], curve["f1"][0], curve["NoAns_f1"][0]) == (100, 37.5, 100)
    assert (curve["abstained"][-1], curve["NoAns_f1"][-1]) == (0, 0)


def test_thresholds_are_weighted_as_the_grades_are(answered: Answered) -> None:
    weighted = explore_thresholds(grade_predictions(answered, prior=0.75))
    assert weighted.curve["f1"][0] == pytest.approx(75)
    assert weighted.best < explore_thresholds(grade_predictions(answered)).best


def test_thresholds_of_a_reader_without_one(answered: Answered) -> None:
    found = explore_thresholds(grade_predictions(replace(answered, threshold=None)))
    assert found.own is None
    assert found.best in found.listed["threshold"]
