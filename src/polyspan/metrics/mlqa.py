"""MLQA's language-aware comparison, equal to its official script (mlqa_evaluation_v1), and an extension of it.

Formulas: Lewis et al., 2020 (MLQA). The script's rules for missing predictions are SQuAD 1.1's.
"""

import re
import string
import unicodedata
from functools import partial

from polyspan.errors import InputError
from polyspan.metrics.regime import Regime
from polyspan.metrics.segmentation import CHINESE, space_characters

# None: the language has no articles to drop.
_ARTICLES = {
    "ar": re.compile("ال"),  # wherever it stands: the script's other alternative can match nothing
    "de": re.compile(r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "en": re.compile(r"\b(a|an|the)\b"),
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"),
    "hi": None,
    "vi": re.compile(r"\b(của|là|cái|chiếc|những)\b"),
    "zh": None,
}
_HANGUL = re.compile("([\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3])")


class _WithoutPunctuation(dict[int, int | None]):
    """A table for ``str.translate`` that drops punctuation; it fills itself with the characters it meets."""

    def __missing__(self, character: int) -> int | None:
        kept = None if unicodedata.category(chr(character)).startswith("P") else character
        self[character] = kept
        return kept


_WITHOUT_PUNCTUATION = _WithoutPunctuation(str.maketrans("", "", string.punctuation))


def mlqa(language: str) -> Regime:
    """MLQA's official regime for answers in ``language``: ar, de, en, es, hi, vi or zh.

    Lower case, no punctuation (Unicode's P categories and ASCII's), no articles of the language, single spaces;
    each Chinese character is a token. Raises InputError for a language that the script does not know.
    """
    if language not in _ARTICLES:
        raise InputError(
            f"language {language!r}: MLQA's script knows only {', '.join(_ARTICLES)}; take one, or mlqa-extended"
        )
    return Regime(f"mlqa-v1-{language}", partial(_normalise_official, language=language))


def mlqa_extended(language: str) -> Regime:
    """MLQA's regime carried on to any ``language``, "" where it is not known; no official script does this.

    Equal to ``mlqa`` in its languages. In others no articles are dropped, and each character of Chinese,
    Japanese, Korean, Thai, Lao, Burmese and Khmer is a token.
    """
    normalise = partial(_normalise_official, language=language) if language in _ARTICLES else _normalise_any
    return Regime(f"mlqa-extended-{language or 'any'}", normalise)


def _normalise_official(text: str, language: str) -> str:
    text = text.lower().translate(_WITHOUT_PUNCTUATION)
    articles = _ARTICLES[language]
    if articles is not None:
        text = articles.sub(" ", text)
    if language == "zh":
        text = CHINESE.sub(r" \1 ", text)
    return " ".join(text.split())


def _normalise_any(text: str) -> str:
    text = space_characters(text.lower().translate(_WITHOUT_PUNCTUATION))
    return " ".join(_HANGUL.sub(r" \1 ", text).split())
