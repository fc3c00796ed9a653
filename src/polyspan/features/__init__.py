"""Question and context to windows of token ids with character offsets."""

from polyspan.features.batching import Batch, collate, plan_batches
from polyspan.features.tokens import PairTemplate, PairTokenizer, Tokens
from polyspan.features.windows import WindowSettings, make_windows

__all__ = [
    "Batch",
    "PairTemplate",
    "PairTokenizer",
    "Tokens",
    "WindowSettings",
    "collate",
    "make_windows",
    "plan_batches",
]
