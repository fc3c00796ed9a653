"""What an answer is worth: official scores of many regimes, their intervals and their signature."""

from polyspan.metrics.bootstrap import bootstrap_interval
from polyspan.metrics.farm import farm_candidates, rank_farm, score_farm
from polyspan.metrics.no_answer import no_answer_scores, prior_weights, threshold_table
from polyspan.metrics.paired import changed, mcnemar, paired_difference
from polyspan.metrics.regime import Regime
from polyspan.metrics.registry import REGIMES
from polyspan.metrics.segmentation import space_characters
from polyspan.metrics.selective import (
    aurc,
    brier_score,
    compare_probabilities,
    coverage_at,
    expected_calibration_error,
    reliability,
    risk_coverage,
    selective_scores,
)
from polyspan.metrics.signature import signature_text
from polyspan.metrics.squad import exact_match, normalise_answer, score_squad1, score_squad2, token_f1

__all__ = [
    "REGIMES",
    "Regime",
    "aurc",
    "bootstrap_interval",
    "brier_score",
    "changed",
    "compare_probabilities",
    "coverage_at",
    "exact_match",
    "expected_calibration_error",
    "farm_candidates",
    "mcnemar",
    "no_answer_scores",
    "normalise_answer",
    "paired_difference",
    "prior_weights",
    "rank_farm",
    "reliability",
    "risk_coverage",
    "score_farm",
    "score_squad1",
    "score_squad2",
    "selective_scores",
    "signature_text",
    "space_characters",
    "threshold_table",
    "token_f1",
]
