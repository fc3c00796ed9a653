"""Candidates of many windows to one ranking."""

from collections import defaultdict
from collections.abc import Iterable

from polyspan.decoding.spans import Candidate
from polyspan.types import Span


def merge_candidates(candidates: Iterable[Candidate], overlap_threshold: float, per_context: int) -> list[Candidate]:
    """All candidates best first, without the weaker one of any two that overlap in the same context.

    They are ranked by each span's lead over its own window's null score, which windows share.

    Args:
        candidates: spans in characters of their contexts; equal ``context`` means the same text.
        overlap_threshold: 0 to 1, share of the shorter span's characters that two spans may share.
        per_context: how many to keep of each context at most.
    """
    kept: dict[int, list[Candidate]] = defaultdict(list)
    merged = []
    for candidate in sorted(candidates, key=lambda one: (one.null_margin, one.context, one.span)):
        rivals = kept[candidate.context]
        if len(rivals) < per_context and not any(
            overlaps(candidate.span, rival.span, overlap_threshold) for rival in rivals
        ):
            rivals.append(candidate)
            merged.append(candidate)
    return merged


def overlaps(one: Span, other: Span, threshold: float) -> bool:
    """Whether two spans are equal or share more than ``threshold`` of the shorter one's characters."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    shorter = min(one.end - one.start, other.end - other.start)
    return one == other or (shared > 0 and shared > threshold * shorter)
