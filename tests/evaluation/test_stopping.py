from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_scorer import FakeScorer
from polyspan import DatasetError, Document, Reader
from polyspan.backends import NativeSettings
from polyspan.evaluation.stopping import (
    AFTER,
    DOUBT,
    RISKS,
    Trails,
    fit_limit,
    fit_stop,
    follow,
    gather,
    judge_stops,
    stop_times,
)
from polyspan.retrieval import PassageRanking, cut_passages
from polyspan.types import GoldAnswer, QAExample


def drawn(size: int, seed: int = 0) -> Trails:
    """Questions whose best answer changes the rarer the more probable it is, and the later."""
    generator = np.random.default_rng(seed)
    probability = np.sort(generator.random((size, 4)), axis=1)
    last = (generator.random((size, 3)) < 0.3 * (1 - probability[:, :3])).astype(int)
    changes = np.zeros((size, 4), np.bool_)
    changes[:, :3] = np.maximum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    exact = np.where(changes, 0.0, 1.0)
    return Trails(10, probability, changes, np.tile([1.0, 2, 4, 10], (size, 1)), exact, exact, np.arange(size) // 2)


def changed(trails: Trails, limit: float) -> float:
    return float(trails.changes[np.arange(len(trails.context)), stop_times(trails, limit)].mean())


@pytest.mark.parametrize(("size", "enough"), [(298, False), (299, True)])
def test_stopping_needs_299_questions_for_a_risk_of_one_in_a_hundred(size: int, enough: bool) -> None:
    assert (fit_limit(drawn(size), 0.01) is not None) == enough  # 0.99 ** 299 < 0.05


@given(size=st.integers(60, 500), seed=st.integers(0, 50), risk=st.sampled_from(RISKS))
def test_stopping_changes_as_many_as_the_bound_allows(size: int, seed: int, risk: float) -> None:
    trails = drawn(size, seed)
    limit = fit_limit(trails, risk)
    if limit is None:
        assert (1 - risk) ** size > DOUBT
        return
    count = round(size * changed(trails, limit))

    def chance(most: int) -> float:
        return sum(comb(size, k) * risk**k * (1 - risk) ** (size - k) for k in range(most + 1))

    assert chance(count) <= DOUBT < chance(count + 1)
    assert round(size * changed(trails, np.nextafter(limit, 0))) == count + 1


def test_stopping_keeps_the_risk_in_all_but_few_samples() -> None:
    population = drawn(50_000, seed=1)
    risks = [changed(population, fit_limit(drawn(300, seed), 0.05) or 0.0) for seed in range(100)]
    assert np.mean(np.array(risks) > 0.05) <= 2 * DOUBT
    assert np.mean(risks) > 0.02


def test_stopping_fits_the_risks_that_there_are_enough_questions_for() -> None:
    rule = fit_stop(drawn(200))
    assert [risk for risk, _ in rule.limits] == [0.02, 0.05, 0.1]
    assert (rule.passages, rule.after) == (10, AFTER)
    with pytest.raises(DatasetError, match=r"20 questions are too few to tell a risk of 0\.1"):
        fit_stop(drawn(20))


def test_stopping_is_judged_by_limits_from_other_contexts() -> None:
    trails = drawn(2_000)
    reports = judge_stops(trails, {"model": "fake"})
    assert list(reports) == list(RISKS)
    for risk, report in reports.items():
        scores = report.scores
        assert 0 < scores["changed"] <= 100 * risk
        assert scores["exact_loss"] == pytest.approx(scores["changed"])
        assert scores["exact"] == pytest.approx(100 - scores["changed"])
        assert 1 < scores["passages"] < scores["passages_all"] == 10
        assert report.signature["risk"] == risk
    read = [report.scores["passages"] for report in reports.values()]
    assert read == sorted(read, reverse=True)
    blind = trails.at(np.arange(2_000) < 400)
    blind.probability[:200] = 1.0  # of whom the others know nothing
    assert list(judge_stops(drawn(30), {})) == []


def test_stopping_follows_what_is_found_passage_by_passage() -> None:
    texts = ["Rome !", "Rome", *(f"Oslo {number}" for number in range(8))]
    ranking = PassageRanking([one for text in texts for one in cut_passages(Document(text, id=text))])
    reader = Reader(FakeScorer("rome oslo"), NativeSettings(no_answer=True))
    examples = [
        QAExample("a", "find rome", "Rome", (GoldAnswer("Rome", 0),)),
        QAExample("b", "find rome", "Rome", (GoldAnswer("Rome", 0),)),
        QAExample("c", "find paris", "Rome", (), is_impossible=True),
    ]
    followed = list(follow(reader, ranking, examples, 6))
    assert [one.example.id for one in followed] == ["b", "c"]  # of equal questions one
    assert [[one.passages_read for one in trail.readings] for trail in followed] == [[1, 2, 4, 6]] * 2
    trails = gather(followed, 6)
    assert trails.read.tolist() == [[1, 2, 4, 6]] * 2
    assert not trails.changes[0].any()
    assert trails.exact.tolist() == trails.f1.tolist() == [[1] * 4] * 2
    assert trails.context.tolist() == [0, 0]
    assert (trails.probability[0] > trails.probability[1]).all()
