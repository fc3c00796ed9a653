"""Words where a script writes none."""

import re

# The characters that the scripts of MLQA and CMRC 2018 count one by one: Chinese, but not all of Unicode's.
CHINESE = re.compile(r"([\u4e00-\u9fa5])")
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")


def space_characters(text: str) -> str:
    """The text with spaces around each character of Chinese, Japanese, Thai, Lao, Burmese and Khmer.

    So that word-based scores count characters there, as CMRC 2018's and MLQA's scripts do.
    """
    return _UNSPACED.sub(r" \1 ", text)
