"""Start and end logits to spans, merged over windows and documents, with calibrated probabilities."""

from polyspan.decoding.calibration import Calibration
from polyspan.decoding.confidence import FEATURES, RUNNERS_UP, Confidence, LogisticMap, Term, answer_features
from polyspan.decoding.language import detect_language
from polyspan.decoding.merge import merge_candidates
from polyspan.decoding.snippet import snippet_span
from polyspan.decoding.spans import Candidate, Decoded, SpanSettings, decode_window, whole_characters
from polyspan.decoding.stopping import StopRule

__all__ = [
    "FEATURES",
    "RUNNERS_UP",
    "Calibration",
    "Candidate",
    "Confidence",
    "Decoded",
    "LogisticMap",
    "SpanSettings",
    "StopRule",
    "Term",
    "answer_features",
    "decode_window",
    "detect_language",
    "merge_candidates",
    "snippet_span",
    "whole_characters",
]
