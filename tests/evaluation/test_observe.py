from dataclasses import replace

import numpy as np
import pytest

from fake_scorer import FakeScorer
from polyspan import Reader, ReadOptions
from polyspan.backends import NativeSettings
from polyspan.decoding import FEATURES, Calibration, Confidence, LogisticMap
from polyspan.errors import DatasetError
from polyspan.evaluation import as_predictions, predict
from polyspan.evaluation.observe import Asked, ask_alone, ask_among_others, observe, observe_kept, read_asked
from polyspan.types import GoldAnswer, QAExample


def example(name: str, question: str, context: str, *answers: str) -> QAExample:
    return QAExample(name, question, context, tuple(GoldAnswer(answer, context.index(answer)) for answer in answers))


EXAMPLES = [
    example("a", "find oslo", "Anna lives in Oslo", "Oslo"),
    example("b", "find rome", "ANNA  lives in oslo"),
    example("c", "find rome", "Bert lives in Rome !", "in Rome"),
    example("d", "find rome", "  "),
]
DATASETS = {"one.json": EXAMPLES[:2], "two.json": [*EXAMPLES[2:], replace(EXAMPLES[0], id="e")]}
CONFIDENCE = Confidence(LogisticMap(0.0, {}), LogisticMap(0.0, {}))


@pytest.fixture
def reader() -> Reader:
    calibration = Calibration(no_answer_threshold=-99, span_temperature=3, confidence=CONFIDENCE)
    options = {"no_answer_bias": 1.5, "score_threshold": 0.9}
    scorer = FakeScorer("anna bert lives in oslo rome")
    return Reader(scorer, NativeSettings(no_answer=True, calibration=calibration, options=options))


def test_observe_grades_what_an_uncalibrated_reader_answers(reader: Reader) -> None:
    asked = ask_alone(DATASETS)
    readings = list(read_asked(reader, asked))
    plain = Reader(reader.scorer, NativeSettings(no_answer=True))
    assert readings[0].features == plain.read("find oslo", "Anna lives in Oslo", ReadOptions(top_k=1)).features
    observed = observe(asked, readings)
    assert observed.exact.tolist() == [True, False, False, True]  # the question without a text is left out
    assert observed.f1.tolist() == [1, 0, pytest.approx(2 / 3), 1]
    assert observed.unanswerable.tolist() == [False, True, False, False]
    assert observed.alone.all()
    assert observed.null_margin[0] == observed.features["null_margin"][0] + 1.5
    assert list(observed.features) == list(FEATURES)


def test_observe_kept_predictions_of_any_calibration_is_the_same(reader: Reader) -> None:
    confidence = NativeSettings(no_answer=True, calibration=Calibration(-99, confidence=CONFIDENCE))
    calibrated, asked = Reader(reader.scorer, confidence), ask_alone(DATASETS)
    plain = NativeSettings(no_answer=True)
    expected = observe(asked, read_asked(Reader(reader.scorer, plain), asked))
    kept = {
        name: {row.id: row for row in as_predictions(examples, predict(calibrated, examples, ReadOptions()))}
        for name, examples in DATASETS.items()
    }
    found = observe_kept(DATASETS, kept)
    for name in ("null_margin", "unanswerable", "exact", "f1", "alone", "context", "dataset"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
    assert {name: column.tolist() for name, column in found.features.items()} == {
        name: column.tolist() for name, column in expected.features.items()
    }
    kept["one.json"]["b"] = replace(kept["one.json"]["b"], features={})
    with pytest.raises(DatasetError, match=r"one\.json: question 'b' has no prediction with all features"):
        observe_kept(DATASETS, kept)
    del kept["one.json"]["b"]
    with pytest.raises(DatasetError, match=r"one\.json: question 'b' has no prediction"):
        observe_kept(DATASETS, kept)


def test_observe_numbers_contexts_across_datasets(reader: Reader) -> None:
    asked = ask_alone(DATASETS)
    observed = observe(asked, read_asked(reader, asked))
    assert observed.context.tolist() == [0, 0, 1, 0]
    assert observed.dataset.tolist() == ["one.json", "one.json", "two.json", "two.json"]
    part = observed.at(np.array([False, True, True, False]))
    assert part.dataset.tolist() == ["one.json", "two.json"]
    assert part.features["null_margin"].tolist() == observed.features["null_margin"][1:3].tolist()


def test_observe_reads_as_calibrated_where_it_is_told(reader: Reader) -> None:
    asked = ask_alone(DATASETS)[:1]
    (uncalibrated,), (calibrated,) = read_asked(reader, asked), read_asked(reader, asked, calibrated=True)
    assert uncalibrated.answers[0].score > 0.9
    assert calibrated.answers[0].score == 0.25
    assert calibrated.features["log_share"] != uncalibrated.features["log_share"]


def test_observe_asks_some_questions_of_each_kind_among_others(reader: Reader) -> None:
    examples = [
        example(f"{number} {kind}", "find oslo", f"Anna lives in Oslo {number % 60}", *["Oslo"] * kind)
        for number in range(320)
        for kind in (True, True, False)
    ]
    asked = ask_among_others({"one.json": examples, "single.json": [replace(EXAMPLES[0], id="s")]})
    assert [sum(bool(one.example.answers) == kind for one in asked) for kind in (True, False)] == [40, 20]
    assert all(one.documents[0] == one.example.context for one in asked)
    assert all(len(set(one.documents)) == len(one.documents) for one in asked)
    sizes = [len(one.documents) for one in asked]
    assert 2 == min(sizes) < np.median(sizes) < 20 < max(sizes) <= 50
    assert {one.dataset for one in asked} == {"one.json"}
    assert asked == ask_among_others({"one.json": examples})
    assert not observe(asked, read_asked(reader, asked)).alone.any()


def test_observe_finds_the_answer_among_other_documents(reader: Reader) -> None:
    asked = [Asked("one.json", EXAMPLES[2], (EXAMPLES[2].context, EXAMPLES[0].context, EXAMPLES[1].context))]
    observed = observe(asked, read_asked(reader, asked))
    assert observed.features["log_windows"] == pytest.approx(np.log(3))
    assert observed.f1 == pytest.approx(2 / 3)
