"""What an answer is worth: official SQuAD scores, their intervals and their signature."""

from polyspan.metrics.bootstrap import bootstrap_interval
from polyspan.metrics.segmentation import space_characters
from polyspan.metrics.signature import signature_text
from polyspan.metrics.squad import exact_match, normalise_answer, score_squad1, score_squad2, token_f1

__all__ = [
    "bootstrap_interval",
    "exact_match",
    "normalise_answer",
    "score_squad1",
    "score_squad2",
    "signature_text",
    "space_characters",
    "token_f1",
]
