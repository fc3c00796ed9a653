"""What an encoder's vectors are worth: the passages of a collection, ranked for questions with known answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from polyspan.backends import TextEncoder
from polyspan.evaluation.opendomain import (
    RELEVANCE,
    Collection,
    Figures,
    Found,
    OpenDomainOptions,
    Place,
    ranking_figures,
)
from polyspan.evaluation.reports import Questions
from polyspan.metrics import Signature, bootstrap_interval, make_signature
from polyspan.types import FloatArray, Report

CUTS = OpenDomainOptions((1, 10))
AT_ONCE = 64
"""How many texts are encoded between two looks at the progress."""

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]


def encoder_figures(
    encoder: TextEncoder, asked: Sequence[Questions], collection: Collection, progress: Progress
) -> list[Figures]:
    """What the ranking by scalar products is worth for each dataset, 0 to 100, over its answerable questions.

    ``gold_recall_at_K`` and ``answer_recall_at_K`` at 1 and 10, ``gold_mrr_at_10``, ``answer_mrr_at_10`` and
    ``gold_ndcg_at_10``, as in ``opendomain.figures``. Passages are encoded once for all datasets.
    """
    passages = collection.passages
    vectors = encode(encoder.encode_passages, [one.text for one in passages], progress, "passages")
    places = [Place(one.document.id, one.span.start, one.span.end) for one in passages]
    values: list[Figures] = []
    for questions in asked:
        examples = [example for example in questions.examples if example.answers]
        what = f"questions of {questions.source['dataset']}"
        scores = encode(encoder.encode_questions, [one.question for one in examples], progress, what) @ vectors.T
        order = np.argsort(-scores, axis=1, kind="stable")[:, : CUTS.ranks]
        found = [
            Found(example.id, tuple(places[number] for number in row), (), 0.0)
            for example, row in zip(examples, order, strict=True)
        ]
        worth = ranking_figures(list(zip(examples, found, strict=True)), collection, CUTS)
        values.append({name: 100.0 * array for name, array in worth.items()})
    return values


def encoder_report(values: Figures, source: Signature) -> Report:
    """The means of figures with their intervals; ``source`` is what the signature says of dataset and collection."""
    total = len(next(iter(values.values())))
    return Report(
        {**{name: float(array.mean()) for name, array in values.items()}, "total": total},
        make_signature("retrieval", "characters", {**source, **RELEVANCE}, n=total),
        {name: bootstrap_interval(array) for name, array in values.items()},
    )


def encode(
    encoder: Callable[[Sequence[str]], FloatArray], texts: Sequence[str], progress: Progress, what: str
) -> FloatArray:
    """The vectors of many texts, [texts, dimension], some at a time."""
    slices = [texts[begin : begin + AT_ONCE] for begin in range(0, len(texts), AT_ONCE)]
    return np.concatenate([encoder(part) for part in progress(slices or [[]], len(slices), f"encoding {what}")])
