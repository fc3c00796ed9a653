"""Answers widened to whole words, in scripts that separate them by spaces."""

import unicodedata

from polyspan.metrics import space_characters
from polyspan.types import Span


def whole_words(text: str, span: Span) -> Span:
    """The span up to the next character on either side that is no letter, digit or mark.

    Chinese, Japanese, Thai, Lao, Burmese and Khmer write no spaces, and Korean joins particles to words: spans that end
    in such a letter stay as they are there.
    """
    start, end = span.start, span.end
    while 0 < start < end and _in_word(text[start - 1]) and _in_word(text[start]):
        start -= 1
    while start < end < len(text) and _in_word(text[end - 1]) and _in_word(text[end]):
        end += 1
    return Span(start, end)


def _in_word(character: str) -> bool:
    is_korean = "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff"
    return unicodedata.category(character)[0] in "LNM" and not is_korean and space_characters(character) == character
