import json
import re
from collections import Counter
from dataclasses import fields, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError
from polyspan.types import GoldAnswer, QAExample

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training import parse_recipe
from polyspan.training.examples import read_examples
from polyspan.training.unanswerable import SHORTEST_CONTEXT, Unanswerables, make_unanswerable

SENTENCES = (
    "The harbour of Tessin was built in 1888 by its own citizens.",
    "Ada Lovelace wrote the letter on a cold morning in November.",
    "Nobody has ever counted the boats that lie behind the pier.",
    "A bridge of stone and iron leads over the river to the mill.",
)
HARBOURS = ["Antwerp", "Bergen", "Cadiz", "Dover", "Exeter", "Faro", "Genoa", "Hull", "Izmir", "Jaffa"]
ALL = Unanswerables(other_paragraph=1.0, removed_sentence=1.0)
RETRIEVED = Unanswerables(retrieved_paragraph=1.0)
SWAPPED = Unanswerables(swapped_entity=1.0)
NEGATED = Unanswerables(negated_question=1.0)
CONTRASTED = Unanswerables(contrasted_word=1.0)
KINDS = [one.name for one in fields(Unanswerables)]
TABLES = list(files("polyspan.training.unanswerable").joinpath("contrasts").iterdir())
HARD = ["retrieved_paragraph", "swapped_entity", "negated_question", "contrasted_word"]


def example(
    identifier: str, context: str, *answers: str, question: str = "Who or when?", title: str = "T"
) -> QAExample:
    gold = tuple(GoldAnswer(answer, context.index(answer)) for answer in answers)
    return QAExample(identifier, question, context, gold, is_impossible=not gold, title=title)


def made(examples: list[QAExample], shares: Unanswerables, seed: int = 0, language: str = "en") -> dict[str, QAExample]:
    found = list(make_unanswerable(examples, shares, seed, language))
    by_id = {one.id: one for one in found}
    assert len(by_id) == len(found)
    return by_id


def many(count: int) -> list[QAExample]:
    """Each question of a paragraph of its own, which alone holds the answer."""
    return [
        example(str(n), f"{SENTENCES[2]} It was year {1000 + n}. {SENTENCES[3]}", str(1000 + n)) for n in range(count)
    ]


def harbours(names: list[str] = HARBOURS) -> list[QAExample]:
    """Two questions on each harbour, which suit every kind but misplaced entities."""
    found = []
    for number, name in enumerate(names):
        year, builder = f"{1810 + 7 * number}", f"Mr {name[0]}. Stone"
        context = f"In {year} the first harbour in {name} was built by {builder}. {SENTENCES[2]} {SENTENCES[3]}"
        questions = {f"When was the first harbour in {name} built?": year, f"Who built it in {year}?": builder}
        found += [
            example(f"{number}-{answer}", context, answer, question=question) for question, answer in questions.items()
        ]
    return found


contexts = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4).map(" ".join)
answers = st.sampled_from(["1888", "Ada Lovelace", "boats", "river", "a", "BRIDGE"])


@given(
    examples=st.lists(st.tuples(contexts, answers, st.sampled_from(["T", "", "Ada"])), max_size=6),
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
    kinds = Counter(identifier.partition("#")[2] for identifier in found)
    assert kinds["other-paragraph"] == pytest.approx(300, abs=50)
    assert kinds["removed-sentence"] == pytest.approx(100, abs=30)


@pytest.mark.parametrize("name", HARD)
def test_unanswerable_shares_of_hard_kinds_are_kept(name: str) -> None:
    several = [
        replace(one, id=f"{one.id}{n}", question=f"{one.question[:-1]}, {n}?") for one in harbours() for n in "abcdefgh"
    ]
    every, some, none = (made(several, Unanswerables(**{name: share})) for share in (1.0, 0.3, 0.0))
    assert len(every) >= len(several) / 2
    assert Counter(identifier.partition("#")[2] for identifier in every) == {name.replace("_", "-"): len(every)}
    assert len(some) == pytest.approx(0.3 * len(every), abs=30)
    assert some.items() <= every.items()
    assert none == {}


def test_unanswerable_depends_on_the_seed_alone() -> None:
    shares = Unanswerables(*[0.5] * len(KINDS))
    assert made(harbours(), shares) == made(harbours(), shares)
    assert made(harbours(), shares) != made(harbours(), shares, seed=1)
    assert made(harbours(), Unanswerables()) == {}


def test_unanswerable_first_two_kinds_are_what_they_ever_were() -> None:
    found = made(many(9), Unanswerables(other_paragraph=0.5, removed_sentence=0.5), seed=7)
    assert [identifier for identifier in found if identifier.endswith("#removed-sentence")] == [
        f"{n}#removed-sentence" for n in (1, 2, 3, 4, 8)
    ]
    years = {identifier: re.findall("year (....)", one.context) for identifier, one in found.items()}
    assert {identifier: year for identifier, year in years.items() if year} == {
        "1#other-paragraph": ["1006"],
        "4#other-paragraph": ["1006"],
        "5#other-paragraph": ["1002"],
        "8#other-paragraph": ["1007"],
    }


@given(seed=st.integers(0, 99), name=st.sampled_from(KINDS))
def test_unanswerable_kinds_leave_each_other_alone(seed: int, name: str) -> None:
    examples = harbours()[:8]
    alone = made(examples, Unanswerables(**{name: 0.6}), seed)
    together = made(examples, Unanswerables(*[0.6] * len(KINDS)), seed)
    assert alone == {key: one for key, one in together.items() if key.endswith(f"#{name.replace('_', '-')}")}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_unanswerable_refuses_what_is_no_share(name: str, share: float) -> None:
    with pytest.raises(InputError, match=rf"must lie between 0 and 1.*{name}={share}"):
        Unanswerables(**{name: share})


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


@given(
    texts=st.lists(st.tuples(contexts, answers, st.sampled_from([" ", "  ", "-", "\n"]), st.booleans()), max_size=8),
    question=st.sampled_from(["Who wrote the letter?", "Where is the harbour of Tessin?", "", "Boats?"]),
)
def test_unanswerable_retrieved_contexts_hold_no_answer_in_any_spelling(
    texts: list[tuple[str, str, str, bool]], question: str
) -> None:
    examples = [
        example(str(number), context, *([answer] if answer in context else []), question=question, title=str(number))
        for number, (context, answer, _, _) in enumerate(texts)
    ]
    for number, (context, _, space, is_loud) in enumerate(texts):
        spelt = context.replace(" ", space)
        examples.append(example(f"other {number}", spelt.upper() if is_loud else spelt))
    for one in made(examples, RETRIEVED).values():
        source = examples[int(one.id.partition("#")[0])]
        assert (one.question, one.answers, one.is_impossible) == (source.question, (), True)
        assert one.context in {other.context for other in examples} - {source.context}
        assert letters(source.answers[0].text) not in letters(one.context)


def test_unanswerable_retrieves_the_best_paragraph_of_any_article() -> None:
    asked = example("q", SENTENCES[0], "1888", question="When was the harbour of Tessin built?", title="Tessin")
    same = example("1", "Tessin lies at the sea.", title="Tessin")
    best = example("2", "The harbour of Tessin was built by its citizens, and nobody knows when.", title="Harbours")
    told = example("3", "When was the harbour of Tessin built? The harbour of Tessin was built in '18 88'.", title="T")
    found = made([asked, same, told, best], RETRIEVED)
    assert {key: one.context for key, one in found.items()} == {"q#retrieved-paragraph": best.context}


def test_unanswerable_retrieves_nothing_that_tells_the_answer_in_part() -> None:
    context = "The notes were written by Ada, Countess of Lovelace. Others printed them."
    asked = example("q", context, "Ada, Countess of Lovelace", question="Who wrote the notes?")
    part = example("1", "Lovelace wrote the notes, as all her notes, who else?")
    free = example("2", "The notes are lost.")
    rest = [example(str(number), f"Nothing of {number}.") for number in range(3, 6)]
    assert made([asked, part, free, *rest], RETRIEVED)["q#retrieved-paragraph"].context == free.context


def test_unanswerable_retrieves_nothing_for_questions_that_do_not_find_their_own_paragraph() -> None:
    crowd = [example(str(number), f"Who did it, {number} asked, when did he do it?") for number in range(12)]
    asked = example("q", SENTENCES[1], "Ada Lovelace", question="Who did it?")
    assert made([*crowd, asked], RETRIEVED) == {}
    assert made([*crowd, replace(asked, question="Who did it one cold November?")], RETRIEVED) != {}


def test_unanswerable_retrieves_nothing_from_a_single_paragraph() -> None:
    assert made([example("q", SENTENCES[0], "1888", question="When was the harbour built?")], RETRIEVED) == {}


def swaps(question: str, context: str, *others: str, answer: str = "the pier") -> set[str]:
    """All that the question becomes, in an article of that paragraph and ``others``."""
    context += f" {SENTENCES[2]}"
    article = [example(str(number), other) for number, other in enumerate((*others, SENTENCES[3]))]
    asked = [example(f"q{number}", context, answer, question=question) for number in range(40)]
    return {one.question for one in made(article + asked, SWAPPED).values()}


@pytest.mark.parametrize(
    ("question", "context", "other", "expected"),
    [
        ("What was in 1888?", "In 1888 it was.", "In 1901, 57, 2,300, 3000 or 05.", {"What was in 1901?"}),
        ("Which 2,300 boats?", "All 2,300 came.", "In 1901, 57, 4,500 or 4 500.", {"Which 4,500 boats?"}),
        ("Which 2 300 boats?", "All 2 300 came.", "In 1901, 57, 4,500 or 4 500.", {"Which 4 500 boats?"}),
        ("Which 25 boats?", "All 25 came.", "Then 57th, 68%, 79 and $91.", {"Which 79 boats?"}),
        ("Which 25% of boats?", "Then 25% came.", "Then 57th, 68%, 79 and $91.", {"Which 68% of boats?"}),
        ("Which boats for $25?", "All for $25.", "Then 57th, 68%, 79 and $91.", {"Which boats for $91?"}),
        ("Which in the 1880s?", "In the 1880s.", "Then 1901, then the 1920s.", {"Which in the 1920s?"}),
        ("What on 12-05?", "It was 12-05 then.", "Also 57 and 68.", set()),
        ("What in 1888-90?", "It was 1888-90.", "Then 1901.", set()),
        ("What was in 1888?", "In 1889 it was.", "In 1901.", set()),
        ("What was in 1888?", "In 1888 and 1901.", "In 1901.", set()),
        ("Was it between 1888 and 1901?", "In 1888.", "In 1901.", set()),
        ("What in ١٨٨٨?", "It was ١٨٨٨ then.", "Then ١٩٠١ and 1902.", {"What in ١٩٠١?"}),
        ("What in 1888?", "It was 1888 then.", "Then ١٩٠١ and 1888.", set()),
        ("1888年に何がありましたか", "それは1888年だった", "25人と1901年", {"1901年に何がありましたか"}),
        ("Which boats in Vienna?", "They lie in Vienna.", "Others lie in Dresden.", {"Which boats in Dresden?"}),
        ("Which boats in Vienna?", "They lie in Vienna.", "Dresden, and in 25 from Hull.", set()),
        ("Which boats in Vienna?", "They lie in Vienna.", "Others lie in New York or in Viennas.", set()),
        (
            "Which boats in New York?",
            "They lie in New York.",
            "It was in May and in Cape Town.",
            {f"Which boats in {one}?" for one in ("Cape Town", "Cape York", "New Town")},
        ),
        ("Which boats in Viennas?", "They lie in Vienna.", "Others lie in Dresden.", set()),
        ("Which boats in Izmir?", "They lie in Izmir.", "Others lie in İzmir.", set()),
        ("Vienna has which boats?", "They lie in Vienna.", "Others lie in Dresden.", set()),
        ("Did Ada lie?", "There did Ada lie.", "Here did Bob stand.", {"Did Bob lie?"}),
        (
            "Who then met J. K. Rowling?",
            "He met J. K. Rowling.",
            "There he met C. S. Lewis.",
            {f"Who then met {one}?" for one in ("C. S. Lewis", "C. K. Rowling", "J. K. Lewis")},
        ),
        ("Qui a vu l'Ecosse?", "On a vu l'Ecosse.", "On a vu l'Alaska.", {"Qui a vu l'Alaska?"}),
        (
            "Which boats in May 1888?",
            "They lay in May 1888.",
            "One in Hull and in July 1888.",
            {"Which boats in July 1888?"},
        ),
        ("WHICH BOATS IN VIENNA?", "They lie IN VIENNA.", "Others lie IN DRESDEN.", set()),
    ],
)
def test_unanswerable_swaps_entities_of_one_kind(question: str, context: str, other: str, expected: set[str]) -> None:
    assert swaps(question, context, other) == expected


def test_unanswerable_swaps_no_part_of_the_answer() -> None:
    assert (
        swaps("Who lies in Vienna?", "Boats lie in Vienna.", "In May in Hull.", answer="Boats lie in Vienna") == set()
    )
    assert swaps("Is it boats in Vienna?", "They lie in Vienna.", "In May in Hull.", answer="boats") == set()


def test_unanswerable_swaps_prefer_what_is_most_alike() -> None:
    years = swaps("What was in 1888?", "In 1888 it was.", "In 1700, 1885, 1886, 1887, 1889, 1890, 1960.")
    assert years == {f"What was in {year}?" for year in (1885, 1886, 1887, 1889, 1890)}
    others = [f"One in {name} sings." for name in HARBOURS]
    cities = swaps("Which boats in Vienna?", "They lie in Vienna, the city.", "Here in Oslo, the city.", *others)
    assert "Which boats in Oslo?" in cities
    assert len(cities) == 5


def test_unanswerable_swaps_leave_out_what_the_whole_article_is_about() -> None:
    frequent = [f"He was in Hull, and {name}." for name in ("Bob", "Sue", "Tom")]
    assert swaps("Which boats in Vienna?", "They lie in Vienna.", *frequent) == set()
    assert swaps("Which boats in Vienna?", "They lie in Vienna.", *frequent[:2]) == {"Which boats in Hull?"}
    asked = example("q", "Some lie in Vienna.", "Some", question="Who lies in Vienna?", title="Ships_of_Hull")
    other = example("1", "Others lie in Hull.", title="Ships_of_Hull")
    assert made([asked, other], SWAPPED) == {}


def test_unanswerable_swaps_borrow_from_the_file_for_an_article_of_one_paragraph() -> None:
    asked = example("q", "Some lie in Vienna.", "Some", question="Who lies in Vienna?", title="A")
    other = example("1", "Others lie in Hull.", title="B")
    assert made([asked, other], SWAPPED)["q#swapped-entity"].question == "Who lies in Hull?"
    assert made([asked, replace(asked, id="p", context="Vienna."), other], SWAPPED).keys() == set()


@given(names=st.lists(st.sampled_from(HARBOURS), min_size=1, unique=True), seed=st.integers(0, 99))
def test_unanswerable_swaps_change_one_place(names: list[str], seed: int) -> None:
    sources = {one.id: one for one in harbours(names)}
    asked = {(one.context, one.question) for one in sources.values()}
    for one in made(list(sources.values()), SWAPPED, seed).values():
        source = sources[one.id.partition("#")[0]]
        assert one == replace(
            source, id=f"{source.id}#swapped-entity", question=one.question, answers=(), is_impossible=True
        )
        words = zip(source.question.split(), one.question.split(), strict=True)
        ((old, new),) = [(old, new) for old, new in words if old != new]
        assert old.strip("?") in one.context
        assert new.strip("?") not in one.context
        assert (one.context, one.question) not in asked


def negations(question: str, context: str, answer: str, language: str = "en") -> set[str]:
    """All that the question becomes."""
    asked = [example(str(number), context, answer, question=question) for number in range(40)]
    return {one.question for one in made(asked, NEGATED, language=language).values()}


@pytest.mark.parametrize(
    ("question", "context", "expected"),
    [
        ("Who was the first king?", "The first king was Bob.", {"Who was the last king?", "Who was the first queen?"}),
        ("Who was the first?", "The first was Bob. The last king fell.", set()),
        ("Who was the first?", "The first was Bob. The final one fell.", set()),
        ("Who was the largest?", "The largest was Bob.", {"Who was the smallest?"}),
        ("Who was the largest?", "The largest was Bob. Some were smaller.", set()),
        ("Who was the largest?", "The biggest was Bob.", set()),
        ("Who was the largest?", "The largest was far. Bob was there.", set()),
        ("Who saw the south?", "The South of the south saw Bob.", set()),
        ("Who sees most boats?", "Most boats or most ships saw Bob.", set()),
        ("Who is the most liked?", "Of all the most liked is Bob.", {"Who is the least liked?"}),
        ("Who is no longer here?", "Here no longer is Bob.", set()),
        ("Is Bob the first?", "The first is Bob.", set()),
        ("Was the first Bob or Sue?", "The first is Bob.", set()),
        ("When did Sue see Bob?", "Sue saw Bob.", set()),
        ("When did Sue come?", "She came with Bob.", {"When didn't Sue come?"}),
        ("In what year can she come?", "She comes with Bob.", {"In what year can't she come?"}),
        ("Who did Sue see?", "Sue saw Bob.", set()),
        ("When did Sue come?", "She did not come to Bob.", set()),
        ("Why didn't Sue come?", "She did not come because of Bob.", {"Why did Sue come?"}),
        ("Why will not Sue come?", "She won't come because of Bob.", {"Why will Sue come?"}),
        ("Why didn't Sue come?", "She stayed because of Bob.", set()),
        ("Why did Sue not come?", "She did not come because of Bob.", set()),
        ("Who didn't come?", "One did not come: Bob.", set()),
        ("Who was not the first?", "Not the first was Bob.", set()),
    ],
)
def test_unanswerable_negates(question: str, context: str, expected: set[str]) -> None:
    assert negations(question, context, "Bob") == expected


@pytest.mark.parametrize(
    ("question", "context", "expected"),
    [
        ("Who ran to Bob?", "Ada ran to Bob. Later boats came to Sue.", {"Who ran to Sue?"}),
        ("Who danced to Bob?", "Ada danced to Bob. Later he dances to Sue.", set()),
        ("Who ran to Bob?", "Ada ran to Bob. Later boats came to Ada.", set()),
        ("Who ran to Tom?", "Ada ran to Bob. Later boats came to Sue.", set()),
        ("Who ran to Bob?", "Ada ran to Bob. Later Sue, a boat, came.", set()),
        ("Who ran in May 1888?", "Ada ran in May 1888. Later boats came in Hull.", set()),
        ("Bob saw whom?", "There is Ada whom Bob saw. Later boats came to Sue.", set()),
        ("Who ran in 1888?", "Ada ran in 1888. Later boats came in 1901.", {"Who ran in 1901?"}),
        ("Who danced in 1888?", "Ada danced in 1888. Later he dances in 1901.", set()),
        ("Who ran from 1888 to 1901?", "Ada ran from 1888 to 1901.", set()),
        ("Who ran in 1888?", "Ada ran in 1888. Later 1,901 boats came.", set()),
        ("Who ran in 1777?", "Ada ran in 1888. Later boats came in 1901.", set()),
    ],
)
def test_unanswerable_misplaces_entities(question: str, context: str, expected: set[str]) -> None:
    asked = [example(str(number), context, "Ada", question=question) for number in range(40)]
    assert {one.question for one in made(asked, Unanswerables(misplaced_entity=1.0)).values()} == expected


@pytest.mark.parametrize(
    ("question", "context", "expected"),
    [
        ("What did they oppose?", "They oppose Bob.", {"What did they support?"}),
        ("What did they oppose?", "They oppose Bob. Few are supporters.", set()),
        ("What did they oppose?", "They all oppose it. Bob came.", set()),
        ("Who holds many official papers?", "Bob has official papers.", {"Who holds many unofficial papers?"}),
        ("Who wears silk or wool?", "Bob wears silk.", {f"Who wears {one} or wool?" for one in ("cotton", "linen")}),
    ],
)
def test_unanswerable_contrasts_words(question: str, context: str, expected: set[str]) -> None:
    asked = [example(str(number), context, "Bob", question=question) for number in range(40)]
    found = made(asked, CONTRASTED)
    assert {one.question for one in found.values()} == expected
    assert made(asked, CONTRASTED, language="xx") == {}


@pytest.mark.parametrize(
    ("language", "question", "context", "answer", "expected"),
    [
        ("fr", "Où est-il né?", "Il est né à Lyon.", "Lyon", {"Où est-il mort?", "Où est-il marié?"}),
        ("ja", "最大の都市は", "最大の都市は東京である。", "東京", {"最小の都市は", "最大の農村は"}),
        ("ja", "最大の駅は", "最大の駅は東京である。最小の空港もある。", "東京", set()),
    ],
)
def test_unanswerable_contrasts_words_of_a_language(
    language: str, question: str, context: str, answer: str, expected: set[str]
) -> None:
    asked = [example(str(number), context, answer, question=question) for number in range(40)]
    found = made(asked, CONTRASTED, language=language)
    assert {one.question for one in found.values()} == expected


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_unanswerable_contrasts_are_small_words_in_groups_of_their_own(path: Traversable) -> None:
    lines = path.read_text("utf-8").splitlines()
    groups = [set(line.split()) for line in lines]
    assert lines == sorted(lines)
    assert all(re.fullmatch(r"\S+( \S+)+", line) and line == line.lower() for line in lines)
    assert all(len(group) == len(line.split()) for group, line in zip(groups, lines, strict=True))
    assert not any(one < other for one in groups for other in groups)


def test_unanswerable_negates_english_alone() -> None:
    assert negations("Who was the first?", "The first was Bob.", "Bob", language="de") == set()
    assert negations("Who was the first?", "The first was Bob.", "Bob", language="") == set()


def test_unanswerable_puts_a_negation_into_a_part_of_the_questions() -> None:
    asked = [example(str(n), "She came with Bob.", "Bob", question=f"When did {n} come?") for n in range(400)]
    assert len(made(asked, NEGATED)) == pytest.approx(100, abs=30)


@pytest.mark.parametrize("question", ["When was the last one seen?", "When was the LAST one seen?"])
def test_unanswerable_asks_nothing_that_another_question_asks(question: str) -> None:
    context = "The first one was seen in 1888."
    first = example("1", context, "1888", question="When was the first one seen?")
    assert len(made([first], NEGATED)) == 1
    assert made([first, example("2", context, "1888", question=question)], NEGATED) == {}


def test_unanswerable_of_a_file_depends_on_its_language(tmp_path: Path) -> None:
    question = {"id": "q", "question": "Who was the first?", "answers": [{"text": "Bob", "answer_start": 14}]}
    path = tmp_path / "a.json"
    paragraph = {"context": "The first was Bob.", "qas": [question]}
    path.write_text(json.dumps({"data": [{"title": "", "paragraphs": [paragraph]}]}))
    found = {}
    for language in ("en", "fr"):
        recipe = parse_recipe(
            {
                "model": "student",
                "data": [{"path": str(path), "language": language}],
                "unanswerable": {"negated_question": 1},
            }
        )
        _, made = read_examples(recipe.data[0], recipe)
        found[language] = [one.question for one in made]
    assert found == {"en": ["Who was the last?"], "fr": []}
