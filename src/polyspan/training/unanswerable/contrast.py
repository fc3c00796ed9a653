"""Questions with one word exchanged for another that cannot stand for it, such as "two" for "three"."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

from polyspan.training.unanswerable.paragraphs import sentence_of
from polyspan.types import QAExample

Contrasts = Mapping[str, Sequence[str]]

# A file for each language; each line holds words of one sort of which none means another.
_TABLES = "contrasts"
# Beginnings of other words by which an English paragraph may speak of what the question is changed to.
_ALSO = {
    "after": ("later", "follow", "subsequent", "then", "since", "next", "replac", "becam", "become"),
    "before": ("earlier", "former", "precede", "previous", "prior", "until", "replac", "from"),
    "last": ("final", "latest", "recent"),
    "first": ("earliest", "initial", "original"),
    "less": ("few",),
    "least": ("few",),
    "men": ("male", "man"),
    "women": ("female", "woman"),
    "male": ("man", "men"),
    "female": ("woman", "women"),
    "man": ("male",),
    "woman": ("female",),
    "mother": ("mom", "mum", "parent"),
    "father": ("dad", "parent"),
    **dict.fromkeys(("end", "ends", "ended"), ("ceas", "clos", "conclu", "finish", "stop", "through", "till", "until")),
    **dict.fromkeys(
        ("begin", "begins", "began", "start", "starts", "started"),
        ("begin", "began", "found", "from", "launch", "open", "since", "start"),
    ),
}
# Persian joins parts of a word by U+200C.
_WORD = re.compile(r"\w+(?:['’\u200c]\w+)*")
_WITHOUT_SPACES = frozenset({"ja", "th", "zh"})
# Where an English word means something else.
_IDIOM = re.compile(
    r"\b(?:(?:any|no|at) (?:best|first|last|least|longer|more|most|worst)|named (?:after|before)|in (?:common|love)"
    r"|(?:an|high|low|the) (?:end|start)|in total|the public|built (?:around|on|up|upon)|(?:as|how|so) (?:early|late)"
    r"|(?:first|last) (?:lady|names?|century|decade|month|week|year)s?)\b|(?<!the )(?<!['’]s )\bmost\b"
)


def contrasting(groups: Iterable[Sequence[str]]) -> Contrasts:
    """For each word of the groups, the others of all groups that it stands in."""
    table: dict[str, dict[str, None]] = defaultdict(dict)
    for group in groups:
        for word in group:
            table[word] |= dict.fromkeys(other for other in group if other != word)
    return {word: list(others) for word, others in table.items()}


def contrast(example: QAExample, choice: float, language: str) -> QAExample | None:
    """The question with one word's contrast; None where nothing suits."""
    span = sentence_of(example, example.answers[0])
    sentence = example.context[span.start : span.end]
    options = with_contrasts(example.question, sentence, example.context, contrasts(language), _word(language))
    return replace(example, question=options[int(choice * len(options))]) if options else None


def with_contrasts(
    question: str, sentence: str, context: str, table: Contrasts, word: re.Pattern[str] = _WORD
) -> list[str]:
    """All forms of the question in which one word, as ``word`` finds them, is another of the table.

    That word has to stand in the way of the answer: it is in the answer's ``sentence`` too, and neither the other word
    nor anything like it in the whole ``context``. Nor is the other word in the question already.
    """
    asked = set(word.findall(question))
    said = {one.casefold() for one in word.findall(context)}
    # Capitalised words are parts of names, in a question that is all in small letters too.
    words = set(word.findall(sentence)) - {one.lower() for one in word.findall(context) if one[0].isupper()}
    idioms = [range(*match.span()) for match in _IDIOM.finditer(question)]
    return [
        question[: match.start()] + other + question[match.end() :]
        for match in word.finditer(question)
        if match[0] in words and not any(match.start() in idiom for idiom in idioms)
        for other in table.get(match[0], ())
        if other not in asked and not any(_speaks_of(one, other) for one in said)
    ]


def _speaks_of(word: str, antonym: str) -> bool:
    """Whether a word of the paragraph is the antonym, a form of it or akin to it."""
    return word.startswith(antonym[: max(4, len(antonym) - 3)]) or any(
        word == other or (len(other) > 3 and word.startswith(other)) for other in _ALSO.get(antonym, ())
    )


@cache
def contrasts(language: str) -> Contrasts:
    """What is known of a language; empty for one without a table."""
    path = files(__package__).joinpath(_TABLES, f"{language}.txt")
    return contrasting(line.split() for line in path.read_text("utf-8").splitlines()) if path.is_file() else {}


@cache
def _word(language: str) -> re.Pattern[str]:
    """What finds the words of a text; of one without spaces, those of the table, the longest first."""
    if language not in _WITHOUT_SPACES:
        return _WORD
    return re.compile("|".join(sorted(contrasts(language), key=len, reverse=True)))
