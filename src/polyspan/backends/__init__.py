"""Models that score windows: one protocol, two runtimes, and the folders and hub ids they come from and go to."""

from polyspan.backends.folder import ModelFolder, NativeSettings, unpacked
from polyspan.backends.hub import Pushed, find_model, push_model
from polyspan.backends.scorer import BackendOptions, SpanScorer, open_scorer

__all__ = [
    "BackendOptions",
    "ModelFolder",
    "NativeSettings",
    "Pushed",
    "SpanScorer",
    "find_model",
    "open_scorer",
    "push_model",
    "unpacked",
]
