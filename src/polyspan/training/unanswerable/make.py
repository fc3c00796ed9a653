"""Which questions are asked once more, and as which kind."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial

import numpy as np

from polyspan.errors import InputError
from polyspan.training.unanswerable.contrast import contrast, contrasts
from polyspan.training.unanswerable.entities import EntitySwaps
from polyspan.training.unanswerable.negation import negate
from polyspan.training.unanswerable.paragraphs import ParagraphSearch, holds_an_answer, without_answers
from polyspan.types import QAExample

SHORTEST_CONTEXT = 80
# An example and a random number from 0 to 1 to what is asked instead; None where nothing suits.
Change = Callable[[QAExample, float], QAExample | None]


@dataclass(frozen=True, slots=True)
class Unanswerables:
    """Shares, 0 to 1, of the answerable questions that are asked once more, unanswerably.

    ``other_paragraph``: of another paragraph of the same article, which does not hold the answer's text.
    ``removed_sentence``: of the same paragraph without the sentences of its answers.
    ``retrieved_paragraph``: of that paragraph of the file which matches the question best without holding an answer.
    ``swapped_entity``: of the same paragraph, with another number or name of the article for one in the question.
    ``negated_question``: of the same paragraph, the question turned into its opposite; in English files only.
    ``misplaced_entity``: of the same paragraph, with another number or name of that paragraph for one in the
    question.
    ``contrasted_word``: of the same paragraph, with another word that cannot stand for one of the question, such as
    "two" for "three"; in the languages that have a table of such words.

    Few questions lend themselves to every kind, so even a share of 1 gives less. Nobody checks what was made: a few
    in a hundred can be answered all the same, most often negated ones, whose opposite the paragraph may tell in other
    words.
    """

    other_paragraph: float = 0.0
    removed_sentence: float = 0.0
    retrieved_paragraph: float = 0.0
    swapped_entity: float = 0.0
    negated_question: float = 0.0
    misplaced_entity: float = 0.0
    contrasted_word: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not all(0 <= share <= 1 for share in astuple(self)):
            raise InputError(f"shares of unanswerable questions must lie between 0 and 1, not {self}")


def make_unanswerable(
    examples: Sequence[QAExample], shares: Unanswerables, seed: int, language: str = ""
) -> Iterator[QAExample]:
    """The questions that ``shares`` asks for; the same ``seed`` gives the same. Their ids say how they were made.

    Shares of 0 draw nothing from the others' random numbers, and a larger share gives the same questions and more.
    ``language`` is that of all ``examples``, in two letters as in "en".
    """
    yield from _with_less_context(examples, shares, seed)
    asked = {(example.context, example.question.casefold()) for example in examples if example.answers}
    for stream, kind, share, change in _hard_kinds(examples, shares, language):
        generator = np.random.default_rng([seed, stream])
        for example in examples:
            wanted, choice = generator.random(2)
            if not example.answers or wanted >= share or _names_an_answer(example):
                continue
            made = change(example, choice)
            if made is not None and (made.context, made.question.casefold()) not in asked:
                yield _unanswerable(made, kind)


def _hard_kinds(
    examples: Sequence[QAExample], shares: Unanswerables, language: str
) -> Iterator[tuple[int, str, float, Change]]:
    """Stream of random numbers, name, share and way of making of each kind that is asked for."""
    if shares.retrieved_paragraph:
        yield 1, "retrieved-paragraph", shares.retrieved_paragraph, ParagraphSearch(examples).change
    # Both kinds need all names of the file, which take long to find.
    swaps = EntitySwaps(examples) if shares.swapped_entity or shares.misplaced_entity else None
    if swaps and shares.swapped_entity:
        yield 2, "swapped-entity", shares.swapped_entity, swaps.change
    if shares.negated_question and language == "en":
        yield 3, "negated-question", shares.negated_question, negate
    if swaps and shares.misplaced_entity:
        yield 4, "misplaced-entity", shares.misplaced_entity, swaps.misplace
    if shares.contrasted_word and contrasts(language):
        yield 5, "contrasted-word", shares.contrasted_word, partial(contrast, language=language)


def _with_less_context(examples: Sequence[QAExample], shares: Unanswerables, seed: int) -> Iterator[QAExample]:
    """The two kinds that share a stream of random numbers."""
    generator = np.random.default_rng(seed)
    contexts = defaultdict(list)
    for example in examples:
        contexts[example.title].append(example.context)
    paragraphs = {title: list(dict.fromkeys(texts)) for title, texts in contexts.items()}
    for example in examples:
        draws = generator.random(2)
        pick = int(generator.integers(len(paragraphs[example.title])))
        if not example.answers:
            continue
        if draws[0] < shares.other_paragraph:
            context = paragraphs[example.title][pick]
            if context != example.context and not holds_an_answer(context, example):
                yield _unanswerable(replace(example, context=context), "other-paragraph")
        if draws[1] < shares.removed_sentence:
            context = without_answers(example)
            if len(context) >= SHORTEST_CONTEXT and not holds_an_answer(context, example):
                yield _unanswerable(replace(example, context=context), "removed-sentence")


def _unanswerable(example: QAExample, kind: str) -> QAExample:
    return replace(example, id=f"{example.id}#{kind}", answers=(), is_impossible=True)


def _names_an_answer(example: QAExample) -> bool:
    """Whether an answer stands in the question itself, as in "Was the game won or lost?"."""
    asked = example.question.casefold()
    return any(answer.text.casefold() in asked for answer in example.answers)
