"""Quotes as evidence: all that support an answer, citations, and the gate that says whether a claim is supported."""

from polyspan.evidence.citing import CitedAnswer, cite
from polyspan.evidence.gate import Verdict, VerdictName, supports
from polyspan.evidence.highlighting import Highlight, HighlightOptions, highlight, highlight_all
from polyspan.evidence.objects import EVIDENCE_SCHEMA, Evidence, Quote, gather

__all__ = [
    "EVIDENCE_SCHEMA",
    "CitedAnswer",
    "Evidence",
    "Highlight",
    "HighlightOptions",
    "Quote",
    "Verdict",
    "VerdictName",
    "cite",
    "gather",
    "highlight",
    "highlight_all",
    "supports",
]
