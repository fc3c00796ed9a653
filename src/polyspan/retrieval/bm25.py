"""A cheap ranking of passages by shared words, for any script."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from polyspan.types import Passage

STEM_CHARS = 4
_INVISIBLE = re.compile("[\u00ad\u200c-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SEPARATORS = re.compile(
    r"[\s!-/:-@\[-`{-~\u00a1-\u00bf\u05be\u060c\u061b\u061f\u06d4\u0964\u0965"
    r"\u2000-\u206f\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb\uff00-\uff20]+"
)
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    r"\U00020000-\U0003ffff]"
)


def terms(text: str) -> list[str]:
    """What of a text is matched: case-folded words with their first four letters as a stem that every language has.

    In scripts that put no spaces between words, and in Korean: pairs of characters.
    """
    found = []
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold())
    for word in _SEPARATORS.split(plain):
        if _UNSPACED.search(word):
            found += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        elif word:
            found.append(word)
            if len(word) >= STEM_CHARS:
                found.append(f"{word[:STEM_CHARS]}…")
    return found


class PassageRanking:
    """Passages ranked by BM25 (Robertson and Zaragoza, 2009; bm25s), indexed when a ranking is first needed."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = list(passages)

    def best(self, question: str, count: int) -> list[Passage]:
        """The ``count`` passages that share most with the question, best first.

        All in their own order where there are no more than ``count``.
        """
        if len(self.passages) <= count:
            return list(self.passages)
        known = self._ranker.get_tokens_ids(terms(question))
        order = np.argsort(-self._ranker.get_scores_from_ids(known), kind="stable")
        return [self.passages[i] for i in order[:count]]

    @cached_property
    def _ranker(self) -> Any:
        import bm25s

        ranker = bm25s.BM25(backend="numpy")
        ranker.index([terms(passage.text) or [""] for passage in self.passages], show_progress=False)
        return ranker
