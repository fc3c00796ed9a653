"""Documents to passages, and passages to the few that are worth reading."""

from polyspan.retrieval.bm25 import PassageRanking
from polyspan.retrieval.passages import cut_passages

__all__ = ["PassageRanking", "cut_passages"]
