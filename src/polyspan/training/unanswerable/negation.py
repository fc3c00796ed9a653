"""English questions turned into their opposite: a word for its antonym, or a negation put in or taken out."""

import re
from collections.abc import Mapping
from dataclasses import replace

from polyspan.training.unanswerable.contrast import contrasting, with_contrasts
from polyspan.training.unanswerable.paragraphs import sentence_of
from polyspan.types import QAExample

# How many of the questions without antonyms are negated, 0 to 1: with all, a "not" would give away what is made up.
NEGATED = 0.25
# No converses: who buys and who sells, wins and loses, follows and precedes, stand in the same sentence.
_PAIRS = """
first last, earliest latest, earlier later, early late, before after, older younger, oldest youngest, ancient modern,
begin end, began ended, start end, started ended, opened closed, built demolished, created destroyed, birth death,
most least, more less, majority minority, major minor, maximum minimum, common rare, primary secondary,
largest smallest, larger smaller, biggest smallest, bigger smaller, highest lowest, higher lower, longest shortest,
longer shorter, tallest shortest, fastest slowest, faster slower, strongest weakest, stronger weaker, strong weak,
hottest coldest, hot cold, warm cold, wettest driest, wet dry, easier harder, easy difficult, best worst,
better worse, rich poor, closest farthest, north south, northern southern, east west, eastern western, inside outside,
above below, internal external, domestic foreign, urban rural, public private, summer winter, morning evening,
male female, men women, man woman, boy girl, boys girls, father mother, brother sister, brothers sisters,
son daughter, sons daughters, husband wife, uncle aunt, king queen, increase decrease, increases decreases,
increased decreased, gain lose, gained lost, accept reject, accepted rejected, allow forbid, allowed forbidden,
include exclude, included excluded, supported opposed, love hate, loved hated, enemy ally, success failure,
successful unsuccessful, advantage disadvantage, advantages disadvantages, benefit drawback, benefits drawbacks,
legal illegal, positive negative, always never, happy sad
"""
_ANTONYMS = contrasting(pair.split() for pair in _PAIRS.split(","))
_NEGATED = {
    **{word: f"{word}n't" for word in ("is", "are", "was", "were", "do", "does", "did", "has", "have", "had")},
    **{word: f"{word}n't" for word in ("could", "would", "should")},
    "can": "can't",
    "will": "won't",
}
_AFFIRMED = {negated: word for word, negated in _NEGATED.items()} | {f"{word} not": word for word in _NEGATED}
_NEGATION = re.compile(r"\b(?:not|no|none|nor|never|neither|without|except|cannot|un(?:able|likely))\b|n['’]t\b", re.I)
_YES_OR_NO = re.compile(rf"(?:{'|'.join(_NEGATED)})\b", re.I)
# Not who, what or which: of what is not so, a paragraph may well name another one.
_CIRCUMSTANCE = re.compile(
    r"(?:when|where|why|(?:in|on) (?:what|which) (?:century|date|day|month|year)) "
    rf"({'|'.join([*_AFFIRMED, *_NEGATED])})(?!\w)",
    re.I,
)


def negate(example: QAExample, choice: float) -> QAExample | None:
    """The question with one word's antonym, else with a negation more or less; None where nothing suits.

    An antonym has to stand in the way of the answer: the word is in the answer's sentence, and neither its antonym
    nor anything like it in the paragraph.
    """
    question = example.question
    if _YES_OR_NO.match(question):
        return None
    span = sentence_of(example, example.answers[0])
    sentence = example.context[span.start : span.end]
    is_negative, told = (_NEGATION.search(text) is not None for text in (question, sentence))
    options = [] if is_negative else with_contrasts(question, sentence, example.context, _ANTONYMS)
    if not options and is_negative == told and (is_negative or choice < NEGATED):
        options = _with_other_verb(question, _AFFIRMED if is_negative else _NEGATED)
    return replace(example, question=options[int(choice * len(options))]) if options else None


def _with_other_verb(question: str, verbs: Mapping[str, str]) -> list[str]:
    match = _CIRCUMSTANCE.match(question)
    other = verbs.get(match[1].lower()) if match else None
    return [question[: match.start(1)] + other + question[match.end() :]] if match and other else []
