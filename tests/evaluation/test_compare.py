import pytest

from polyspan.errors import DatasetError
from polyspan.evaluation.compare import ChangedQuestion, compare
from polyspan.evaluation.reports import Questions
from polyspan.types import GoldAnswer, QAExample


def question(identifier: str, *answers: str) -> QAExample:
    gold = tuple(GoldAnswer(answer, 0) for answer in answers)
    return QAExample(identifier, f"question {identifier}", "context", gold, is_impossible=not gold)


QUESTIONS = Questions(
    [question("1", "red cat", "red cat", "cat"), question("2"), question("3", "dog"), question("4", "cow")],
    [""] * 4,
    {"dataset": "four.json"},
)
A = {"1": "the cat", "2": "", "3": "red", "4": "cow"}
B = {"1": "red", "2": "mouse", "3": "dog", "4": "cow"}


def test_compare_by_hand() -> None:
    found = compare("squad", QUESTIONS, A, B)
    assert found.a == {"exact": 75, "f1": 75}
    assert found.b == {"exact": 50, "f1": pytest.approx(100 * (2 / 3 + 2) / 4)}
    assert found.difference["exact"].difference == -25
    assert found.difference["f1"].difference == pytest.approx(found.b["f1"] - 75)
    for one in found.difference.values():
        assert one.low <= one.difference <= one.high
        assert 0 < one.p_value <= 1
    assert (found.mcnemar.only_a, found.mcnemar.only_b, found.mcnemar.p_value) == (2, 1, 1)
    assert found.right_to_wrong == (
        ChangedQuestion("1", "question 1", ("red cat", "cat"), "the cat", "red"),
        ChangedQuestion("2", "question 2", (), "", "mouse"),
    )
    assert found.wrong_to_right == (ChangedQuestion("3", "question 3", ("dog",), "red", "dog"),)
    assert {"metric": "paired-squad2", "normaliser": "squad-v2-official", "dataset": "four.json", "n": 4}.items() <= (
        found.signature.items()
    )


def test_compare_of_the_same_predictions_finds_nothing() -> None:
    found = compare("squad", QUESTIONS, A, A)
    assert [(one.difference, one.low, one.high, one.p_value) for one in found.difference.values()] == [(0, 0, 0, 1)] * 2
    assert found.right_to_wrong == found.wrong_to_right == ()


def test_compare_turned_round_turns_the_signs() -> None:
    one, other = compare("squad", QUESTIONS, A, B), compare("squad", QUESTIONS, B, A)
    assert one.difference["f1"].difference == -other.difference["f1"].difference
    assert one.difference["f1"].p_value == other.difference["f1"].p_value
    assert [changed.id for changed in one.right_to_wrong] == [changed.id for changed in other.wrong_to_right]


def test_compare_by_squad1_leaves_unanswerable_questions_out() -> None:
    answered = {key: text for key, text in A.items() if key != "2"}
    found = compare("squad1", QUESTIONS, answered, B)
    assert (found.signature["n"], found.signature["unanswerable_left_out"]) == (3, 1)
    assert found.signature["normaliser"] == "squad-v1-official"
    assert [changed.id for changed in found.right_to_wrong] == ["1"]


def test_compare_names_the_system_with_bad_ids() -> None:
    part = {key: B[key] for key in ("1", "3")}
    with pytest.raises(DatasetError, match=r"b\.json: 2 \('2', '4'\) of 4 missing"):
        compare("squad", QUESTIONS, A, part, names=("a.json", "b.json"))
    with pytest.raises(DatasetError, match=r"system A: 1 \('x'\) not in the dataset"):
        compare("squad", QUESTIONS, A | {"x": ""}, part)
    found = compare("squad", QUESTIONS, A | {"x": ""}, part, allow_missing=True)
    assert (found.signature["n"], found.a["exact"]) == (2, 50)
    with pytest.raises(DatasetError, match="no question has a prediction in both"):
        compare("squad", QUESTIONS, {"2": ""}, part, allow_missing=True)
