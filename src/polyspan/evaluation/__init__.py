"""A reader and a dataset to predictions, and predictions to reports and comparisons."""

from polyspan.evaluation.compare import ChangedQuestion, Comparison, compare
from polyspan.evaluation.evaluate import (
    Evaluation,
    evaluate,
    origin_of,
    predict,
    reading_options,
)
from polyspan.evaluation.html import html_report
from polyspan.evaluation.plots import Plot, draw_plots
from polyspan.evaluation.predictions import (
    Kept,
    Origin,
    Prediction,
    append,
    as_predictions,
    is_kept,
    predictions_file,
    read_kept,
    resume,
)
from polyspan.evaluation.reports import (
    SELECTIVE,
    TEXT_REGIMES,
    Answered,
    Graded,
    Questions,
    Scored,
    answered_by,
    complete_reports,
    counted,
    grade_predictions,
    pool,
    read_questions,
    score_predictions,
    score_texts,
)
from polyspan.evaluation.thresholds import Thresholds, explore_thresholds

__all__ = [
    "SELECTIVE",
    "TEXT_REGIMES",
    "Answered",
    "ChangedQuestion",
    "Comparison",
    "Evaluation",
    "Graded",
    "Kept",
    "Origin",
    "Plot",
    "Prediction",
    "Questions",
    "Scored",
    "Thresholds",
    "answered_by",
    "append",
    "as_predictions",
    "compare",
    "complete_reports",
    "counted",
    "draw_plots",
    "evaluate",
    "explore_thresholds",
    "grade_predictions",
    "html_report",
    "is_kept",
    "origin_of",
    "pool",
    "predict",
    "predictions_file",
    "read_kept",
    "read_questions",
    "reading_options",
    "resume",
    "score_predictions",
    "score_texts",
]
