"""What an answer is worth: official scores of many regimes, their intervals and their signature."""

from polyspan.metrics.bootstrap import bootstrap_interval
from polyspan.metrics.farm import farm_candidates, rank_farm, score_farm
from polyspan.metrics.no_answer import no_answer_scores, prior_weights, threshold_table
from polyspan.metrics.paired import McNemar, PairedDifference, changed, mcnemar, paired_difference
from polyspan.metrics.regime import Regime
from polyspan.metrics.registry import REGIMES
from polyspan.metrics.retrieval import ndcg_at, recall_at, reciprocal_rank
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
from polyspan.metrics.signature import Signature, make_signature, signature_text
from polyspan.metrics.squad import (
    Regimes,
    exact_match,
    grade_squad1,
    grade_squad2,
    match_predictions,
    normalise_answer,
    normaliser_name,
    score_squad1,
    score_squad2,
    token_f1,
)

__all__ = [
    "REGIMES",
    "McNemar",
    "PairedDifference",
    "Regime",
    "Regimes",
    "Signature",
    "aurc",
    "bootstrap_interval",
    "brier_score",
    "changed",
    "compare_probabilities",
    "coverage_at",
    "exact_match",
    "expected_calibration_error",
    "farm_candidates",
    "grade_squad1",
    "grade_squad2",
    "make_signature",
    "match_predictions",
    "mcnemar",
    "ndcg_at",
    "no_answer_scores",
    "normalise_answer",
    "normaliser_name",
    "paired_difference",
    "prior_weights",
    "rank_farm",
    "recall_at",
    "reciprocal_rank",
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
