import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError
from polyspan.metrics.retrieval import ndcg_at, recall_at, reciprocal_rank

grades = st.integers(0, 3)
rankings = st.integers(1, 8).flatmap(
    lambda ranks: st.lists(st.lists(grades, min_size=ranks, max_size=ranks), min_size=1, max_size=5)
)
cut_offs = st.integers(1, 10)


def test_retrieval_by_hand() -> None:
    gains = [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert recall_at(gains, 1).tolist() == [0, 1, 0, 0]
    assert recall_at(gains, 2).tolist() == [1, 1, 0, 0]
    assert recall_at(gains, 9).tolist() == [1, 1, 1, 0]
    assert reciprocal_rank(gains, 9).tolist() == [1 / 2, 1, 1 / 4, 0]
    assert reciprocal_rank(gains, 3).tolist() == [1 / 2, 1, 0, 0]


def test_retrieval_binary_ndcg_by_hand() -> None:
    gains, ideal = [[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], [[1, 1], [1, 1], [0, 1], [0, 0]]
    both = 1 + 1 / math.log2(3)
    expected = [(1 / math.log2(3) + 1 / math.log2(5)) / both, 1 / both, 1 / math.log2(5), 0]
    assert ndcg_at(gains, ideal, 10) == pytest.approx(expected)
    assert ndcg_at(gains, ideal, 1).tolist() == [0, 1, 0, 0]


def test_retrieval_graded_ndcg_by_hand() -> None:
    # The example that encyclopaedias give: six ranked documents, and two more of grades 3 and 2 that were not found.
    (found,) = ndcg_at([[3, 2, 3, 0, 1, 2]], [[3, 2, 3, 0, 1, 2, 3, 2]], 6)
    assert found == pytest.approx(6.861 / 8.740, abs=1e-4)
    assert ndcg_at([[3, 2, 3, 0, 1, 2]], [[3, 2, 3, 0, 1, 2]], 6) == pytest.approx([6.86113 / 7.14100], abs=1e-5)


@given(rankings, cut_offs)
def test_retrieval_figures_equal_their_definitions(gains: list[list[int]], k: int) -> None:
    for row, hit, rank, ndcg in zip(
        gains, recall_at(gains, k), reciprocal_rank(gains, k), ndcg_at(gains, gains, k), strict=True
    ):
        places = [place for place, gain in enumerate(row[:k], 1) if gain]
        assert hit == bool(places)
        assert rank == (1 / places[0] if places else 0)
        best = sum(gain / math.log2(place + 1) for place, gain in enumerate(sorted(row, reverse=True)[:k], 1))
        own = sum(gain / math.log2(place + 1) for place, gain in enumerate(row[:k], 1))
        assert ndcg == pytest.approx(own / best if best else 0)
        assert 0 <= ndcg <= 1 + 1e-12


@given(rankings, cut_offs)
def test_retrieval_hits_only_grow_with_the_cut_off(gains: list[list[int]], k: int) -> None:
    assert (recall_at(gains, k) <= recall_at(gains, k + 1)).all()
    assert (reciprocal_rank(gains, k) <= reciprocal_rank(gains, k + 1)).all()
    assert (reciprocal_rank(gains, k) <= recall_at(gains, k)).all()


@given(rankings, cut_offs)
def test_retrieval_the_best_order_has_an_ndcg_of_one(gains: list[list[int]], k: int) -> None:
    best = [sorted(row, reverse=True) for row in gains]
    assert ndcg_at(best, gains, k) == pytest.approx([float(any(row)) for row in gains])
    assert ndcg_at(np.multiply(gains, 7), np.multiply(best, 7), k) == pytest.approx(ndcg_at(gains, best, k))


@given(rankings, cut_offs, st.integers(0, 6))
def test_retrieval_no_figure_falls_when_a_better_passage_moves_up(gains: list[list[int]], k: int, place: int) -> None:
    better = [row.copy() for row in gains]
    for row in better:
        row[place : place + 2] = sorted(row[place : place + 2], reverse=True)
    assert (recall_at(better, k) >= recall_at(gains, k)).all()
    assert (reciprocal_rank(better, k) >= reciprocal_rank(gains, k)).all()
    assert (ndcg_at(better, gains, k) >= ndcg_at(gains, gains, k) - 1e-12).all()


@given(rankings, cut_offs, st.integers(0, 3))
def test_retrieval_ranks_that_hold_nothing_change_nothing(gains: list[list[int]], k: int, more: int) -> None:
    padded = [[*row, *[0] * more] for row in gains]
    assert recall_at(padded, k).tolist() == recall_at(gains, k).tolist()
    assert reciprocal_rank(padded, k).tolist() == reciprocal_rank(gains, k).tolist()
    assert ndcg_at(padded, gains, k) == pytest.approx(ndcg_at(gains, padded, k))


def test_retrieval_of_no_ranks_is_nothing() -> None:
    none = np.empty((2, 0))
    for figures in (recall_at(none, 5), reciprocal_rank(none, 5), ndcg_at(none, [[1.0], [1.0]], 5)):
        assert figures.tolist() == [0, 0]


@pytest.mark.parametrize("gains", [[], 1.0, [1.0, 0.0], [[1], [0, 1]], [["a"]], [[[1.0]]]])
def test_retrieval_refuses_what_is_no_ranking(gains: object) -> None:
    for figure in (recall_at, reciprocal_rank):
        with pytest.raises(InputError, match="gains: expected a row of numbers for each question"):
            figure(gains, 1)  # type: ignore[arg-type] # what it refuses


@pytest.mark.parametrize("gain", [-1.0, math.nan, math.inf])
def test_retrieval_refuses_what_is_no_gain(gain: float) -> None:
    with pytest.raises(InputError, match=r"gains\[1, 0\]: expected a finite gain of 0 or more"):
        recall_at([[0.0], [gain]], 1)
    with pytest.raises(InputError, match=r"ideal\[0, 1\]: expected a finite gain of 0 or more"):
        ndcg_at([[0.0]], [[1.0, gain]], 1)


def test_retrieval_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="k: expected a cut-off of at least 1, got 0"):
        reciprocal_rank([[1.0]], 0)
    with pytest.raises(InputError, match="ideal: expected 1 rows, one for each of gains, got 2"):
        ndcg_at([[1.0]], [[1.0], [1.0]], 1)
    with pytest.raises(InputError, match=r"gains\[1\]: the ranked passages are worth more than all that ideal names"):
        ndcg_at([[1.0, 0.0], [1.0, 1.0]], [[1.0], [1.0]], 2)
