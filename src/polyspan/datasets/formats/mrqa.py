"""MRQA 2019's JSONL: a header line, then one context a line with its questions (Fisch et al., 2019).

Its character spans end on the last character, inclusively. It holds answerable questions only, and no titles.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import (
    Notes,
    PlacedExamples,
    field,
    identifier,
    items,
    json_lines,
    quoted_answer,
    typed,
)
from polyspan.datasets.writing import json_text
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

_TOKEN = re.compile(r"\w+|[^\w\s]")


def read_mrqa(path: Path, notes: Notes) -> PlacedExamples:
    """The questions of an MRQA file; each span of a detected answer is one answer. Raises DatasetError."""
    for where, line in json_lines(path):
        if "header" in line:
            continue
        context = field(line, "context", str, where)
        for record, place in items(line, "qas", where):
            answers = tuple(_spans(record, context, place, notes))
            if not answers:
                raise DatasetError(f"{place}.detected_answers: there is no span in it; expected one or more")
            qid = identifier(record, "qid", place)
            yield place, QAExample(qid, field(record, "question", str, place), context, answers)


def mrqa_pieces(examples: Sequence[QAExample], notes: Notes) -> Iterator[str]:
    """An MRQA file of answerable questions, with words and single marks as tokens; titles are left out."""
    contexts: dict[str, list[QAExample]] = {}
    for example in examples:
        contexts.setdefault(example.context, []).append(example)
    titles = {example.title for example in examples if example.title}
    if titles:
        notes["titles left out: MRQA cannot hold them"] += len(titles)
    yield f"{json_text({'header': {'dataset': 'polyspan', 'split': 'unknown'}})}\n"
    for context, questions in contexts.items():
        tokens = _tokens(context)
        qas = [_question(example, tokens) for example in questions]
        yield f"{json_text({'id': '', 'context': context, 'context_tokens': tokens, 'qas': qas})}\n"


def _spans(record: dict[str, Any], context: str, place: str, notes: Notes) -> Iterator[GoldAnswer]:
    detected = set()
    for answer, where in items(record, "detected_answers", place):
        text = field(answer, "text", str, where)
        detected.add(text)
        for position, span in enumerate(field(answer, "char_spans", list, where)):
            where_span = f"{where}.char_spans[{position}]"
            if len(typed(span, list, where_span)) != 2:
                raise DatasetError(f"{where_span}: {span!r:.60}; expected [first, last] character")
            first, last = (typed(character, int, where_span) for character in span)
            yield quoted_answer(text, (first, last + 1), context, where_span, notes)
    if "answers" in record:
        texts = field(record, "answers", list, place)
        notes["answer texts left out that no span marks"] += sum(
            typed(text, str, f"{place}.answers[{position}]") not in detected for position, text in enumerate(texts)
        )


def _question(example: QAExample, tokens: list[tuple[str, int]]) -> dict[str, Any]:
    answers = []
    for answer in example.answers:
        last = answer.start + len(answer.text) - 1
        # The first token that ends after the answer's start, and the last that starts before its end.
        first_token = bisect_right(tokens, answer.start, key=lambda token: token[1] + len(token[0]))
        last_token = bisect_right(tokens, last, key=lambda token: token[1]) - 1
        spans = {"char_spans": [[answer.start, last]], "token_spans": [[first_token, max(first_token, last_token)]]}
        answers.append({"text": answer.text, **spans})
    return {
        "qid": example.id,
        "question": example.question,
        "question_tokens": _tokens(example.question),
        "detected_answers": answers,
        "answers": [answer.text for answer in example.answers],
    }


def _tokens(text: str) -> list[tuple[str, int]]:
    """Each token with its first character."""
    return [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
