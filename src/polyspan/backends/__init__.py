"""Models that score windows or encode texts: a protocol each, its runtimes, and the folders and hub ids of models."""

from polyspan.backends.encoder import TextEncoder, open_encoder
from polyspan.backends.folder import ModelFolder, NativeSettings, unpacked
from polyspan.backends.hub import Pushed, find_model, push_model
from polyspan.backends.scorer import BackendOptions, SpanScorer, open_scorer

__all__ = [
    "BackendOptions",
    "ModelFolder",
    "NativeSettings",
    "Pushed",
    "SpanScorer",
    "TextEncoder",
    "find_model",
    "open_encoder",
    "open_scorer",
    "push_model",
    "unpacked",
]
