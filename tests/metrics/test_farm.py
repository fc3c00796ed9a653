import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import DatasetError, InputError
from polyspan.metrics.farm import NO_ANSWER, TokenCandidate, farm_candidates, rank_farm, score_farm
from polyspan.types import Window

spans = st.just(NO_ANSWER) | st.tuples(st.integers(1, 9), st.integers(0, 5)).map(lambda one: (one[0], one[0] + one[1]))


def window(context_start: int, context_tokens: int) -> Window:
    ids = np.zeros(context_start + context_tokens + 1, np.int32)
    return Window(0, ids, ids, context_start, np.zeros((context_tokens, 2), np.int32), (0, context_tokens))


def share(logits: list[float], position: int) -> float:
    return math.exp(logits[position]) / sum(map(math.exp, logits))


def test_farm_scores_positions_by_hand() -> None:
    labels = [[(3, 5)], [NO_ANSWER], [(10, 11), (20, 20)]]
    predictions = [[(4, 6), NO_ANSWER], [NO_ANSWER, (0, 2)], [(1, 2), (20, 22)]]
    report = score_farm(labels, predictions, {"dataset": "dev.json"})
    assert list(report.scores.items()) == [
        ("exact", pytest.approx(100 / 3)),
        ("f1", pytest.approx(100 * (2 / 3 + 1 + 0) / 3)),
        ("top_n_accuracy", 100),
        ("total", 3),
        ("HasAns_exact", 0),
        ("HasAns_f1", pytest.approx(100 * (2 / 3) / 2)),
        ("HasAns_top_n_accuracy", 100),
        ("HasAns_total", 2),
        ("NoAns_exact", 100),
        ("NoAns_f1", 100),
        ("NoAns_top_n_accuracy", 100),
        ("NoAns_total", 1),
    ]
    signature = {key: value for key, value in report.signature.items() if key != "polyspan"}
    assert signature == {"metric": "farm", "normaliser": "token-positions", "dataset": "dev.json", "n": 3, "top_n": 2}


def test_farm_leaves_out_the_parts_without_questions() -> None:
    assert list(score_farm([[(1, 2)]], [[(1, 2)]]).scores)[-1] == "HasAns_total"


def test_farm_takes_the_first_token_for_no_answer() -> None:
    assert score_farm([[(0, 0)]], [[(0, 3)]]).scores["f1"] == 100
    assert score_farm([[(0, 1)]], [[(0, 3)]]).scores["f1"] == pytest.approx(100 * 2 / 3)


@given(spans, spans)
def test_farm_f1_is_symmetric_bounded_and_not_below_exact(one: tuple[int, int], other: tuple[int, int]) -> None:
    scores = score_farm([[one]], [[other]]).scores
    assert scores["f1"] == score_farm([[other]], [[one]]).scores["f1"]
    assert scores["exact"] <= scores["f1"] <= scores["top_n_accuracy"] == 100 * (scores["f1"] > 0)


def test_farm_refuses_questions_that_cannot_be_scored() -> None:
    with pytest.raises(DatasetError, match="1 questions with labels and 0 with predictions"):
        score_farm([[NO_ANSWER]], [])
    with pytest.raises(DatasetError, match="at least one"):
        score_farm([], [])
    with pytest.raises(DatasetError, match="question 1 has 0 labels and 1 predictions"):
        score_farm([[NO_ANSWER], []], [[NO_ANSWER], [(1, 2)]])


def test_farm_finds_a_windows_candidates_by_hand() -> None:
    start, end = [1.0, 9.0, 0.0, 2.0, 0.0, 9.0], [1.0, 9.0, 0.0, 0.0, 3.0, 9.0]
    arrays = np.array(start, np.float32), np.array(end, np.float32)
    found = farm_candidates(window(2, 3), 10, *arrays, top_k=2)
    assert [(one.span, one.score) for one in found] == [((11, 12), 5), ((10, 12), 3), (NO_ANSWER, 2)]
    shares = [(share(start, one) + share(end, other)) / 2 for one, other in ((3, 4), (2, 4), (0, 0))]
    assert [one.confidence for one in found] == pytest.approx(shares, rel=1e-5)
    assert farm_candidates(window(2, 3), 10, *arrays) == [found[0], found[2]]


def test_farm_refuses_windows_without_candidates() -> None:
    logits = np.zeros(3, np.float32)
    with pytest.raises(InputError, match="got 0 and 1"):
        farm_candidates(window(2, 0), 0, logits, logits)
    with pytest.raises(InputError, match="got 1 and 0"):
        farm_candidates(window(1, 1), 0, logits, logits, top_k=0)
    with pytest.raises(InputError, match="at least one window with candidates"):
        rank_farm([], "score")


def test_farm_ranks_no_answer_by_its_smallest_lead_and_haystack_by_a_sigmoid() -> None:
    weak, strong, other = (
        TokenCandidate((0, 1), 5, 0.6),
        TokenCandidate((0, 1), 6, 0.2),
        TokenCandidate((7, 8), 4, 0.8),
    )
    windows = [[weak, TokenCandidate(NO_ANSWER, 4, 0.3)], [strong, other, TokenCandidate(NO_ANSWER, 9, 0.7)]]
    by_score, by_confidence = rank_farm(windows, "score"), rank_farm(windows, "confidence")
    no_answer = by_score[1]
    assert (no_answer.span, no_answer.score) == (NO_ANSWER, 6 + min(4 - 5, 9 - 6))
    assert no_answer.confidence == pytest.approx(1 / (1 + math.exp(-5 / 8)))
    assert by_score == [strong, no_answer, other]
    assert by_confidence == [other, no_answer, strong]


def test_farm_bears_huge_logits() -> None:
    logits = np.array([1e6, 0, -1e6], np.float32)
    candidates = farm_candidates(window(1, 1), 0, logits, logits)
    no_answer = rank_farm([candidates], "confidence")[0]
    assert (no_answer.span, no_answer.score, no_answer.confidence) == (NO_ANSWER, 2e6, 1)
