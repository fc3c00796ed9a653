from hypothesis import given
from hypothesis import strategies as st

from polyspan.datasets.shared import MIN_CONTAINED, normalise_context, shared_contexts

LONG = "The harbour of Tessin was built in 1888. It has two piers, of which the northern one carries a lamp. "
texts = st.text(alphabet="ab ", max_size=30)


def test_shared_finds_equal_contexts_whatever_their_case_and_spaces() -> None:
    shared = shared_contexts(["Two  piers\r\n", "Three piers"], {"two PIERS": "dev.json: data[0]"})
    assert shared == {"Two  piers\r\n": "the context is that of dev.json: data[0]"}


def test_shared_finds_long_contexts_in_longer_ones() -> None:
    longer, other = f"Tessin. {LONG.upper()}\nThe end.", LONG[:-1] * 2
    shared = shared_contexts([longer, LONG[:60]], {LONG: "a", other: "b"})
    assert shared == {longer: "the context contains that of a"}
    assert shared_contexts([LONG], {longer: "a"}) == {LONG: "the context is contained in that of a"}


def test_shared_leaves_short_contexts_in_longer_ones() -> None:
    just, short = "x" * MIN_CONTAINED, "y" * (MIN_CONTAINED - 1)
    shared = shared_contexts([f"a{just}", f"a{short}"], {just: "p", short: "p"})
    assert list(shared) == [f"a{just}"]


@given(st.lists(texts, max_size=5), st.lists(texts, max_size=5), st.integers(0, 3))
def test_shared_agrees_with_comparing_all(ours: list[str], theirs: list[str], copies: int) -> None:
    padding = "ab" * (MIN_CONTAINED // 2 * copies)
    ours, theirs = [padding + text for text in ours], [padding + text for text in theirs]
    expected = set()
    for our, their in ((our, their) for our in ours for their in theirs):
        one, two = normalise_context(our), normalise_context(their)
        long_enough = min(len(one), len(two)) >= MIN_CONTAINED
        if one == two or (long_enough and (one in two or two in one)):
            expected.add(our)
    assert set(shared_contexts(ours, dict.fromkeys(theirs, "p"))) == expected
