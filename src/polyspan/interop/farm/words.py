"""Texts ranked by shared words, as Haystack 1's store in memory ranked them."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from polyspan.errors import InputError
from polyspan.retrieval.bm25 import terms
from polyspan.types import FloatArray

# Of Okapi's weights Lucene's, as the original's are 0 for words that half of the texts hold.
_METHODS = {"BM25Okapi": "lucene", "BM25L": "bm25l", "BM25Plus": "bm25+"}
_PARAMETERS = ("k1", "b", "delta")
_EPSILON = "epsilon"  # rank_bm25's floor for frequent words, whose weight is never below 0 here


class WordRanking:
    """BM25 (bm25s) over texts."""

    def __init__(
        self, texts: Sequence[str], pattern: str | None, algorithm: str, parameters: Mapping[str, float]
    ) -> None:
        """Index them.

        Args:
            texts: any number.
            pattern: a regular expression for words in lower-case text; None: polyspan's own, for every script.
            algorithm: "BM25Okapi", "BM25L" or "BM25Plus".
            parameters: "k1", "b" and "delta"; "epsilon" has no effect.

        Raises InputError for others.
        """
        import bm25s

        unknown = sorted(set(parameters) - {*_PARAMETERS, _EPSILON})
        if algorithm not in _METHODS or unknown:
            raise InputError(
                f"bm25_algorithm must be one of {', '.join(_METHODS)} and bm25_parameters among "
                f"{', '.join(_PARAMETERS)}, not {algorithm!r} and {', '.join(unknown) or 'none'}"
            )
        self._terms = terms if pattern is None else partial(_found, re.compile(pattern))
        self._texts = [self._terms(text) for text in texts]
        given = {name: value for name, value in parameters.items() if name in _PARAMETERS}
        self._ranker: Any = bm25s.BM25(method=_METHODS[algorithm], backend="numpy", **given)
        if texts:
            self._ranker.index([words or [""] for words in self._texts], show_progress=False)

    def scores(self, question: str, all_terms_must_match: bool) -> FloatArray:
        """One for each text, float [texts]; -inf where it lacks a word of the question and must not."""
        if not self._texts:
            return np.zeros(0, np.float32)
        asked = self._terms(question)
        found = self._ranker.get_scores_from_ids(self._ranker.get_tokens_ids(asked))
        scores: FloatArray = np.asarray(found, np.float32).copy()
        if all_terms_must_match:
            scores[[not set(asked).issubset(words) for words in self._texts]] = -np.inf
        return scores


def _found(pattern: re.Pattern[str], text: str) -> list[str]:
    return pattern.findall(text.lower())
