import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError
from polyspan.types import GoldAnswer, QAExample

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training.unanswerable import SHORTEST_CONTEXT, Unanswerables, make_unanswerable

SENTENCES = (
    "The harbour of Tessin was built in 1888 by its own citizens.",
    "Ada Lovelace wrote the letter on a cold morning in November.",
    "Nobody has ever counted the boats that lie behind the pier.",
    "A bridge of stone and iron leads over the river to the mill.",
)
ALL = Unanswerables(other_paragraph=1.0, removed_sentence=1.0)


def example(identifier: str, context: str, *answers: str, title: str = "Tessin") -> QAExample:
    gold = tuple(GoldAnswer(answer, context.index(answer)) for answer in answers)
    return QAExample(identifier, "Who or when?", context, gold, is_impossible=not gold, title=title)


def made(examples: list[QAExample], shares: Unanswerables, seed: int = 0) -> dict[str, QAExample]:
    found = list(make_unanswerable(examples, shares, seed))
    by_id = {one.id: one for one in found}
    assert len(by_id) == len(found)
    return by_id


def many(count: int) -> list[QAExample]:
    """Each question of a paragraph of its own, which alone holds the answer."""
    return [
        example(str(n), f"{SENTENCES[2]} It was year {1000 + n}. {SENTENCES[3]}", str(1000 + n)) for n in range(count)
    ]


contexts = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4).map(" ".join)
answers = st.sampled_from(["1888", "Ada Lovelace", "boats", "river", "a", "BRIDGE"])


@given(
    examples=st.lists(st.tuples(contexts, answers, st.sampled_from(["Tessin", "", "Ada"])), max_size=6),
    seed=st.integers(0, 9),
)
def test_unanswerable_contexts_hold_no_answer(examples: list[tuple[str, str, str]], seed: int) -> None:
    given_examples = [
        example(str(number), context, *([answer] if answer in context else []), title=title)
        for number, (context, answer, title) in enumerate(examples)
    ]
    by_id = {one.id: one for one in given_examples}
    for identifier, one in made(given_examples, ALL, seed).items():
        source = by_id[identifier.partition("#")[0]]
        assert one.is_impossible
        assert one.answers == ()
        assert (one.question, one.title) == (source.question, source.title)
        assert source.answers
        assert source.answers[0].text.casefold() not in one.context.casefold()
        if identifier.endswith("#other-paragraph"):
            assert one.context in {other.context for other in given_examples if other.title == source.title}
        else:
            assert set(one.context.split()) < set(source.context.split())
            assert len(one.context) >= SHORTEST_CONTEXT


def test_unanswerable_removes_the_answers_sentences() -> None:
    context = " ".join(SENTENCES)
    found = made([example("q", context, "1888", "boats")], Unanswerables(removed_sentence=1.0))
    assert found["q#removed-sentence"].context == f"{SENTENCES[1]} {SENTENCES[3]}"


def test_unanswerable_leaves_out_a_sentence_whose_answer_stands_elsewhere_too() -> None:
    context = f"{' '.join(SENTENCES)} In 1888 it rained."
    assert made([example("q", context, "1888")], Unanswerables(removed_sentence=1.0)) == {}


def test_unanswerable_leaves_out_what_would_be_too_short() -> None:
    assert made([example("q", f"{SENTENCES[0]} It rained.", "1888")], Unanswerables(removed_sentence=1.0)) == {}


def test_unanswerable_takes_paragraphs_of_the_same_article_alone() -> None:
    examples = [example("1", SENTENCES[0], "1888"), example("2", SENTENCES[1], "Ada", title="Letters")]
    assert made(examples, Unanswerables(other_paragraph=1.0)) == {}
    examples += [example("3", SENTENCES[3])]
    found = [made(examples, Unanswerables(other_paragraph=1.0), seed) for seed in range(20)]
    assert {one["1#other-paragraph"].context for one in found if one} == {SENTENCES[3]}


def test_unanswerable_shares_are_kept() -> None:
    found = made(many(1000), Unanswerables(other_paragraph=0.3, removed_sentence=0.1))
    kinds = [identifier.partition("#")[2] for identifier in found]
    assert kinds.count("other-paragraph") == pytest.approx(300, abs=50)
    assert kinds.count("removed-sentence") == pytest.approx(100, abs=30)


def test_unanswerable_depends_on_the_seed_alone() -> None:
    shares = Unanswerables(other_paragraph=0.5, removed_sentence=0.5)
    assert made(many(30), shares) == made(many(30), shares)
    assert made(many(30), shares) != made(many(30), shares, seed=1)
    assert made(many(30), Unanswerables()) == {}


@pytest.mark.parametrize("name", ["other_paragraph", "removed_sentence"])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_unanswerable_refuses_what_is_no_share(name: str, share: float) -> None:
    with pytest.raises(InputError, match=rf"must lie between 0 and 1.*{name}={share}"):
        Unanswerables(**{name: share})
