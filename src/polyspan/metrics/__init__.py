"""What an answer is worth: official SQuAD scores, their intervals and their signature."""

from polyspan.metrics.bootstrap import bootstrap_interval
from polyspan.metrics.no_answer import no_answer_scores, prior_weights, threshold_table
from polyspan.metrics.paired import changed, mcnemar, paired_difference
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
    "aurc",
    "bootstrap_interval",
    "brier_score",
    "changed",
    "compare_probabilities",
    "coverage_at",
    "exact_match",
    "expected_calibration_error",
    "mcnemar",
    "no_answer_scores",
    "normalise_answer",
    "paired_difference",
    "prior_weights",
    "reliability",
    "risk_coverage",
    "score_squad1",
    "score_squad2",
    "selective_scores",
    "signature_text",
    "space_characters",
    "threshold_table",
    "token_f1",
]
