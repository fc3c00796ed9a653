"""How passages of an index are found."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from polyspan.errors import InputError

Ranking = Literal["hybrid", "words", "vectors"]


@dataclass(frozen=True, slots=True)
class RetrievalOptions:
    """How passages are found.

    ``ranking``: "words" (BM25), "vectors" (the dense encoder, which finds other languages too), or "hybrid": the two
    rankings fused by reciprocal ranks. Each brings ``pool`` passages, or as many as are wanted, if that is more.
    ``per_document`` passages of one document are kept at most (None: any number). ``where``: conditions that all must
    hold, such as ``format=pdf``: a key of the documents' ``meta`` and its value, or ``document=reports/*``, a pattern
    for their ids in which ``*`` stands for any characters and ``?`` for one. The passage of rank r is read with a
    handicap of ``rank_weight`` times the natural logarithm of r, in logits (see ``Passage``).
    """

    ranking: Ranking = "hybrid"
    pool: int = 50
    per_document: int | None = None
    where: Sequence[str] = ()
    rank_weight: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot be searched by."""
        if self.ranking not in get_args(Ranking):
            raise InputError(f"ranking must be one of {', '.join(get_args(Ranking))}, not {self.ranking!r}")
        if self.pool < 1 or (self.per_document is not None and self.per_document < 1):
            raise InputError(f"pool and per_document must be at least 1, not {self.pool} and {self.per_document}")
        if not 0 <= self.rank_weight < math.inf:
            raise InputError(f"rank_weight must be a finite number of logits, 0 or more, not {self.rank_weight}")
        sql_condition(self.where)


def sql_condition(where: Sequence[str]) -> str | None:
    """``RetrievalOptions.where`` as SQL; None where it is empty, InputError where it is no condition."""
    parts = []
    for text in where:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise InputError(f"where {text!r}: expected KEY=VALUE, such as format=pdf or document=reports/*")
        if key == "document":
            pattern = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in value)
            parts.append(f"regexp_like(document, {sql_text(f'^(?s:{pattern})$')})")
        else:
            parts.append(f"array_has(meta, {sql_text(text)})")
    return " AND ".join(parts) or None


def sql_text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
