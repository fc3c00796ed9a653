"""Rankings by vectors, of an encoder that knows which words a text holds."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from polyspan.evaluation import Questions
from polyspan.evaluation.encoders import AT_ONCE, encode, encoder_figures, encoder_report
from polyspan.evaluation.opendomain import collect, pool_figures
from polyspan.types import FloatArray, GoldAnswer, QAExample

TOWNS = [f"town{number}" for number in range(20)]


class Words:
    """One dimension for each town; ``shift`` makes questions lie near the passage of a later town."""

    name, digest, dimension = "words", "", len(TOWNS)

    def __init__(self, shift: int = 0) -> None:
        self._shift = shift
        self.sizes: list[int] = []

    def encode_questions(self, texts: Sequence[str]) -> FloatArray:
        own = np.roll(self._vectors(texts), self._shift, axis=1)
        return own + np.float32(0.5) * np.roll(own, 1, axis=1)

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        self.sizes.append(len(texts))
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[f"{town}." in text for town in TOWNS] for text in texts], np.float32).reshape(-1, len(TOWNS))


@pytest.fixture
def asked() -> list[Questions]:
    """Two datasets of ten questions each, and one question that has no answer."""
    examples = [
        QAExample(town, f"What is it about {town}.", f"This is {town}. It is fine.", (GoldAnswer(town, 8),))
        for town in TOWNS
    ]
    examples.append(QAExample("none", "What is town0.?", examples[0].context, is_impossible=True))
    return [
        Questions(part, [""] * len(part), {"dataset": name})
        for name, part in (("one.json", examples[:10]), ("two.json", examples[10:]))
    ]


def unwatched(items: Iterable[Any], _total: int, _what: str) -> Iterable[Any]:
    return items


@pytest.mark.parametrize(("shift", "recall", "mrr"), [(0, 100.0, 100.0), (-1, 0.0, 50.0)])
def test_encoders_are_worth_what_their_rankings_are(
    shift: int, recall: float, mrr: float, asked: list[Questions]
) -> None:
    found = encoder_figures(Words(shift), asked, collect(asked), unwatched)
    assert [one["gold_recall_at_1"].mean() for one in found] == [recall, recall]
    for one in found:
        assert one["gold_mrr_at_10"].shape == (10,)
        assert one["gold_mrr_at_10"].mean() == pytest.approx(mrr)
        assert one["gold_recall_at_10"].mean() == 100
        np.testing.assert_array_equal(one["answer_recall_at_1"], one["gold_recall_at_1"])


def test_encoders_reports_say_what_was_measured(asked: list[Questions]) -> None:
    collection = collect(asked)
    values = pool_figures(encoder_figures(Words(), asked, collection, unwatched))
    report = encoder_report(values, {"dataset": "two files", "model": "words", **collection.signature})
    assert report.scores["total"] == 20
    assert report.scores["gold_mrr_at_10"] == 100
    assert report.intervals["gold_mrr_at_10"] == (100, 100)
    assert report.signature["metric"] == "retrieval"
    assert (report.signature["passages"], report.signature["n"]) == (20, 20)


def test_encoders_get_some_texts_at_a_time() -> None:
    encoder, told = Words(), []

    def progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        told.append((total, what))
        return items

    texts = [f"{town}." for town in TOWNS] * 5
    vectors = encode(encoder.encode_passages, texts, progress, "passages")
    np.testing.assert_array_equal(vectors, Words().encode_passages(texts))
    assert encoder.sizes == [AT_ONCE, 100 - AT_ONCE]
    assert encode(encoder.encode_passages, [], progress, "nothing").shape == (0, len(TOWNS))
    assert told == [(2, "encoding passages"), (0, "encoding nothing")]
