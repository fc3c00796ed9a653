import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_scorer import FakeScorer
from polyspan import Document, Passage, Reader, Span
from polyspan.backends import NativeSettings
from polyspan.errors import DatasetError, InputError
from polyspan.evaluation import Questions, append
from polyspan.evaluation.opendomain import (
    FOUND,
    Collection,
    Found,
    OpenDomainOptions,
    Place,
    Quote,
    ask_collection,
    asked_from,
    asking_options,
    choose,
    collect,
    context_documents,
    figures,
    found_file,
    pool_figures,
    report,
    searchable,
)
from polyspan.evaluation.predictions import resume_rows
from polyspan.pipeline import PipelineOptions, QAPipeline
from polyspan.retrieval import PassageRanking
from polyspan.types import GoldAnswer, QAExample

TOWNS = [f"town{number}" for number in range(12)]
LIVES = [f"Anna lives in {town} ." for town in TOWNS]


def example(name: str, question: str, context: str, *answers: str) -> QAExample:
    return QAExample(name, question, context, tuple(GoldAnswer(answer, context.index(answer)) for answer in answers))


def questions(*examples: QAExample, name: str = "dev.json") -> Questions:
    return Questions(examples, [""] * len(examples), {"dataset": name, "dataset_sha256": "0a1b"})


ASKED = questions(
    *(example(town, f"find {town}", text, town) for town, text in zip(TOWNS, LIVES, strict=True)),
    example("none", "find paris", LIVES[0]),
    example("elsewhere", f"find {TOWNS[1]}", LIVES[0]),
)


def pipeline(collection: Collection, passages_read: int = 3) -> QAPipeline:
    reader = Reader(FakeScorer(" ".join([*TOWNS, "anna lives in . paris"])), NativeSettings(no_answer=True))
    return QAPipeline(reader, PassageRanking(collection.passages), PipelineOptions(passages_read))


def test_opendomain_collects_every_text_once() -> None:
    others = [Document(LIVES[3], "a copy"), Document("Bert lives in Bern .", "bert"), Document("  ", "blank")]
    more = questions(example("more", "find oslo", "Cora lives in Oslo ."), example("?", "?", LIVES[0]), name="x.json")
    collection = collect([ASKED, more], others)
    names = [*(f"dev.json#{number}" for number in range(12)), "x.json#0", "bert", "blank"]
    assert list(collection.documents) == names
    assert collection.ids[LIVES[0]] == "dev.json#0"
    assert [passage.document.id for passage in collection.passages] == names[:-1]
    assert collection.signature == {**collect([ASKED, more], others).signature, "documents": 15, "passages": 14}
    assert collection.signature != collect([ASKED], [*others, *context_documents(more)]).signature


def test_opendomain_refuses_names_that_are_not_unique_and_collections_that_are_too_small() -> None:
    with pytest.raises(InputError, match=r"two datasets are called dev\.json"):
        collect([ASKED, ASKED])
    with pytest.raises(InputError, match="two documents are called a; expected unique names"):
        collect([ASKED], [Document("x", "a"), Document("y", "a")])
    with pytest.raises(InputError, match="12 passages; expected more than the 12 that are ranked"):
        collect([ASKED], ranks=12)


def test_opendomain_chooses_a_sample_in_order() -> None:
    assert choose(ASKED).examples == list(ASKED.examples)
    answerable = choose(ASKED, unanswerable=False)
    assert [one.id for one in answerable.examples] == TOWNS
    few = choose(ASKED, sample=5)
    assert few == choose(ASKED, sample=5) != choose(ASKED, sample=5, seed=1)
    ids = [one.id for one in ASKED.examples]
    assert [one.id for one in few.examples] == sorted((one.id for one in few.examples), key=ids.index)
    assert len(few.examples) == len(few.languages) == 5
    with pytest.raises(DatasetError, match=r"dev\.json: none of 2 questions is answerable"):
        choose(questions(*ASKED.examples[-2:]))


@pytest.mark.parametrize("top_k", [(), (0,), (5, 1), (1, 1)])
def test_opendomain_options_refuse_what_is_no_cut_off(top_k: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="top_k: expected whole numbers of at least 1, rising"):
        OpenDomainOptions(top_k)


def test_opendomain_asks_the_whole_collection() -> None:
    collection = collect([ASKED])
    options = OpenDomainOptions((1, 2))
    found = list(ask_collection(pipeline(collection), ASKED.examples, options))
    assert [one.id for one in found] == [one.id for one in ASKED.examples]
    assert {len(one.ranked) for one in found} == {10}
    assert found[4].ranked[0] == Place("dev.json#4", 0, len(LIVES[4]))
    best = found[4].answers[0]
    assert (best.document, best.text, best.null_margin) == ("dev.json#4", "town4", -16)
    assert LIVES[4][best.start : best.end] == "town4"
    values = figures(ASKED, found, collection, options, threshold=0)
    means = {name: array.mean() for name, array in values.items()}
    assert means["gold_recall_at_1"] == means["answer_recall_at_1"] == means["gold_ndcg_at_10"] == 100
    assert means["exact_at_1"] == means["f1_at_2"] == means["HasAns_exact"] == 100
    assert values["NoAns_exact"].tolist() == [100, 0]  # the second one has an answer in another context
    assert means["abstaining_exact_at_2"] == pytest.approx(100 * 13 / 14)
    never = figures(ASKED, found, collection, options, threshold=None)
    assert set(values) - set(never) == {
        *(f"abstaining_{name}_at_{k}" for name in ("exact", "f1") for k in (1, 2)),
        *("HasAns_exact", "HasAns_f1", "NoAns_exact"),
    }
    assert {array.size for array in never.values()} == {12}


def by_hand() -> tuple[Questions, Collection, list[Found]]:
    """Of two answerable questions, one has its answer on the border of two passages; a third has none."""
    long = "Anna was born in Upper Oslo in 1888 ."
    texts = [long, "Bert was born in 1888 .", "Cora is old ."]
    asked = questions(
        example("border", "where?", long, "Upper Oslo"),
        example("year", "when?", texts[1], "1888"),
        example("none", "who?", texts[2]),
    )
    documents = {str(number): Document(text, str(number)) for number, text in enumerate(texts)}
    border = long.index("Oslo")
    passages = [
        Passage(documents["0"], Span(0, border)),
        Passage(documents["0"], Span(border, len(long))),
        *(Passage(documents[key], Span(0, len(documents[key].text))) for key in ("1", "2")),
    ]
    first, second, third, fourth = (Place(one.document.id, one.span.start, one.span.end) for one in passages)
    quotes = [Quote("0", 0, 1, text, 0.5, margin) for text, margin in (("Oslo", -3), ("upper oslo", -2), ("Cora", 1))]
    found = [
        Found("border", (third, second, fourth, first), tuple(quotes), 0.1),
        Found("year", (second, third), (replace(quotes[0], text="in 1888", null_margin=2),), 0.2),
        Found("none", (), (replace(quotes[0], null_margin=0.5),), 0.3),
    ]
    return asked, Collection(documents, passages, {one.text: key for key, one in documents.items()}), found


def test_opendomain_figures_by_hand() -> None:
    asked, collection, found = by_hand()
    values = figures(asked, found, collection, OpenDomainOptions((1, 2, 3)), threshold=0)
    ideal = 1 + 1 / np.log2(3)
    expected: dict[str, list[float]] = {
        "gold_recall_at_1": [0, 0],
        "gold_recall_at_2": [1, 1],
        "gold_mrr_at_10": [1 / 2, 1 / 2],
        "gold_ndcg_at_10": [(1 / np.log2(3) + 1 / np.log2(5)) / ideal, 1 / np.log2(3)],
        "answer_recall_at_1": [0, 1],  # no passage holds "Upper Oslo"; 1888 stands in two
        "answer_recall_at_3": [0, 1],
        "answer_mrr_at_10": [0, 1],
        "exact_at_1": [0, 0],
        "f1_at_1": [2 / 3, 2 / 3],
        "exact_at_2": [1, 0],
        "f1_at_3": [1, 2 / 3],
        "abstaining_exact_at_1": [0, 0, 1],
        "abstaining_f1_at_2": [1, 0, 1],
        "HasAns_exact": [0, 0],
        "HasAns_f1": [2 / 3, 0],
        "NoAns_exact": [1],
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx([100 * one for one in value]), name


def test_opendomain_report_says_what_was_measured() -> None:
    asked, collection, found = by_hand()
    options = OpenDomainOptions((1, 2))
    values = figures(asked, found, collection, options, threshold=0)
    made = report(values, {**asked.source, "passages_read": 3}, options)
    assert made.scores["exact_at_2"] == 50
    assert (made.scores["total"], made.scores["HasAns_total"]) == (3, 2)
    assert set(made.intervals) == set(values)
    assert made.intervals["gold_recall_at_1"] == (0, 0)
    assert made.signature["metric"] == "open-domain"
    assert [made.signature[name] for name in ("dataset", "passages_read", "top_k", "n")] == ["dev.json", 3, "1,2", 3]
    assert made.signature["gold"] == "passage overlaps an answer in its own context"
    assert made.signature["answer"] == "passage holds an answer's words"


def test_opendomain_pools_figures_over_questions() -> None:
    asked, collection, found = by_hand()
    options = OpenDomainOptions((1,))
    values = figures(asked, found, collection, options, threshold=0)
    answerable = figures(choose(asked, unanswerable=False), found[:2], collection, options, threshold=0)
    pooled = pool_figures([values, answerable])
    assert set(pooled) == set(values)
    assert pooled["f1_at_1"] == pytest.approx([200 / 3] * 4)
    assert pooled["NoAns_exact"].tolist() == [100]
    assert report(pooled, asked.source, options).scores["total"] == 5


def test_opendomain_refuses_passages_of_another_collection() -> None:
    asked, collection, found = by_hand()
    foreign = [replace(found[0], ranked=(Place("elsewhere", 0, 1),)), *found[1:]]
    with pytest.raises(InputError, match="the ranking names document 'elsewhere'; expected those of the collection"):
        figures(asked, foreign, collection, OpenDomainOptions(), threshold=None)


@given(
    threshold=st.sampled_from([-19.0, -17.0, -16.0, 0.0, 17.0]),
    bias=st.sampled_from([-1.0, 0.0, 2.0]),
    words=st.lists(st.sampled_from(["rome", "paris"]), min_size=1, max_size=4),
)
def test_opendomain_abstains_as_the_reader_does(threshold: float, bias: float, words: list[str]) -> None:
    settings = NativeSettings(no_answer=True, options={"no_answer_bias": bias, "score_threshold": 0.0})
    reader = Reader(FakeScorer("rome paris in !"), settings)
    documents = [Document(f"in {word} {'!' * (number % 2)}", str(number)) for number, word in enumerate(words)]
    whole = QAPipeline(reader, documents)
    options = OpenDomainOptions((3,))
    (found,) = ask_collection(whole, [QAExample("a", "find rome", "")], options)
    asking = replace(asking_options(reader, options), return_no_answer=True, no_answer_threshold=threshold)
    shown = [answer.text for answer in whole.ask("find rome", asking).answers]
    assert [answer.text for answer in found.answers if answer.null_margin <= threshold] == shown


def test_opendomain_keeps_what_was_found(tmp_path: Path) -> None:
    asked, collection, found = by_hand()
    origin = asked_from(pipeline(collection), "0a1b", asked, collection, OpenDomainOptions(), {"ranking": "bm25"})
    path = found_file(tmp_path / "new", "dev.json")
    assert path.name == "dev.open-domain.jsonl"
    assert resume_rows(path, origin, asked.examples, FOUND) == []
    assert list(append(path, found)) == found
    assert resume_rows(path, origin, asked.examples, FOUND) == found
    path.write_bytes(path.read_bytes()[:-9])
    assert resume_rows(path, origin, asked.examples, FOUND) == found[:2]
    other = replace(origin, options={**origin.options, "passages_read": 5})
    with pytest.raises(InputError, match=r"passages_read 3, now 5"):
        resume_rows(path, other, asked.examples, FOUND)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranked": [{"document": "0", "start": 0}]}, r"line 2: ranked\[0\]\.end is missing; expected a whole number"),
        ({"answers": [{"document": 3}]}, r"line 2: answers\[0\]\.document: expected a string"),
        ({"no_answer_score": 2}, "line 2: no_answer_score: expected a finite number from 0 to 1"),
    ],
)
def test_opendomain_kept_rows_that_are_none_are_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    asked, collection, _ = by_hand()
    origin = asked_from(pipeline(collection), "0a1b", asked, collection, OpenDomainOptions(), {"ranking": "bm25"})
    path = tmp_path / "dev.open-domain.jsonl"
    resume_rows(path, origin, asked.examples, FOUND)
    row = {"id": "border", "ranked": [], "answers": [], "no_answer_score": 0.5, **change}
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(DatasetError, match=message):
        resume_rows(path, origin, asked.examples, FOUND)


@pytest.mark.parametrize(
    ("text", "answer", "held"),
    [
        ("The “Upper-Oslo” line, opened.", "upper oslo", True),
        ("Born in 1888s", "1888", False),
        ("东京是日本的首都。", "日本", True),
        ("Straße 5", "STRASSE", True),
        ("पुल 1874 में बना।", "में", True),
        ("It costs $5.", "5$", True),
    ],
)
def test_opendomain_finds_the_words_of_an_answer(text: str, answer: str, held: bool) -> None:
    assert (searchable(answer) in searchable(text)) == held


@given(words=st.lists(st.text(), min_size=1), part=st.slices(6))
def test_opendomain_a_text_holds_its_own_words(words: Sequence[str], part: slice) -> None:
    answer = searchable(" ".join(words[part.start : part.stop]))
    assert not answer.strip() or answer in searchable(" ".join(words))
