"""Words of a language by frequency, from the library wordfreq, which needs no network."""

from collections.abc import Iterator
from itertools import islice

from polyspan.errors import InputError, MissingExtraError

CLOSE = 9  # by langcodes' distance: Norwegian is Bokmål, Croatian is Serbo-Croatian, but Basque is not Spanish


def word_list(language: str, most: int) -> dict[str, float]:
    """The ``most`` frequent words of a language (ISO 639-1), in lower case, with the share of each in all text, 0 to 1.

    Raises:
        InputError: if there is no list of that language.
        MissingExtraError: without wordfreq.
    """
    try:
        import langcodes
        import wordfreq
    except ImportError as error:
        raise MissingExtraError("word lists of languages", "export") from error
    known = sorted(wordfreq.available_languages())
    try:
        code = langcodes.closest_supported_match(language, known, max_distance=CLOSE)
    except ValueError:  # no language code at all
        code = None
    if code is None:
        raise InputError(
            f"language {language!r}: there is no word list of it, only of {', '.join(known)}; give texts in it "
            "with --corpus FILE"
        )
    return dict(islice(wordfreq.get_frequency_dict(code).items(), most))


def word_forms(word: str) -> Iterator[str]:
    """A word as texts write it: behind a space and without, capitalised, in capitals, with signs around it."""
    capitalised = word[:1].upper() + word[1:]
    for form in (word, capitalised):
        yield form
        yield f"({form}"
        yield f'"{form}"'
    yield word.upper()
    yield f"{word}-{word},"
