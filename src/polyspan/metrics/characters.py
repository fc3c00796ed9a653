"""Chinese and Japanese answers compared by characters, as the scripts of CMRC 2018 and JSQuAD compare them."""

import re
from difflib import SequenceMatcher

from polyspan.metrics.regime import Regime, Tokens, harmonic_f1
from polyspan.metrics.segmentation import CHINESE

# The script's own list, gaps included: no full stop and no opening single quote, and of "……" it drops neither half.
_CMRC_PUNCTUATION = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_MARKS = re.compile(r'([;@#$%&?!\[\](){}<>"]|\.{2,}|,(?!\d)|\.(?=\s*$))')


def _normalise_cmrc(text: str) -> str:
    return text.lower().strip().translate(_CMRC_PUNCTUATION)


def _segment_cmrc(text: str) -> Tokens:
    """Chinese characters one by one, and the words and marks between them."""
    pieces = CHINESE.split(text)
    return [token for piece in pieces for token in _MARKS.sub(r" \1 ", piece).split()]


def _longest_run_f1(gold: Tokens, predicted: Tokens) -> float:
    """F1 (0 to 1) over the longest run of tokens that stands in both."""
    run = SequenceMatcher(None, gold, predicted, autojunk=False).find_longest_match()
    return harmonic_f1(run.size, len(gold), len(predicted))


def _normalise_jsquad(text: str) -> str:
    return " ".join(text.lower().rstrip("。").split())


CMRC2018 = Regime("cmrc2018-style", _normalise_cmrc, _segment_cmrc, _longest_run_f1)
"""CMRC 2018 (Cui et al., 2019; cmrc2018_evaluate v5), whose rules for missing predictions are SQuAD 1.1's.

Lower case without the script's punctuation marks; F1 over the longest common run of tokens, with each Chinese
character a token. White space counts in exact match. What stands between Chinese characters is split at white space
and around punctuation marks where the script calls NLTK's word tokeniser, whose rules for English contractions, quotes
and sentence ends are left out: hence "style" (of CMRC 2018's and DRCD's gold answers 1 in 400 is split otherwise).
"""

JSQUAD = Regime("jsquad-v1", _normalise_jsquad, tuple)
"""JSQuAD (Kurihara et al., 2022; JGLUE's patch of transformers' SQuAD 2.0 metrics).

Lower case, no 。 at the end, single spaces; F1 over the bag of characters, spaces among them.
"""
