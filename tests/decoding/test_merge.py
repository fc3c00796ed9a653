import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from polyspan.decoding import Candidate, merge_candidates
from polyspan.decoding.merge import overlaps
from polyspan.types import Span


def candidate(context: int, start: int, end: int, margin: float) -> Candidate:
    return Candidate(context, Span(start, end), -margin, margin)


spans = st.tuples(st.integers(0, 20), st.integers(1, 6)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))
candidates = st.lists(
    st.builds(
        lambda context, span, margin: Candidate(context, span, -float(margin), float(margin)),
        st.integers(0, 2),
        spans,
        st.integers(-5, 5),
    ),
    max_size=25,
)
thresholds = st.sampled_from([0.0, 0.01, 0.5, 1.0])


def merge_by_force(given_candidates: list[Candidate], threshold: float, per_context: int) -> list[Candidate]:
    """The rule, said with sets of characters."""
    kept: list[Candidate] = []
    for one in sorted(given_candidates, key=lambda c: (c.null_margin, c.context, c.span.start, c.span.end)):
        own = set(range(one.span.start, one.span.end))
        rivals = [other for other in kept if other.context == one.context]
        clash = False
        for other in rivals:
            theirs = set(range(other.span.start, other.span.end))
            clash |= own == theirs or len(own & theirs) > threshold * min(len(own), len(theirs))
        if not clash and len(rivals) < per_context:
            kept.append(one)
    return kept


@given(given_candidates=candidates, threshold=thresholds, per_context=st.integers(1, 4))
def test_merge_equals_brute_force(given_candidates: list[Candidate], threshold: float, per_context: int) -> None:
    merged = merge_candidates(given_candidates, threshold, per_context)
    assert merged == merge_by_force(given_candidates, threshold, per_context)
    assert [one.null_margin for one in merged] == sorted(one.null_margin for one in merged)
    for one, other in itertools.combinations(merged, 2):
        assert one.context != other.context or not overlaps(one.span, other.span, threshold)


@given(given_candidates=candidates, threshold=thresholds, seed=st.integers(0, 99))
def test_merge_order_does_not_depend_on_input_order(
    given_candidates: list[Candidate], threshold: float, seed: int
) -> None:
    shuffled = given_candidates.copy()
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    assert merge_candidates(iter(shuffled), threshold, 3) == merge_candidates(given_candidates, threshold, 3)


def test_merge_keeps_one_of_a_span_that_two_windows_found() -> None:
    weak, strong = candidate(0, 10, 15, -3.0), candidate(0, 10, 15, -4.0)
    for threshold in (0.0, 0.01, 1.0):
        assert merge_candidates([weak, strong], threshold, 5) == [strong]


def test_merge_keeps_equal_places_of_different_contexts_and_equal_text_at_two_places() -> None:
    given_candidates = [candidate(1, 0, 5, -1.0), candidate(0, 0, 5, -1.0), candidate(0, 30, 35, -2.0)]
    assert merge_candidates(given_candidates, 0.01, 5) == [
        given_candidates[2],
        given_candidates[1],
        given_candidates[0],
    ]


def test_merge_ranks_by_the_lead_over_the_own_window() -> None:
    high_score = Candidate(0, Span(0, 3), raw_score=12.0, null_margin=-1.0)
    high_lead = Candidate(0, Span(9, 12), raw_score=5.0, null_margin=-4.0)
    assert merge_candidates([high_score, high_lead], 0.01, 5) == [high_lead, high_score]


def test_merge_keeps_so_many_of_each_context() -> None:
    given_candidates = [
        candidate(context, 10 * n, 10 * n + 5, -n - context / 10) for context in (0, 1) for n in range(5)
    ]
    merged = merge_candidates(given_candidates, 0.01, 2)
    assert [(one.context, one.span.start) for one in merged] == [(1, 40), (0, 40), (1, 30), (0, 30)]
    assert merge_candidates([], 0.01, 2) == []


def test_merge_lets_no_dropped_candidate_drop_another() -> None:
    best, middle, last = candidate(0, 0, 10, -3.0), candidate(0, 8, 20, -2.0), candidate(0, 18, 25, -1.0)
    assert merge_candidates([best, middle, last], 0.0, 5) == [best, last]
