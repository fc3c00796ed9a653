"""The language of a question, for models that are calibrated for single languages."""

from functools import cache
from typing import Any

from polyspan.errors import MissingExtraError

LEAST_PROBABILITY = 0.5
_NO_LANGUAGE = "zxx"  # ISO 639-2: numbers, markup, identifiers


def detect_language(text: str) -> str | None:
    """The ISO 639-1 code of a text's language as py3langid tells it; None where that is unsure, or there is none.

    It is unsure where no language is more likely than all others together. All that it knows compete, whether a model
    is calibrated for them or not: one that was left out would be taken for its nearest relative, and surely so. The
    first call loads the detector, which takes about a second and 100 MB of memory.

    Raises:
        MissingExtraError: without py3langid.
    """
    language, probability = _identifier().classify(text)
    return None if probability <= LEAST_PROBABILITY or language == _NO_LANGUAGE else language


@cache
def _identifier() -> Any:
    """py3langid's model without the varieties that only ISO 639-3 tells from their languages, as Egyptian Arabic."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtraError("telling the language of a question", "language") from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in identifier.labels if len(code) == 2 or code == _NO_LANGUAGE])
    return identifier
