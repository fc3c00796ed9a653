"""Paragraphs that do not answer: without the answer's sentences, or the best match among the others."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from polyspan.decoding import snippet_span
from polyspan.retrieval import PassageRanking
from polyspan.retrieval.bm25 import terms
from polyspan.types import Document, GoldAnswer, Passage, QAExample, Span

LONGEST_SENTENCE = 2_000
CANDIDATES = 10
# With so many of an answer's words a paragraph may give it in another form: "Lovelace" for "Ada, Countess of Lovelace".
PART = 1 / 3
_MARKS = re.compile(r"[\W_]+")


class ParagraphSearch:
    """The paragraphs of a file, ranked by BM25 for each question."""

    def __init__(self, examples: Sequence[QAExample]) -> None:
        self._letters = {context: letters(context) for context in dict.fromkeys(one.context for one in examples)}
        self._ranking = PassageRanking([Passage(Document(text), Span(0, len(text))) for text in self._letters])

    def change(self, example: QAExample, _choice: float) -> QAExample | None:
        """The question, of the best paragraph but its own that holds none of its answers, nor much of one.

        None where its own is not among the best: it is too vague, then, and others may well answer it.
        """
        count = min(CANDIDATES, len(self._letters) - 1)
        best = [passage.text for passage in self._ranking.best(example.question, count)]
        if example.context not in best:
            return None
        asked = set(terms(example.question))
        answers = [(letters(answer.text), stems(answer.text) - asked) for answer in example.answers]
        for text in best:
            if text == example.context or any(whole in self._letters[text] for whole, _ in answers):
                continue
            told = stems(text)
            if not any(parts and len(parts & told) >= PART * len(parts) for _, parts in answers):
                return replace(example, context=text)
        return None


def holds_an_answer(context: str, example: QAExample) -> bool:
    """Whether one of the example's answers stands in a context, be it in other case."""
    lowered = context.casefold()
    return any(answer.text.casefold() in lowered for answer in example.answers)


def without_answers(example: QAExample) -> str:
    """The context without the sentences that its answers stand in."""
    text = example.context
    for span in sorted({sentence_of(example, answer) for answer in example.answers}, reverse=True):
        text = text[: span.start] + text[span.end :].lstrip()
    return text


def sentence_of(example: QAExample, answer: GoldAnswer) -> Span:
    """The sentence that an answer stands in, as far as it is of bearable length."""
    return snippet_span(example.context, Span(answer.start, answer.start + len(answer.text)), LONGEST_SENTENCE)


def letters(text: str) -> str:
    """Only the letters and digits of a text, case-folded: what is left of it whatever its case, marks and spaces."""
    return _MARKS.sub("", unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=2_000)  # neighbouring questions find the same paragraphs
def stems(text: str) -> frozenset[str]:
    """The stems of the longer words, in scripts that have spaces between words."""
    return frozenset(term for term in terms(text) if term.endswith("…"))
