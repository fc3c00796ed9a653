"""Whether a claimed answer says what a quote says, by its numbers, names and other words."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

_TOKEN = re.compile(
    r"""\d+(?:[.,'’\u00a0\u202f]\d{3}(?!\d))+(?:[.,]\d+)?   # a number with separators of thousands
    |\d+(?:[.,]\d+)?
    |[〇零一二三四五六七八九十百千万]+
    |[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30fe\u3400-\u9fff\uf900-\ufaff]   # scripts without spaces
    |[^\W\d_][\u0300-\u036f\w'’]*""",
    re.VERBOSE,
)
_THOUSANDS = re.compile(r"[.,'’\u00a0\u202f](?=\d{3}(?!\d))")
_NEGATIONS = {
    *("not", "never", "no", "none", "n't"),
    *("nicht", "kein", "keine", "keiner", "keinen", "nie", "niemals"),
    *("jamais", "aucun", "aucune"),
}
_WRITTEN_OUT = (  # 0, 1, 2 …; what also means something else is left out: "once" is 11 in Spanish, "un" an article
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
    "null - zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "zéro - deux trois quatre cinq - sept huit neuf dix onze douze",
    "cero - dos tres cuatro cinco seis siete ocho nueve diez - doce",
)
_NUMBERS = {word: str(value) for line in _WRITTEN_OUT for value, word in enumerate(line.split()) if word != "-"}
_SHORT = 3
_PREFIX = 0.7
_MOST = 2 / 3


class Agreement(Enum):
    """``SAME``: the quote and its sentence say all of the claim; ``MORE``: not all of it; ``OTHER``: something else."""

    SAME = "same"
    MORE = "more"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Word:
    """A word in lower case; ``firm`` words are numbers and names, which do not stand for one another."""

    text: str
    firm: bool


def compare(claim: str, quote: str, sentence: str, question: str) -> Agreement:
    """What a claimed answer to a question says, measured by a quote in its sentence.

    What the question says already is no part of the claim, unless nothing else is left. Numbers count by value, however
    they are grouped. A capital marks a name; where neither text has numbers or names, all words of more than three
    letters count. Inflected forms that share most of their beginning are the same word. Words of other languages,
    paraphrases and most numbers written out are not understood: they are ``OTHER``, or ``MORE``.
    """
    asked, said, around = _words(question), _words(quote), _words(sentence)
    whole = _words(claim)
    claimed = [word for word in whole if not _holds(asked, word)] or whole
    if any(word.text in _NEGATIONS for word in claimed) and not any(word.text in _NEGATIONS for word in around):
        return Agreement.OTHER
    firm = [word for word in claimed if word.firm]
    core = [word for word in said if word.firm] or said
    told = any(_holds(whole, word) for word in core) and all(_holds(whole + asked, word) for word in core)
    if firm:
        if all(_holds(around, word) or _holds(asked, word) for word in firm):
            return Agreement.SAME if told or any(_holds(said, word) for word in firm) else Agreement.OTHER
        return Agreement.MORE if told else Agreement.OTHER
    loose = _telling(claimed)
    inside = sum(_holds(said, word) for word in loose)
    unknown = sum(not _holds(around, word) and not _holds(asked, word) for word in loose)
    if not unknown and (told or inside >= _MOST * len(loose)):
        return Agreement.SAME
    if told or (inside > 1 and unknown <= (1 - _MOST) * len(loose)):
        return Agreement.SAME if inside > unknown else Agreement.MORE
    return Agreement.OTHER


def _words(text: str) -> list[_Word]:
    """Its words. The first one's capital marks a name where it stands alone, or before another name."""
    plain = "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in text)
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", plain))
    found = [_word(token) for token in tokens]
    if len(found) > 1 and tokens[0][0].isupper():
        named = len(tokens[0]) > _SHORT and tokens[1][0].isupper()
        found[0] = replace(found[0], firm=named or found[0].text.isnumeric())
    return found


def _word(token: str) -> _Word:
    if token[0].isnumeric():
        return _Word(_THOUSANDS.sub("", token).replace(",", "."), firm=True)
    text = token.casefold().removesuffix("'s").removesuffix("’s")
    return _Word(_NUMBERS.get(text, text), firm=text in _NUMBERS or token[0].isupper())


def _telling(words: Collection[_Word]) -> list[_Word]:
    """Words that are long enough to say something, or written in a script without spaces; all where none is."""
    return [word for word in words if len(word.text) > _SHORT or ord(word.text[0]) >= 0x0E00] or list(words)


def _holds(words: Iterable[_Word], word: _Word) -> bool:
    return any(_alike(one.text, word.text) for one in words)


def _alike(one: str, other: str) -> bool:
    """Whether they are equal, or letters of which most of the longer one's beginning is shared."""
    if one == other or one[0].isnumeric() or other[0].isnumeric():
        return one == other
    shared = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return shared > _SHORT and shared >= _PREFIX * max(len(one), len(other))
