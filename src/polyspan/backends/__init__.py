"""Models that score windows: one protocol, two runtimes, and the folders and hub ids they come from."""

from polyspan.backends.folder import ModelFolder, NativeSettings, unpacked
from polyspan.backends.hub import find_model
from polyspan.backends.scorer import BackendOptions, SpanScorer, open_scorer

__all__ = ["BackendOptions", "ModelFolder", "NativeSettings", "SpanScorer", "find_model", "open_scorer", "unpacked"]
