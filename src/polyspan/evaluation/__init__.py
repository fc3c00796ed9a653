"""A reader and a dataset to predictions and scores."""

from polyspan.evaluation.evaluate import Evaluation, evaluate, predict, reading_options

__all__ = ["Evaluation", "evaluate", "predict", "reading_options"]
