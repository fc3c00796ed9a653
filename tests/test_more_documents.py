"""What reading more documents can do to an answer.

Each window is decoded on its own, and a span counts by its lead over its own window's null score. So the null margin
over several documents is the smallest of their own ones, and it alone is compared with the threshold. More documents
never turn an answer into "no answer", not by the least margin. What they can do: put another answer above it, or lower
its probability, below a ``score_threshold`` for example. And what is read of a collection is the best ranked passages
only, so that a document more may push the right one out.
"""

from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_scorer import FakeScorer
from polyspan import Document, Reader, Reading, ReadOptions
from polyspan.backends import NativeSettings
from polyspan.decoding import Calibration, Confidence, LogisticMap, Term
from polyspan.features import Batch
from polyspan.pipeline import PipelineOptions, QAPipeline
from polyspan.types import FloatArray

WORDS = "anna bert lives in oslo rome"


class Capricious(FakeScorer):
    """Logits without rhyme or reason, but the same for the same window."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        logits = np.zeros((2, *batch.input_ids.shape), np.float32)
        for row, (ids, mask) in enumerate(zip(batch.input_ids, batch.attention_mask, strict=True)):
            window = ids[mask == 1]
            generator = np.random.default_rng(crc32(window.tobytes()))
            logits[:, row, : len(window)] = generator.normal(0, 4, (2, len(window)))
        return logits[0], logits[1]


texts = st.lists(st.sampled_from([*WORDS.split(), "!", "."]), max_size=20).map(" ".join)
documents = st.lists(st.builds(Document, texts, st.sampled_from(["a", "b", "c", "d"])), max_size=4)
readings = st.builds(
    ReadOptions,
    top_k=st.integers(1, 3),
    top_k_per_document=st.sampled_from([None, 1]),
    return_no_answer=st.booleans(),
    no_answer_threshold=st.one_of(st.none(), st.floats(-20, 20)),
    no_answer_bias=st.floats(-5, 5),
    overlap_threshold=st.sampled_from([0.0, 0.01, 1.0]),
    max_seq_len=st.just(16),
    doc_stride=st.just(4),
    max_question_len=st.just(4),
)


def best(reading: Reading) -> tuple[str, int, str, float] | None:
    answers = reading.answers or reading.candidates
    return next(((one.document, one.start, one.text, one.null_margin) for one in answers), None)


@given(first=documents, second=documents, options=readings)
def test_more_documents_the_best_margin_decides(
    first: Sequence[Document], second: Sequence[Document], options: ReadOptions
) -> None:
    reader = Reader(Capricious(WORDS), NativeSettings(no_answer=True))
    one, other, both = (reader.read("find oslo", read, options) for read in (first, second, [*first, *second]))
    assert both.no_answer.null_margin == min(one.no_answer.null_margin, other.no_answer.null_margin)
    assert both.no_answer.chosen == (one.no_answer.chosen and other.no_answer.chosen)
    assert best(both) in (best(one), best(other))


@given(read=documents, irrelevant=texts, options=readings)
def test_more_documents_never_turn_a_right_answer_into_no_answer(
    read: Sequence[Document], irrelevant: str, options: ReadOptions
) -> None:
    reader = Reader(FakeScorer(WORDS), NativeSettings(no_answer=True))
    options = replace(options, no_answer_threshold=None, no_answer_bias=0.0)
    before = reader.read("find oslo", read, options)
    after = reader.read("find oslo", [*read, Document(irrelevant.replace("oslo", "rome"), "irrelevant")], options)
    if before.answers and before.answers[0].text == "oslo":
        assert not after.no_answer.chosen
        assert best(after) == best(before)


def test_more_documents_may_lower_the_probability_but_not_the_choice() -> None:
    doubts = LogisticMap(-3.0, {"log_windows": Term(2.0, 0.0, 9.0)})
    calibration = Calibration(confidence=Confidence(doubts, LogisticMap(5.0, {})))
    reader = Reader(FakeScorer(WORDS), NativeSettings(no_answer=True, calibration=calibration))
    alone = reader.read("find oslo", ["in oslo"])
    among = reader.read("find oslo", ["in oslo", *["in rome"] * 19])
    assert alone.no_answer.score < 0.5 < among.no_answer.score
    assert not among.no_answer.chosen
    assert among.answers[0].score < 0.5 < alone.answers[0].score
    strict = reader.read("find oslo", ["in oslo", *["in rome"] * 19], ReadOptions(score_threshold=0.5))
    assert not strict.no_answer.chosen
    assert strict.answers == ()


@pytest.mark.parametrize(("passages_read", "abstains"), [(1, True), (2, False)])
def test_more_documents_may_push_a_passage_out_of_what_is_read(passages_read: int, abstains: bool) -> None:
    reader = Reader(FakeScorer(WORDS), NativeSettings(no_answer=True))
    right, loud = Document("anna lives in oslo", "right"), Document("find find find", "loud")
    options = PipelineOptions(passages_read)
    assert not QAPipeline(reader, [right], options).ask("find oslo").no_answer.chosen
    assert QAPipeline(reader, [right, loud], options).ask("find oslo").no_answer.chosen == abstains
