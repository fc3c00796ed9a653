import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import DatasetError, InputError
from polyspan.metrics.characters import JSQUAD
from polyspan.metrics.mlqa import mlqa
from polyspan.metrics.squad import (
    SQUAD,
    exact_match,
    grade_squad1,
    grade_squad2,
    match_predictions,
    normalise_answer,
    normaliser_name,
    score_squad1,
    score_squad2,
    token_f1,
)
from polyspan.types import GoldAnswer, QAExample

texts = st.text() | st.lists(st.sampled_from(["the", "A", "cat", "sat.", "Über", "猫", "-", "\u00a0"])).map(" ".join)


def question(identifier: str, *answers: str) -> QAExample:
    gold = tuple(GoldAnswer(answer, 0) for answer in answers)
    return QAExample(identifier, "?", "context", gold, is_impossible=not gold)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat, an\tanimal!", "cat animal"),
        ("U.S.-based", "usbased"),
        ("a theatre than", "theatre than"),
        ("an-the", "anthe"),
        ("«Ünïcode» — the\u00a0end", "«ünïcode» — end"),
        ("The.", ""),
        ("", ""),
    ],
)
def test_squad_normalises_as_official(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


def test_squad_scores_the_best_gold_alternative() -> None:
    gold = ["the blue cat", "Cat."]
    assert exact_match(gold, "A cat") == 1
    assert exact_match(gold, "blue dog") == 0
    assert token_f1(gold, "blue dog") == 0.5
    assert token_f1(["cat cat dog"], "cat cat cat") == 2 / 3
    assert token_f1(gold, "horse") == 0


@pytest.mark.parametrize("gold", [[], [""], ["the"], ["", "!"]])
def test_squad_without_usable_gold_wants_an_empty_prediction(gold: list[str]) -> None:
    assert [exact_match(gold, text) for text in ("", "a", "cat")] == [1, 1, 0]
    assert [token_f1(gold, text) for text in ("", "a", "cat")] == [1, 1, 0]


def test_squad_ignores_empty_gold_beside_real_gold() -> None:
    assert exact_match(["the", "cat"], "") == 0
    assert token_f1(["the", "cat"], "") == 0


@given(texts)
def test_squad_a_text_matches_itself(text: str) -> None:
    assert exact_match([text], text) == 1
    assert token_f1([text], text) == 1


@given(texts, texts)
def test_squad_f1_is_symmetric_bounded_and_not_below_exact(one: str, other: str) -> None:
    f1 = token_f1([one], other)
    assert f1 == token_f1([other], one)
    assert exact_match([one], other) <= f1 <= 1


@given(st.lists(texts), texts, texts)
def test_squad_another_gold_text_never_lowers_an_answered_score(gold: list[str], more: str, prediction: str) -> None:
    if any(normalise_answer(text) for text in gold):
        assert token_f1([*gold, more], prediction) >= token_f1(gold, prediction)
        assert exact_match([*gold, more], prediction) >= exact_match(gold, prediction)


EXAMPLES = [question("1", "red cat"), question("2"), question("3", "dog"), question("4")]
PREDICTIONS = {"1": "the cat", "2": "", "3": "Dog!", "4": "horse"}


def test_squad2_scores_by_hand() -> None:
    report = score_squad2(EXAMPLES, PREDICTIONS)
    assert list(report.scores.items()) == [
        ("exact", 50.0),
        ("f1", 100 * (2 * 0.5 / 1.5 + 2) / 4),
        ("total", 4),
        ("HasAns_exact", 50.0),
        ("HasAns_f1", 100 * (2 * 0.5 / 1.5 + 1) / 2),
        ("HasAns_total", 2),
        ("NoAns_exact", 50.0),
        ("NoAns_f1", 50.0),
        ("NoAns_total", 2),
    ]
    assert set(report.intervals) == {"exact", "f1"}
    for key, (low, high) in report.intervals.items():
        assert 0 <= low < report.scores[key] < high <= 100
    assert score_squad2(EXAMPLES, PREDICTIONS, resamples=0).intervals == {}


def test_squad2_abstains_above_the_threshold_only() -> None:
    probabilities = {"4": 0.9, "3": 0.5, "1": 0.2, "2": 0.1}
    at_half = score_squad2(EXAMPLES, PREDICTIONS, probabilities, 0.5).scores
    assert (at_half["HasAns_exact"], at_half["NoAns_exact"]) == (50, 100)
    below = score_squad2(EXAMPLES, PREDICTIONS, probabilities, 0.49).scores
    assert (below["HasAns_exact"], below["NoAns_exact"]) == (0, 100)


def test_squad2_finds_the_best_threshold_by_hand() -> None:
    # From 2 (all abstain) in rising probability: "2" stays at 2, "1" adds 0 or 2/3, "3" adds 1, "4" takes 1.
    probabilities = {"4": 0.9, "3": 0.5, "1": 0.2, "2": 0.1}
    scores = score_squad2(EXAMPLES, PREDICTIONS, probabilities).scores
    assert list(scores)[-4:] == ["best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"]
    assert (scores["best_exact"], scores["best_exact_thresh"]) == (75, 0.5)
    assert (scores["best_f1"], scores["best_f1_thresh"]) == (100 * (2 + 2 * 0.5 / 1.5 + 1) / 4, 0.5)


def test_squad2_ties_keep_the_order_of_the_probability_file() -> None:
    examples = [question("no"), question("yes", "dog")]
    predictions = {"no": "cat", "yes": "dog"}
    wrong_first = score_squad2(examples, predictions, {"no": 0.3, "yes": 0.3}).scores
    right_first = score_squad2(examples, predictions, {"yes": 0.3, "no": 0.3}).scores
    assert (wrong_first["best_exact"], wrong_first["best_exact_thresh"]) == (50, 0.0)
    assert (right_first["best_exact"], right_first["best_exact_thresh"]) == (100, 0.3)


def test_squad2_leaves_out_the_parts_without_questions() -> None:
    assert list(score_squad2(EXAMPLES[:1], {"1": "cat"}).scores)[3:] == ["HasAns_exact", "HasAns_f1", "HasAns_total"]
    assert list(score_squad2(EXAMPLES[1:2], {"2": ""}).scores)[3:] == ["NoAns_exact", "NoAns_f1", "NoAns_total"]


def test_squad2_adds_in_the_order_of_the_dataset() -> None:
    # 0.1 + ... differs by rounding from a compensated sum, which is what sum() does from Python 3.12 on.
    words = [f"w{number}" for number in range(19)]
    examples = [question(str(number), " ".join(words)) for number in range(30)]
    predictions = dict.fromkeys((example.id for example in examples), "w0")
    one, total = token_f1([" ".join(words)], "w0"), 0.0
    for _ in examples:
        total += one
    assert total != math.fsum([one] * 30)
    assert score_squad2(examples, predictions, resamples=0).scores["f1"] == 100.0 * total / 30


def test_squad2_refuses_missing_predictions_with_three_ids_and_the_count() -> None:
    with pytest.raises(DatasetError, match=r"predictions: 4 \('1', '2', '3', …\) of 4 missing"):
        score_squad2(EXAMPLES, {})
    with pytest.raises(DatasetError, match=r"predictions: 1 \('4'\) of 4 missing"):
        score_squad2(EXAMPLES, {"1": "", "2": "", "3": ""})


def test_squad2_refuses_unknown_predictions() -> None:
    with pytest.raises(DatasetError, match=r"1 \('x'\) not in the dataset"):
        score_squad2(EXAMPLES, PREDICTIONS | {"x": "cat"})


def test_squad2_allowing_missing_scores_the_predicted_questions() -> None:
    report = score_squad2(EXAMPLES, {"3": "dog", "4": "horse", "x": "cat"}, allow_missing=True)
    assert report.scores["exact"] == 50
    assert [report.scores[key] for key in ("total", "HasAns_total", "NoAns_total")] == [2, 1, 1]
    assert (report.signature["n"], report.signature["missing"]) == (2, 2)
    with pytest.raises(DatasetError, match="none is for a question of the dataset"):
        score_squad2(EXAMPLES, {"x": "cat"}, allow_missing=True)


def test_squad2_refuses_missing_probabilities_and_ignores_unknown_ones() -> None:
    with pytest.raises(DatasetError, match=r"no-answer probabilities: 3 \('2', '3', '4'\) of 4 missing"):
        score_squad2(EXAMPLES, PREDICTIONS, {"1": 0.5})
    report = score_squad2(EXAMPLES, PREDICTIONS, dict.fromkeys([*PREDICTIONS, "x"], 0.5))
    assert report.scores["total"] == 4


def test_squad2_refuses_input_that_cannot_be_scored() -> None:
    with pytest.raises(DatasetError, match="no questions"):
        score_squad2([], {})
    with pytest.raises(DatasetError, match="1 question ids occur twice"):
        score_squad2([EXAMPLES[0], EXAMPLES[0]], {"1": ""})
    with pytest.raises(InputError, match="na_threshold"):
        score_squad2(EXAMPLES, PREDICTIONS, na_threshold=math.nan)


def test_squad1_scores_by_hand_and_counts_missing_as_zero() -> None:
    examples = [question("1", "red cat", "cat"), question("2", "red cat"), question("3", "dog")]
    report = score_squad1(examples, {"1": "a cat", "2": "cat", "x": "horse"})
    f1 = 100 * (1 + 2 * 0.5 / 1.5) / 3
    assert list(report.scores.items()) == [("exact", 100 / 3), ("f1", f1), ("total", 3)]
    assert (report.signature["n"], report.signature["missing"]) == (3, 1)
    with pytest.raises(DatasetError, match=r"1 \('3'\) of 3 missing"):
        score_squad1(examples, {"1": "cat", "2": "cat"}, allow_missing=False)


def test_squad1_gives_empty_texts_an_exact_match_without_f1() -> None:
    scores = score_squad1([question("1", "the", "cat")], {"1": "!"}).scores
    assert (scores["exact"], scores["f1"]) == (100, 0)


def test_squad1_refuses_questions_without_gold() -> None:
    with pytest.raises(DatasetError, match="question '2': it has no gold answer"):
        score_squad1(EXAMPLES, PREDICTIONS)


def test_squad_grades_are_what_reports_are_made_of() -> None:
    assert grade_squad2(EXAMPLES, PREDICTIONS) == ([0, 1, 1, 0], [2 * 0.5 / 1.5, 1, 1, 0])
    answerable = [EXAMPLES[0], EXAMPLES[2]]
    assert grade_squad1(answerable, {"1": "the cat"}) == ([0, 0], [2 * 0.5 / 1.5, 0])
    with pytest.raises(DatasetError, match="question '2': it has no gold answer"):
        grade_squad1(EXAMPLES, PREDICTIONS)


def test_squad_compares_each_question_by_its_own_regime() -> None:
    examples = [question("de", "der Hund"), question("es", "el gato"), question("en", "the dog")]
    predictions = {"de": "Hund", "es": "gato", "en": "der dog"}
    regimes = {language: mlqa(language) for language in predictions}
    for score in (score_squad1, score_squad2):
        report = score(examples, predictions, regime=regimes)
        assert report.scores["exact"] == pytest.approx(200 / 3)
        assert report.signature["normaliser"] == "mlqa-v1-de+mlqa-v1-es+mlqa-v1-en"


def test_squad_names_regimes_by_the_script_they_follow() -> None:
    assert normaliser_name(SQUAD) == "squad-v2-official"
    assert normaliser_name({"1": SQUAD, "2": JSQUAD, "3": SQUAD}, "squad-v1-official") == "squad-v1-official+jsquad-v1"


def test_squad_matches_predictions_under_the_name_given() -> None:
    assert match_predictions(EXAMPLES, {"3": 0, "x": 0}, allow_missing=True) == ([EXAMPLES[2]], 3)
    assert match_predictions(EXAMPLES, PREDICTIONS) == (EXAMPLES, 0)
    with pytest.raises(DatasetError, match=r"b\.json: 3 \('1', '2', '4'\) of 4 missing"):
        match_predictions(EXAMPLES, {"3": 0, "x": 0}, what="b.json")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "threshold"), [("plain", None), ("with_na_probs", 1.0), ("with_na_probs_threshold_0.5", 0.5)]
)
def test_squad2_equals_the_official_figures(shared: Path, case: str, threshold: float | None) -> None:
    dataset = json.loads((shared / "data/squad/dev-v2.0.json").read_bytes())
    examples = [
        question(record["id"], *(answer["text"] for answer in record["answers"]))
        for article in dataset["data"]
        for paragraph in article["paragraphs"]
        for record in paragraph["qas"]
    ]
    fixtures = shared / "fixtures"
    predictions = json.loads(gzip.decompress((fixtures / "squad2-predictions.json.gz").read_bytes()))
    probabilities = json.loads(gzip.decompress((fixtures / "squad2-na-probs.json.gz").read_bytes()))
    expected = json.loads((fixtures / "squad2-expected.json").read_bytes())[case]
    if threshold is None:
        report = score_squad2(examples, predictions)
    else:
        report = score_squad2(examples, predictions, probabilities, threshold)
    assert list(report.scores.items()) == list(expected.items())
    for key, (low, high) in report.intervals.items():
        assert low < expected[key] < high < low + 2


@pytest.mark.shared
def test_squad_pairs_equal_the_official_functions(shared: Path) -> None:
    lines = (shared / "fixtures/answer-pairs.jsonl").read_text(encoding="utf-8").split("\n")
    pairs = [json.loads(line) for line in lines if line]
    ours = [
        [exact_match([pair["gold"]], pair["prediction"]), token_f1([pair["gold"]], pair["prediction"])]
        for pair in pairs
    ]
    assert len(pairs) == 1184
    assert ours == [pair["squad2"] for pair in pairs]
