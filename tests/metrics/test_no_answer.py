import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError
from polyspan.metrics.no_answer import NoAnswerScores, no_answer_scores, prior_weights, threshold_table
from polyspan.metrics.squad import score_squad2
from polyspan.types import GoldAnswer, QAExample

shares = st.integers(0, 4).map(lambda value: value / 4)
rows_of = st.tuples(st.integers(-3, 3), st.booleans(), shares, shares, st.integers(0, 3))
tables = st.lists(rows_of, min_size=1).filter(lambda rows: any(row[-1] for row in rows))


def test_no_answer_prior_weights_by_hand() -> None:
    weights = prior_weights([True, False, False, False], 0.5)
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert prior_weights([True, False], 0.0).tolist() == [0, 2]
    assert prior_weights([True, True], 1.0).tolist() == [1, 1]


@given(st.lists(st.booleans(), min_size=2).filter(lambda rows: len(set(rows)) == 2), st.floats(0, 1))
def test_no_answer_prior_weights_give_the_prior_and_keep_the_total(unanswerable: list[bool], prior: float) -> None:
    weights = prior_weights(unanswerable, prior)
    assert weights[np.array(unanswerable)].sum() == pytest.approx(prior * len(unanswerable))
    assert weights.sum() == pytest.approx(len(unanswerable))
    assert len(np.unique(weights)) <= 2


def test_no_answer_prior_of_the_sample_weighs_all_alike() -> None:
    assert prior_weights([True, False, False, False], 0.25).tolist() == pytest.approx([1] * 4)


def test_no_answer_prior_weights_refuse_what_cannot_be_weighed() -> None:
    with pytest.raises(InputError, match=r"prior: 0.5 asks for unanswerable questions, and there is none"):
        prior_weights([False], 0.5)
    with pytest.raises(InputError, match=r"prior: 0.5 asks for answerable questions, and there is none"):
        prior_weights([True], 0.5)
    for prior in (-0.1, 50, math.nan):
        with pytest.raises(InputError, match="prior: expected a share from 0 to 1"):
            prior_weights([True, False], prior)
    with pytest.raises(InputError, match="unanswerable: expected a non-empty list"):
        prior_weights([], 0.5)


def test_no_answer_scores_by_hand() -> None:
    abstained, unanswerable = [True, True, True, False, False], [True, True, False, True, False]
    assert no_answer_scores(abstained, unanswerable) == NoAnswerScores(2 / 3, 2 / 3, 2 / 3)
    scores = no_answer_scores(abstained, unanswerable, [1, 1, 2, 0, 7])
    assert (scores.precision, scores.recall, scores.f1) == (2 / 4, 1, 2 * 2 / (4 + 2))


@pytest.mark.parametrize(("abstained", "unanswerable"), [([False], [True]), ([True], [False]), ([False], [False])])
def test_no_answer_scores_without_a_hit_are_nothing(abstained: list[bool], unanswerable: list[bool]) -> None:
    assert no_answer_scores(abstained, unanswerable) == NoAnswerScores(0, 0, 0)


@given(tables)
def test_no_answer_f1_is_the_harmonic_mean_and_weights_are_repetitions(
    rows: list[tuple[int, bool, float, float, int]],
) -> None:
    margin, unanswerable, _, _, weights = (np.array(column) for column in zip(*rows, strict=True))
    scores = no_answer_scores(margin > 0, unanswerable, weights)
    if scores.f1:
        assert scores.f1 == pytest.approx(2 / (1 / scores.precision + 1 / scores.recall))
    assert scores == no_answer_scores((margin > 0).repeat(weights), unanswerable.repeat(weights))


def test_no_answer_threshold_table_by_hand() -> None:
    margin, unanswerable = [-2.0, -1.0, 1.0, 3.0], [False, True, False, True]
    table = threshold_table(margin, unanswerable, [1, 0, 0, 0], [1, 0, 0.5, 0], [-math.inf, -1.0, 0.0, 1.0, math.inf])
    assert {key: column.tolist() for key, column in table.items()} == {
        "threshold": [-math.inf, -1, 0, 1, math.inf],
        "exact": [50, 50, 50, 50, 25],
        "f1": [50, 50, 50, 62.5, 37.5],
        "HasAns_exact": [0, 50, 50, 50, 50],
        "HasAns_f1": [0, 50, 50, 75, 75],
        "NoAns_exact": [100, 50, 50, 50, 0],
        "NoAns_f1": [100, 50, 50, 50, 0],
        "abstained": [100, 50, 50, 25, 0],
    }


def test_no_answer_threshold_table_leaves_out_the_parts_without_questions() -> None:
    whole, answerable = ["threshold", "exact", "f1"], ["HasAns_exact", "HasAns_f1"]
    assert list(threshold_table([0.0], [False], [1], [1], [0])) == [*whole, *answerable, "abstained"]
    weighted = threshold_table([0.0, 0.0], [False, True], [1, 0], [1, 0], [0], prior_weights([False, True], 0.0))
    assert list(weighted) == [*whole, *answerable, "abstained"]
    assert weighted["exact"].tolist() == [100]


def test_no_answer_threshold_table_equals_the_official_scores() -> None:
    generator = np.random.default_rng(0)
    texts = ["red cat", "the cat", "dog", "the"]
    examples = [
        QAExample(str(row), "?", "", (GoldAnswer(str(generator.choice(texts[:3])), 0),) if row % 3 else ())
        for row in range(60)
    ]
    predictions = {example.id: str(generator.choice(texts)) for example in examples}
    margins = {example.id: float(generator.integers(-5, 5)) for example in examples}
    unabstained = [score_squad2([each], predictions, allow_missing=True, resamples=0).scores for each in examples]
    table = threshold_table(
        list(margins.values()),
        [not example.answers for example in examples],
        [scores["exact"] / 100 for scores in unabstained],
        [scores["f1"] / 100 for scores in unabstained],
        range(-6, 6),
    )
    for row, threshold in enumerate(range(-6, 6)):
        official = score_squad2(examples, predictions, margins, threshold, resamples=0).scores
        for key in ("exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"):
            assert table[key][row] == pytest.approx(official[key]), (threshold, key)


@given(tables)
def test_no_answer_threshold_table_counts_a_weight_as_so_many_questions(
    rows: list[tuple[int, bool, float, float, int]],
) -> None:
    *columns, weights = (np.array(column) for column in zip(*rows, strict=True))
    margin, unanswerable, exact, f1 = columns
    table = threshold_table(margin, unanswerable, exact, f1, range(-4, 5), weights)
    margin, unanswerable, exact, f1 = (column.repeat(weights) for column in columns)
    repeated = threshold_table(margin, unanswerable, exact, f1, range(-4, 5))
    assert table.keys() == repeated.keys()
    for key, column in table.items():
        assert column == pytest.approx(repeated[key]), key
    assert (np.diff(table["abstained"]) <= 0).all()


def test_no_answer_lists_are_refused_by_name_and_place() -> None:
    with pytest.raises(InputError, match=r"null_margin\[0\]: expected a number from -inf to inf, got nan"):
        threshold_table([math.nan], [True], [0], [0], [0])
    with pytest.raises(InputError, match=r"f1\[0\]: expected a number from 0 to 1, got 50"):
        threshold_table([0.0], [True], [0], [50], [0])
    with pytest.raises(InputError, match="exact: expected 1 values, one for each of null_margin, got 2"):
        threshold_table([0.0], [True], [0, 1], [0], [0])
    with pytest.raises(InputError, match=r"thresholds\[1\]"):
        threshold_table([0.0], [True], [0], [0], [0, math.nan])
    with pytest.raises(InputError, match="unanswerable: expected 2 values, one for each of abstained, got 1"):
        no_answer_scores([True, False], [True])
