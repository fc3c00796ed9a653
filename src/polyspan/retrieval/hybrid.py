"""Which passages of an index suit a question: by words, by vectors, or by both."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from polyspan.backends import TextEncoder
from polyspan.errors import InputError, PassageIndexError
from polyspan.retrieval.duplicates import fold_duplicates
from polyspan.retrieval.options import RetrievalOptions, sql_condition
from polyspan.retrieval.rows import to_passage
from polyspan.retrieval.store import PassageStore
from polyspan.types import Passage


class IndexRanking:
    """The passages of an index, ranked for any number of questions; safe to use from several threads."""

    def __init__(
        self, store: PassageStore, encoder: TextEncoder | None = None, options: RetrievalOptions | None = None
    ) -> None:
        """Ranking by words alone needs no encoder.

        Raises:
            InputError: where another ranking is given none.
            PassageIndexError: where the index was made with another encoder.
        """
        self.options = RetrievalOptions() if options is None else options
        if self.options.ranking == "words":
            encoder = None
        elif encoder is None:
            raise InputError(f"ranking by {self.options.ranking} needs the encoder that the index was made with")
        else:
            check_encoder(store, encoder)
        self._store = store
        self._encoder = encoder
        self._where = sql_condition(self.options.where)

    def best(self, question: str, count: int, where: str | None = None) -> list[Passage]:
        """The ``count`` passages that suit the question most, best first; near-duplicates are copies of the best.

        ``where`` is an SQL condition on the index's columns that must hold beside those of the options.
        """
        vector = None if self._encoder is None else self._encoder.encode_questions([question])[0]
        words = "" if self.options.ranking == "vectors" else question
        conditions = " AND ".join(f"({one})" for one in (self._where, where) if one is not None)
        found = self._store.search(words, vector, max(self.options.pool, count), conditions or None)
        ranked = fold_duplicates(self._capped([to_passage(row) for row in found.to_pylist()]), count)
        weight = self.options.rank_weight
        return [replace(passage, handicap=weight * math.log(rank)) for rank, passage in enumerate(ranked, 1)]

    def _capped(self, passages: Sequence[Passage]) -> list[Passage]:
        limit = self.options.per_document
        if limit is None:
            return list(passages)
        seen: Counter[str] = Counter()
        kept = []
        for passage in passages:
            seen[passage.document.id] += 1
            if seen[passage.document.id] <= limit:
                kept.append(passage)
        return kept


def check_encoder(store: PassageStore, encoder: TextEncoder) -> None:
    """Refuse an encoder whose vectors are not those of the index."""
    if encoder.digest != store.settings.encoder_digest:
        raise PassageIndexError(
            f"{store.uri}: made with another encoder than {encoder.name} (or another version of it); ask with the one "
            f"it was made with, or index anew with polyspan index PATH... --index {store.uri} --rebuild"
        )
