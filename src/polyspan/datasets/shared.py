"""Contexts that a dataset shares with evaluation files."""

from collections.abc import Iterable, Iterator, Mapping

MIN_CONTAINED = 100
"""Characters, normalised: a shorter context may stand in another by chance."""


def normalise_context(text: str) -> str:
    """Lower case and single spaces: texts that differ in no more count as the same."""
    return " ".join(text.split()).casefold()


def shared_contexts(contexts: Iterable[str], evaluation: Mapping[str, str]) -> dict[str, str]:
    """Those of the contexts that evaluation files have too, each with a sentence that says where.

    ``evaluation`` maps the files' contexts to their places. Shared is what is equal once normalised, and what
    contains, or is contained in, another context, the contained one of ``MIN_CONTAINED`` characters or more.
    Contexts of which only a part is shared are not found.
    """
    ours = {context: normalise_context(context) for context in contexts}
    theirs = {normalise_context(context): place for context, place in evaluation.items()}
    contains = {longer: shorter for shorter, longer in _contained(theirs, set(ours.values()))}
    contained_in = dict(_contained(set(ours.values()), theirs))
    shared = {}
    for context, normalised in ours.items():
        if normalised in theirs:
            shared[context] = f"the context is that of {theirs[normalised]}"
        elif normalised in contains:
            shared[context] = f"the context contains that of {theirs[contains[normalised]]}"
        elif normalised in contained_in:
            shared[context] = f"the context is contained in that of {theirs[contained_in[normalised]]}"
    return shared


def _contained(shorter: Iterable[str], longer: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The pairs of which the first stands in the second; a text stands in itself."""
    by_beginning: dict[str, list[str]] = {}
    for text in shorter:
        if len(text) >= MIN_CONTAINED:
            by_beginning.setdefault(text[:MIN_CONTAINED], []).append(text)
    for text in longer:
        for start in range(len(text) - MIN_CONTAINED + 1):
            for candidate in by_beginning.get(text[start : start + MIN_CONTAINED], ()):
                if text.startswith(candidate, start):
                    yield candidate, text
