"""Unanswerable questions made from answerable ones."""

from polyspan.training.unanswerable.make import SHORTEST_CONTEXT, Unanswerables, make_unanswerable

__all__ = ["SHORTEST_CONTEXT", "Unanswerables", "make_unanswerable"]
