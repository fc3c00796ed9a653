from dataclasses import replace

import pytest

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.decoding import Calibration
from polyspan.evaluation import evaluate, origin_of, predict, reading_options
from polyspan.types import GoldAnswer, QAExample

EXAMPLES = [
    QAExample("a", "find oslo", "Anna lives in Oslo", (GoldAnswer("Oslo", 14),)),
    QAExample("b", "find rome", "Anna lives in Oslo", (), is_impossible=True),
    QAExample("c", "find rome", "Bert lives in Rome !", (GoldAnswer("in Rome", 11),)),
    QAExample("d", "find anna", "Anna lives in Rome", (), is_impossible=True),
]


@pytest.fixture
def reader() -> Reader:
    return Reader(FakeScorer("anna bert lives in oslo rome"), NativeSettings(no_answer=True))


def test_evaluate_scores_final_texts_and_best_threshold(reader: Reader) -> None:
    options = reading_options(reader, EXAMPLES, "auto")
    assert options.return_no_answer
    evaluation = evaluate(EXAMPLES, predict(reader, EXAMPLES, options), 0.0, {"dataset": "four"})
    assert evaluation.predictions == {"a": "Oslo", "b": "", "c": "Rome", "d": "Anna"}
    scores = evaluation.report.scores
    assert scores["exact"] == 50
    assert scores["f1"] == pytest.approx(100 * (1 + 1 + 2 / 3 + 0) / 4)
    assert scores["NoAns_exact"] == 50
    assert evaluation.null_margins["a"] == -16
    assert evaluation.null_margins["c"] == -18
    assert scores["best_f1_thresh"] in (-16, -18)
    assert evaluation.report.signature["na_threshold"] == 0
    assert evaluation.report.signature["dataset"] == "four"


def test_evaluate_without_threshold_never_abstains(reader: Reader) -> None:
    options = reading_options(reader, EXAMPLES, "off")
    assert not options.return_no_answer
    evaluation = evaluate(EXAMPLES, predict(reader, EXAMPLES, options), None)
    assert all(evaluation.predictions.values())
    assert evaluation.null_margins == {}
    assert "best_f1" not in evaluation.report.scores


def test_evaluate_modes(reader: Reader) -> None:
    answerable = [EXAMPLES[0]]
    assert not reading_options(reader, answerable, "auto").return_no_answer
    assert reading_options(reader, answerable, "on").return_no_answer


def test_evaluate_survives_contexts_without_text(reader: Reader) -> None:
    examples = [QAExample("e", "find oslo", "  ", (), is_impossible=True), EXAMPLES[0]]
    evaluation = evaluate(examples, predict(reader, examples, reading_options(reader, examples, "on")), 0.0)
    assert evaluation.predictions["e"] == ""
    assert evaluation.report.scores["exact"] == 100


def test_evaluate_reads_by_the_threshold_of_a_language() -> None:
    calibration = Calibration(no_answer_threshold=1.0, thresholds={"de": 2.0})
    reader = Reader(FakeScorer(), NativeSettings(no_answer=True, calibration=calibration))
    thresholds = [reader.threshold(reading_options(reader, EXAMPLES, "on", code)) for code in ("", "en", "de")]
    assert thresholds == [1, 1, 2]
    assert reading_options(reader, EXAMPLES, "on", "en") == reading_options(reader, EXAMPLES, "on")


def test_evaluate_origin_changes_with_the_calibration(reader: Reader) -> None:
    options, dataset = reading_options(reader, EXAMPLES, "on"), {"dataset": "four.json", "dataset_sha256": "0a"}
    origin = origin_of(reader, "ff", dataset, options)
    assert (origin.model, origin.weights, origin.dataset, origin.threshold) == ("fake", "ff", "four.json", 0)
    assert origin.options["max_seq_len"] == options.max_seq_len
    assert origin == origin_of(reader, "ff", dataset, options)
    assert origin_of(reader, "ff", dataset, replace(options, return_no_answer=False)).threshold is None
    reader.settings = replace(reader.settings, calibration=Calibration(no_answer_temperature=2.0))
    changed = origin_of(reader, "ff", dataset, options)
    assert changed.settings != origin.settings
    assert replace(changed, settings=origin.settings) == origin
