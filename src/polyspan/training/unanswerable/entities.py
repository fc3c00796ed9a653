"""A number or name of a question exchanged for another one of the same article, without any model."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from polyspan.decoding import snippet_span
from polyspan.retrieval.bm25 import terms
from polyspan.training.unanswerable.paragraphs import LONGEST_SENTENCE, letters, stems
from polyspan.types import QAExample, Span

ALIKE = 5
# Cosine from which two names of a paragraph may be of one sort.
LIKE = 0.2
YEARS = range(1000, 2100)
_NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,٫٬]\d+)*")
# Beside a number that is a part of something else.
_INSIDE_CODE_BEFORE = frozenset("-–—/:.,'’#")
_INSIDE_CODE_AFTER = frozenset("-–—/:")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+(?:[.-]\w+)*")
# Between two words of one name: a space, an apostrophe, the full stop of an initial.
_INSIDE_NAME = re.compile(r" |['’]|(?<=\b\w)\. ")
_BEHIND = re.compile(r"(?:\W(?<![.,;:!?'’]))*([.,;:!?]|['’]s\b|\w+)")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n\"“”«»„(\[*•–—-])\s*$")

Kind = tuple[str, ...]
Index = dict[Kind, dict[str, None]]


@dataclass(frozen=True, slots=True)
class Entity:
    """A number or name in a text, at character ``start``; only those of one ``kind`` can stand for each other.

    ``beside`` are the words that a name stands between.
    """

    text: str
    start: int
    kind: Kind
    beside: tuple[str, ...] = ()


class EntitySwaps:
    """The numbers and names of a file's articles.

    An article of a single paragraph has nothing to offer, and takes from the whole file.
    """

    def __init__(self, examples: Sequence[QAExample]) -> None:
        paragraphs: dict[str, dict[str, None]] = defaultdict(dict)
        for example in examples:
            paragraphs[example.title][example.context] = None
        texts = dict.fromkeys(text for example in examples for text in (example.context, example.question))
        self._small = frozenset(word for text in texts for word in _WORD.findall(text) if not word[0].isupper())
        names = self._names = {text: list(find_names(text, self._small)) for text in texts}
        self._beside: dict[str, set[str]] = defaultdict(set)
        for name in (name for found in names.values() for name in found):
            self._beside[name.text].update(name.beside)
        self._terms = {name: frozenset(terms(_without_accents(name))) for name in self._beside}
        articles = {title: _index(found, names) for title, found in paragraphs.items()}
        whole: Index = defaultdict(dict)
        for kind, found in (item for index in articles.values() for item in index.items()):
            whole[kind] |= found
        self._articles = {title: index if len(paragraphs[title]) > 1 else whole for title, index in articles.items()}

    def change(self, example: QAExample, choice: float) -> QAExample | None:
        """The question with another number, name or half of a name; None where it has none that its paragraph holds."""
        return _exchange(example, self._swaps(example), choice)

    def misplace(self, example: QAExample, choice: float) -> QAExample | None:
        """The question with another number or name of its own paragraph, told there where nothing it asks is spoken of.

        None where none of the question suits.
        """
        return _exchange(example, self._misplaced(example), choice)

    def _swaps(self, example: QAExample) -> Iterator[tuple[Entity, list[str]]]:
        """What of the question its paragraph holds too, with the few others of the article that are most like it."""
        index, context = self._articles[example.title], example.context
        here = {value_of(number) for number in _NUMBER.findall(context)}
        known = here | {value_of(number) for number in _NUMBER.findall(example.question)}
        for number in find_numbers(example.question):
            value = value_of(number.text)
            if value in here:
                others = [text for text in index.get(number.kind, ()) if value_of(text) not in known]
                yield number, sorted(others, key=lambda text: abs(value_of(text) - value))[:ALIKE]
        # Also other forms of its words, and what the title says: all paragraphs speak of that.
        spoken_of = set(terms(_without_accents(f"{context} {example.question} {example.title.replace('_', ' ')}")))
        for name in find_names(example.question, self._small):
            if re.search(rf"(?<!\w){re.escape(name.text)}(?!\w)", context):
                others = [text for text in index.get(name.kind, ()) if spoken_of.isdisjoint(self._terms[text])]
                likest = sorted(others, key=lambda text: -self._likeness(text, name.text))[:ALIKE]
                yield name, [*likest, *(mixed for other in likest for mixed in _mixtures(name.text, other))]

    def _misplaced(self, example: QAExample) -> Iterator[tuple[Entity, list[str]]]:
        """What of the question its paragraph holds too, with the others there that are most like it."""
        question, context = example.question, example.context
        answers = letters(" ".join(answer.text for answer in example.answers))
        for asked, told in (
            (self._names[question], self._names[context]),
            (find_numbers(question), find_numbers(context)),
        ):
            here = {one.text: one for one in told if letters(one.text) not in answers}
            for entity in asked:
                if entity.text in here:
                    yield entity, self._elsewhere(entity, here, example)

    def _elsewhere(self, entity: Entity, here: Mapping[str, Entity], example: QAExample) -> list[str]:
        """Those of a paragraph like one of the question, in sentences without the rest of what it asks."""
        asked = stems(example.question.replace(entity.text, " "))
        known = asked | stems(entity.text)
        others = {
            text: likeness
            for text, other in here.items()
            if text not in example.question
            and other.kind[-1] == entity.kind[-1]
            and known.isdisjoint(stems(text))
            and ((likeness := self._likeness(text, entity.text)) >= LIKE or other.kind == entity.kind)
            and asked.isdisjoint(stems(_sentences_with(text, example.context)))
        }
        return sorted(others, key=lambda text: -others[text])[:ALIKE]

    def _likeness(self, one: str, other: str) -> float:
        """Cosine, 0 to 1, between the sets of words that two names have stood beside; 0 for numbers."""
        mine, its = self._beside.get(one, set()), self._beside.get(other, set())
        return len(mine & its) / math.sqrt(len(mine) * len(its) or 1)


def _exchange(example: QAExample, swaps: Iterable[tuple[Entity, list[str]]], choice: float) -> QAExample | None:
    """The question with one of the entities exchanged for one of its others; no entity that an answer holds."""
    question, answers = example.question, [answer.text.casefold() for answer in example.answers]
    options = [
        question[: entity.start] + other + question[entity.start + len(entity.text) :]
        for entity, others in swaps
        if not any(entity.text.casefold() in answer for answer in answers)
        for other in others
    ]
    return replace(example, question=options[int(choice * len(options))]) if options else None


def _mixtures(name: str, other: str) -> list[str]:
    """A name of several words with its first or its last one from another: "Ada Byron" of "Ada Lovelace"."""
    (first, *rest), (its_first, *its_rest) = name.split(" "), other.split(" ")
    return [" ".join([its_first, *rest]), " ".join([first, *rest[:-1], its_rest[-1]])] if rest and its_rest else []


def _sentences_with(name: str, context: str) -> str:
    spans = (Span(*match.span()) for match in re.finditer(re.escape(name), context))
    sentences = {snippet_span(context, span, LONGEST_SENTENCE) for span in spans}
    return " ".join(context[one.start : one.end] for one in sentences)


def find_numbers(text: str) -> Iterator[Entity]:
    """Numbers of two digits and more in any script's digits, but parts of codes, dates, times, ranges.

    Of one kind are years, else numbers of the same shape, in the same digits, beside the same unit or sign.
    """
    for match in _NUMBER.finditer(text):
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        shape = _DIGIT.sub(_zero, match[0])
        if len(shape) < 2 or shape[0] == match[0][0] or before in _INSIDE_CODE_BEFORE or after in _INSIDE_CODE_AFTER:
            continue
        sort = "year" if shape == shape[0] * 4 and value_of(match[0]) in YEARS else ""
        yield Entity(match[0], match.start(), ("number", _sign(before), shape, _unit(after), sort))


def find_names(text: str, small: frozenset[str]) -> Iterator[Entity]:
    """Runs of capitalised words, but what begins a sentence, and single words that are among the ``small`` ones too.

    Of one kind are names of as many words (three and more are alike) behind the same word, before a number or not.
    """
    words = list(_WORD.finditer(text))
    if len(words) > 3 and sum(map(_is_capitalised, words)) > len(words) - 2:  # a headline
        return
    for first, end in _runs(text, words):
        place = words[first].start()
        begins = _SENTENCE_START.search(text, max(0, place - 3), place) is not None
        if begins and words[first][0].casefold() not in small:
            continue
        start = first + 1 if begins else first  # "Did" is no part of the name in "Did Ada Lovelace"
        if start == end:
            continue
        name = text[words[start].start() : words[end - 1].end()]
        if len(name) < 2 or name.casefold() in small:
            continue
        before, after = words[start - 1][0].casefold() if start else "", _following(text, words[end - 1].end())
        kind = ("name", before, str(min(end - start, 3)), "0" if after == "0" else "")
        yield Entity(name, words[start].start(), kind, (f"{before} _", f"_ {after}"))


def _runs(text: str, words: Sequence[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """First word and end (exclusive) of each run of capitalised words with nothing but a name's joints between."""
    first = 0
    for end in range(1, len(words) + 1):
        if not _is_capitalised(words[end - 1]):
            first = end
        elif end == len(words) or not (
            _is_capitalised(words[end]) and _INSIDE_NAME.fullmatch(text, words[end - 1].end(), words[end].start())
        ):
            yield first, end
            first = end


def _is_capitalised(word: re.Match[str]) -> bool:
    return word[0][0].isupper()


def value_of(number: str) -> int:
    """A number's digits alone, the first 18 of them, whatever their script and separators."""
    return int("".join(_DIGIT.findall(number)[:18]))


def _index(paragraphs: Mapping[str, None], names: Mapping[str, Sequence[Entity]]) -> Index:
    """What an article can put into questions, by kind; no name so frequent that all of the article is about it."""
    holding = Counter(text for paragraph in paragraphs for text in {name.text for name in names[paragraph]})
    most = max(2, len(paragraphs) // 10)
    index: Index = defaultdict(dict)
    for paragraph in paragraphs:
        for number in find_numbers(paragraph):
            index[number.kind][number.text] = None
        for name in names[paragraph]:
            if holding[name.text] <= most:
                index[name.kind][name.text] = None
    return index


def _without_accents(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))


def _zero(digit: re.Match[str]) -> str:
    """The zero of a digit's script."""
    return chr(ord(digit[0]) - unicodedata.digit(digit[0]))


def _sign(before: str) -> str:
    """What before a number belongs to it: a currency's sign, or a letter as in A320, where scripts have capitals."""
    return before if before.lower() != before.upper() or unicodedata.category(before or " ") == "Sc" else ""


def _unit(after: str) -> str:
    """The letter or sign behind a number that says what it counts."""
    return after if after.isalnum() or after in "%°" or unicodedata.category(after) == "Sc" else ""


def _following(text: str, end: int) -> str:
    """What stands behind a name: a mark, a word, or 0 for any number; empty at the end."""
    match = _BEHIND.match(text, end)
    found = match[1].casefold() if match else ""
    return "0" if found[:1].isdigit() else found
