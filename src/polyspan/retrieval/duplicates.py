"""Passages that say the same in almost the same words, once."""

from collections.abc import Iterable
from dataclasses import replace

from polyspan.types import Passage

SHINGLE = 8
SAME = 0.8


def fold_duplicates(passages: Iterable[Passage], count: int) -> list[Passage]:
    """The first ``count`` passages that differ, in order; each holds the later ones that hardly do as its copies.

    Two passages are near-duplicates where the runs of 8 letters and digits that both hold are at least 80 % of those
    that either holds (Broder, 1997), spaces, punctuation and letter case aside.
    """
    kept: list[tuple[Passage, frozenset[str], list[Passage]]] = []
    for passage in passages:
        shingles = _shingles(passage.text)
        twin = next((copies for _, other, copies in kept if _resemble(shingles, other)), None)
        if twin is not None:
            twin.append(passage)
        elif len(kept) < count:
            kept.append((passage, shingles, []))
    return [replace(passage, copies=tuple(copies)) if copies else passage for passage, _, copies in kept]


def _shingles(text: str) -> frozenset[str]:
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return frozenset(letters[i : i + SHINGLE] for i in range(max(1, len(letters) - SHINGLE + 1)))


def _resemble(one: frozenset[str], other: frozenset[str]) -> bool:
    if min(len(one), len(other)) < SAME * max(len(one), len(other)):
        return False
    shared = len(one & other)
    return shared >= SAME * (len(one) + len(other) - shared)
