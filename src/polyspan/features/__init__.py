"""Question and context to windows of token ids with character offsets."""

from polyspan.features.batching import Batch, collate, plan_batches, round_up, widen
from polyspan.features.targets import NULL_TARGET, span_targets
from polyspan.features.tokens import (
    PairTemplate,
    PairTokenizer,
    TextTokenizer,
    TextTokens,
    Tokens,
    with_blocks,
    without_surrogates,
)
from polyspan.features.windows import WindowSettings, make_windows

__all__ = [
    "NULL_TARGET",
    "Batch",
    "PairTemplate",
    "PairTokenizer",
    "TextTokenizer",
    "TextTokens",
    "Tokens",
    "WindowSettings",
    "collate",
    "make_windows",
    "plan_batches",
    "round_up",
    "span_targets",
    "widen",
    "with_blocks",
    "without_surrogates",
]
