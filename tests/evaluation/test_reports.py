from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from polyspan.errors import DatasetError, InputError
from polyspan.evaluation.predictions import LARGEST_MARGIN, Kept, Origin, Prediction
from polyspan.evaluation.reports import (
    TEXT_REGIMES,
    Answered,
    Questions,
    answered_by,
    complete_reports,
    counted,
    grade_predictions,
    grade_texts,
    pool,
    read_questions,
    score_predictions,
    score_texts,
    selective_report,
)
from polyspan.metrics import score_squad1, score_squad2
from polyspan.types import GoldAnswer, QAExample


def question(identifier: str, *answers: str) -> QAExample:
    gold = tuple(GoldAnswer(answer, 0) for answer in answers)
    return QAExample(identifier, "?", "context", gold, is_impossible=not gold)


def row(identifier: str, text: str, margin: float, score: float, no_answer: float) -> Prediction:
    """The best span, and what a reader with the threshold 0.5 makes of it."""
    return Prediction(identifier, text, 0, len(text), score, no_answer, abstained=margin > 0.5, null_margin=margin)


EXAMPLES = [question("1", "der Hund"), question("2"), question("3", "Katze"), question("4")]
ROWS = [
    row("1", "Hund", -3.0, 0.75, 0.125),  # right, but for the article
    row("2", "Maus", 2.0, 0.25, 0.75),  # rightly abstained
    row("3", "Katze", 1.0, 0.25, 0.5),  # wrongly abstained
    row("4", "Maus", 0.5, 0.5, 0.25),  # wrongly answered
]
SOURCE = {"dataset": "four.json", "dataset_sha256": "0a1b", "model": "fake", "no_answer": "auto"}
ORIGIN = Origin("fake", "ffff", "eeee", "four.json", "0a1b", 0.5, {"return_no_answer": True})


def answered(
    language: str = "", rows: Sequence[Prediction] = ROWS, examples: Sequence[QAExample] = EXAMPLES
) -> Answered:
    questions = Questions(examples, [language] * len(examples), SOURCE)
    return Answered(questions, {one.id: one for one in rows}, 0.5)


def best(rows: Sequence[Prediction] = ROWS) -> Mapping[str, str]:
    return {one.id: one.text for one in rows}


def test_reports_squad_is_the_official_report_at_the_readers_threshold() -> None:
    report = score_predictions("squad", answered())
    margins = {one.id: one.null_margin + LARGEST_MARGIN for one in ROWS}
    official = score_squad2(EXAMPLES, best(), margins, LARGEST_MARGIN + 0.5)
    assert list(report.scores) == list(official.scores)
    for key, value in official.scores.items():
        assert report.scores[key] == pytest.approx(value - LARGEST_MARGIN if key.endswith("thresh") else value)
    assert report.intervals == official.intervals
    assert report.signature == {**official.signature, **SOURCE, "na_threshold": 0.5}
    assert report.scores["exact"] == 25
    assert report.scores["best_f1_thresh"] == pytest.approx(-3)


def test_reports_without_a_threshold_score_what_was_shown() -> None:
    report = score_predictions("squad", replace(answered(), threshold=None))
    assert "best_f1" not in report.scores
    assert report.scores == score_squad2(EXAMPLES, {one.id: one.shown for one in ROWS}).scores


@pytest.mark.parametrize(
    ("regime", "exact", "signature"),
    [
        ("squad1", 50, {"metric": "squad1", "normaliser": "squad-v1-official", "n": 2}),
        ("mlqa", 100, {"metric": "squad1", "normaliser": "mlqa-v1-de", "n": 2}),
        ("cmrc2018", 50, {"metric": "squad1", "normaliser": "cmrc2018-style", "n": 2}),
        ("mlqa-extended", 50, {"metric": "squad2", "normaliser": "mlqa-extended-de", "n": 4}),
        ("jsquad", 25, {"metric": "squad2", "normaliser": "jsquad-v1", "n": 4}),
    ],
)
def test_reports_of_all_regimes_come_from_the_same_rows(
    regime: str, exact: float, signature: dict[str, object]
) -> None:
    report = score_predictions(regime, answered("de"))
    assert report.scores["exact"] == exact
    assert signature.items() <= report.signature.items()
    if signature["metric"] == "squad1":  # the best span counts, though the reader abstained
        assert (report.signature["no_answer"], report.signature["unanswerable_left_out"]) == ("off", 2)
        assert set(report.scores) == {"exact", "f1", "total"}
    else:
        assert report.signature["no_answer"] == "auto"
        assert {"HasAns_exact", "NoAns_exact", "best_f1", "best_f1_thresh"} <= set(report.scores)


def test_reports_by_squad1_need_no_predictions_on_unanswerable_questions() -> None:
    questions = answered().questions
    texts = {"1": "der Hund", "3": "Maus"}
    report = score_texts("squad1", questions, texts)
    assert report.scores == score_squad1([EXAMPLES[0], EXAMPLES[2]], texts).scores
    assert report == score_texts("squad1", questions, texts | {"2": "x"})
    with pytest.raises(DatasetError, match=r"1 \('3'\) of 2 missing"):
        score_texts("squad1", questions, {"1": "Hund"})
    with pytest.raises(DatasetError, match=r"1 \('x'\) not in the dataset"):
        score_texts("squad1", questions, texts | {"x": "y"})
    assert score_texts("squad1", questions, {"1": "der Hund"}, allow_missing=True).scores["exact"] == 50
    with pytest.raises(InputError, match=r"regime squad1: .* leave the no-answer probabilities out"):
        score_texts("squad1", questions, texts, {"1": 0.5, "3": 0.5})


def test_reports_refuse_regimes_that_count_nothing_or_lack_a_language() -> None:
    with pytest.raises(InputError, match=r"language ''.*MLQA"):
        counted("mlqa", answered().questions, {})
    unanswerable = Questions([EXAMPLES[1]], ["de"], SOURCE)
    with pytest.raises(DatasetError, match="regime mlqa: the dataset has no answerable question"):
        counted("mlqa", unanswerable, {})
    assert counted("squad", unanswerable, {"2": ""}) == (unanswerable, {"2": ""})


def test_reports_grades_are_those_of_the_regime() -> None:
    texts = {one.id: one.shown for one in ROWS}
    for regime in TEXT_REGIMES:
        questions, chosen = counted(regime, answered("de").questions, texts)
        exact, f1 = grade_texts(regime, questions, chosen)
        report = score_texts(regime, answered("de").questions, texts)
        assert report.scores["exact"] == pytest.approx(100 * sum(exact) / len(exact))
        assert report.scores["f1"] == pytest.approx(100 * sum(f1) / len(f1))


def test_reports_selective_by_hand() -> None:
    report = score_predictions("selective", answered())
    # By probability: "1" wrong at 0.75 with "2" right at 0.75, then "3" and "4" wrong at 0.5.
    assert report.scores["accuracy"] == 0.25
    assert report.scores["aurc"] == pytest.approx((2 * 0.5 + 2 * 0.75) / 4)
    assert report.scores["ece"] == pytest.approx((2 * 0.25 + 2 * 0.5) / 4)
    assert report.scores["brier"] == pytest.approx((0.75**2 + 0.25**2 + 2 * 0.5**2) / 4)
    assert [report.scores[f"coverage_at_{percent}"] for percent in (80, 90, 95)] == [0, 0, 0]
    assert [report.scores[f"no_answer_{name}"] for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert report.scores["total"] == 4
    assert set(report.intervals) == {"aurc", "ece", "brier"}
    assert report.signature["metric"] == "selective"
    assert report.signature["normaliser"] == "squad-v2-official"
    assert "prior" not in report.signature


def test_reports_selective_knows_languages_and_priors() -> None:
    report = score_predictions("selective", answered("de"))
    assert report.signature["normaliser"] == "mlqa-extended-de"
    assert report.scores["accuracy"] == 0.5  # the article of "1" no longer counts
    weighted = score_predictions("selective", answered("de"), prior=0.0)
    assert weighted.signature["prior"] == 0
    assert weighted.scores["accuracy"] == 0.5
    assert weighted.scores["no_answer_precision"] == 0
    with pytest.raises(InputError, match="prior"):
        score_predictions("selective", answered(examples=EXAMPLES[:1], rows=ROWS[:1]), prior=0.5)


def test_reports_selective_leaves_out_no_answer_without_unanswerable_questions() -> None:
    scores = score_predictions("selective", answered("de", ROWS[:1], EXAMPLES[:1])).scores
    assert (scores["coverage_at_95"], "no_answer_f1" in scores) == (1, False)


def test_reports_grades_are_what_the_selective_report_is_made_of() -> None:
    graded = grade_predictions(answered("de"), 0.75)
    assert graded.right.tolist() == [True, True, False, False]
    assert graded.probability.tolist() == [0.75, 0.75, 0.5, 0.5]
    assert graded.abstained.tolist() == [False, True, True, False]
    assert graded.unanswerable.tolist() == [False, True, False, True]
    assert graded.weights is not None
    assert graded.weights.tolist() == [0.5, 1.5, 0.5, 1.5]
    assert (graded.regime, graded.normaliser, graded.threshold) == ("mlqa-extended", "mlqa-extended-de", 0.5)
    assert selective_report(graded) == score_predictions("selective", answered("de"), prior=0.75)
    part = grade_predictions(answered(rows=ROWS[1:]), allow_missing=True)
    assert [example.id for example in part.questions.examples] == [row.id for row in part.rows] == ["2", "3", "4"]
    assert (part.settings, part.weights, part.regime) == ({"missing": 1}, None, "squad")


def test_reports_are_completed_by_those_that_are_missing() -> None:
    alone = complete_reports({}, answered("de"))
    assert alone.reports == {name: score_predictions(name, answered("de")) for name in ("selective", "squad")}
    assert (alone.regime, alone.main, alone.dataset, alone.language) == (
        "squad",
        alone.reports["squad"],
        "four.json",
        "de",
    )
    given = {name: score_predictions(name, answered("de"), prior=0.5) for name in ("selective", "mlqa", "squad")}
    complete = complete_reports(given, answered("de"), 0.5)
    assert (complete.reports, complete.regime, complete.selective) == (given, "mlqa", given["selective"])
    both = complete_reports({}, pool([answered("de"), answered("es")]))
    assert (both.dataset, both.language) == ("2 files", "")


def test_reports_allow_missing_predictions_on_demand() -> None:
    part = answered(rows=ROWS[:3])
    for regime in ("squad", "selective"):
        with pytest.raises(DatasetError, match=r"1 \('4'\) of 4 missing"):
            score_predictions(regime, part)
        report = score_predictions(regime, part, allow_missing=True)
        assert (report.scores["total"], report.signature["missing"]) == (3, 1)


def test_reports_pool_datasets_of_several_languages() -> None:
    german, spanish = answered("de"), answered("es", [row("1", "gato", -1.0, 0.5, 0.25)], [question("1", "el gato")])
    both = pool([german, spanish])
    assert len(both.predictions) == len(both.questions.examples) == 5
    assert both.threshold == 0.5
    report = score_predictions("mlqa", both)
    assert (report.scores["exact"], report.scores["total"]) == (100, 3)
    assert report.signature["normaliser"] == "mlqa-v1-de+mlqa-v1-es"
    assert report.signature["dataset"] == "2 files"
    assert report.signature["dataset_sha256"] not in ("0a1b", pool([spanish]).questions.source["dataset_sha256"])
    squad = score_predictions("squad", both)
    assert squad.signature["normaliser"] == "squad-v2-official"
    assert "best_f1" in squad.scores
    assert score_predictions("selective", both).signature["normaliser"] == "mlqa-extended-de+mlqa-extended-es"


def test_reports_pool_datasets_of_several_thresholds() -> None:
    both = pool([answered(), replace(answered(), threshold=0.75)])
    report = score_predictions("squad", both)
    assert report.scores["exact"] == 25
    assert "best_f1" not in report.scores
    assert report.signature["na_threshold"] == "each file's own"


def test_reports_take_kept_predictions(tmp_path: Path) -> None:
    path = tmp_path / "four.json"
    path.write_text(
        '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "1", "question": "?", "answers": []}]}]}]}'
    )
    questions = read_questions(path, "de")
    assert (questions.languages, questions.source["dataset"]) == (["de"], "four.json")
    found = answered_by(Kept(ORIGIN, {"1": ROWS[0]}), questions)
    assert (found.predictions, found.threshold) == ({"1": ROWS[0]}, 0.5)
    assert (found.questions.source["model"], found.questions.source["no_answer"]) == ("fake", "on")
    off = answered_by(Kept(replace(ORIGIN, options={"return_no_answer": False}), {}), questions)
    assert off.questions.source["no_answer"] == "off"
