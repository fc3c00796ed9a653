"""Unanswerable questions made from answerable ones."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from polyspan.decoding import snippet_span
from polyspan.errors import InputError
from polyspan.types import QAExample, Span

SHORTEST_CONTEXT = 80
LONGEST_SENTENCE = 2_000


@dataclass(frozen=True, slots=True)
class Unanswerables:
    """Shares, 0 to 1, of the answerable questions that are asked once more, unanswerably.

    ``other_paragraph``: of another paragraph of the same article, which does not hold the answer's text.
    ``removed_sentence``: of the same paragraph without the sentences of its answers.
    """

    other_paragraph: float = 0.0
    removed_sentence: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not (0 <= self.other_paragraph <= 1 and 0 <= self.removed_sentence <= 1):
            raise InputError(f"shares of unanswerable questions must lie between 0 and 1, not {self}")


def make_unanswerable(examples: Sequence[QAExample], shares: Unanswerables, seed: int) -> Iterator[QAExample]:
    """The questions that ``shares`` asks for; the same ``seed`` gives the same. Their ids say how they were made."""
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
            if context != example.context and not _holds_an_answer(context, example):
                yield _unanswerable(example, context, "other-paragraph")
        if draws[1] < shares.removed_sentence:
            context = _without_answers(example)
            if len(context) >= SHORTEST_CONTEXT and not _holds_an_answer(context, example):
                yield _unanswerable(example, context, "removed-sentence")


def _unanswerable(example: QAExample, context: str, kind: str) -> QAExample:
    return replace(example, id=f"{example.id}#{kind}", context=context, answers=(), is_impossible=True)


def _holds_an_answer(context: str, example: QAExample) -> bool:
    lowered = context.casefold()
    return any(answer.text.casefold() in lowered for answer in example.answers)


def _without_answers(example: QAExample) -> str:
    """The context without the sentences that its answers stand in."""
    spans = {
        snippet_span(example.context, Span(answer.start, answer.start + len(answer.text)), LONGEST_SENTENCE)
        for answer in example.answers
    }
    text = example.context
    for span in sorted(spans, reverse=True):
        text = text[: span.start] + text[span.end :].lstrip()
    return text
