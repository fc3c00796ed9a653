"""Pairs from SQuAD files, and wrong passages that hold no answer."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyspan.errors import InputError
from polyspan.training.retriever_pairs import add_negatives, read_lessons, read_pairs, write_lessons
from polyspan.training.retriever_recipe import Negatives, PairFile, RetrieverRecipe
from polyspan.types import FloatArray

TOWNS = ("Ulm", "Bonn", "Gent", "Riga", "Oslo", "Rome")


def unwatched(items: Any, *_: Any) -> Any:
    return items


def no_vectors(*_: Any) -> Any:
    pytest.fail("nobody asked for vectors")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A bridge in each town, opened in its own year; the first town's year stands in the second's context too."""
    paragraphs = []
    for number, town in enumerate(TOWNS):
        context = f"The bridge of {town} was opened in {1800 + number}." + (" Not in 1800!" if number == 1 else "")
        answers = [{"text": str(1800 + number), "answer_start": context.index("18")}]
        questions = [{"id": town, "question": f"When was the bridge of {town} opened?", "answers": answers}]
        if number == 2:
            questions.append({"id": "none", "question": "Who paid for it?", "answers": []})
        paragraphs.append({"context": context, "qas": questions})
    path = tmp_path / "bridges.json"
    path.write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))
    return path


@pytest.fixture
def recipe(file: Path) -> RetrieverRecipe:
    return RetrieverRecipe("model", (PairFile(str(file)),))


def test_pairs_are_of_answerable_questions_and_of_all_passages(recipe: RetrieverRecipe) -> None:
    found = read_pairs(recipe)
    assert found.questions == (6,)
    assert len(found.passages) == 6
    for pair, town in zip(found.pairs, TOWNS, strict=True):
        assert town in pair.question
        assert town in found.passages[pair.passage]
        assert pair.answers[0] in found.passages[pair.passage]


def test_pairs_take_the_passage_that_the_answer_begins_in(tmp_path: Path) -> None:
    head = " ".join(f"The river is {number} miles long and slow." for number in range(80))
    context = f"{head} The bridge was opened in 1874."
    question = {"id": "1", "question": "When?", "answers": [{"text": "1874", "answer_start": context.index("1874")}]}
    paragraphs = [{"context": context, "qas": [question, {**question, "id": "2"}]}]
    (tmp_path / "long.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    found = read_pairs(RetrieverRecipe("model", (PairFile(str(tmp_path / "long.json")),)))
    assert len(found.passages) > 2
    assert [found.passages[pair.passage].rstrip()[-5:] for pair in found.pairs] == ["1874.", "1874."]


@pytest.mark.parametrize(("weight", "size"), [(0.5, 3), (1.0, 6), (2.5, 15)])
def test_pairs_come_as_often_as_their_weight_says(weight: float, size: int, recipe: RetrieverRecipe) -> None:
    weighted = replace(recipe, data=(replace(recipe.data[0], weight=weight),))
    found = read_pairs(weighted)
    assert len(found.pairs) == size
    assert [one.question for one in read_pairs(weighted).pairs] == [one.question for one in found.pairs]
    other = read_pairs(replace(weighted, seed=3))
    assert (other.pairs == found.pairs) == (weight == 1)


def test_pairs_need_two_questions(recipe: RetrieverRecipe) -> None:
    with pytest.raises(InputError, match="give 0 answerable questions"):
        read_pairs(replace(recipe, data=(replace(recipe.data[0], weight=0.0),)))


@pytest.mark.parametrize("ranked", [2, 6])
def test_negatives_hold_no_answer_and_are_not_the_passage_itself(ranked: int, recipe: RetrieverRecipe) -> None:
    pairs = read_pairs(recipe)
    lessons = add_negatives(pairs, Negatives(2, ranked), 0, no_vectors, unwatched)
    assert [one.question for one in lessons] == [pair.question for pair in pairs.pairs]
    for lesson, pair in zip(lessons, pairs.pairs, strict=True):
        assert len(lesson.negatives) == 2
        assert lesson.passage not in lesson.negatives
        assert not any(pair.answers[0] in wrong for wrong in lesson.negatives)
    assert "Bonn" not in str(lessons[0].negatives)  # holds 1800 too


def test_negatives_are_drawn_by_the_seed(recipe: RetrieverRecipe) -> None:
    pairs = read_pairs(recipe)
    drawn = [add_negatives(pairs, Negatives(1, 6), seed, no_vectors, unwatched) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_negatives_by_vectors_are_those_closest_to_the_question(recipe: RetrieverRecipe) -> None:
    pairs = read_pairs(recipe)

    def vectors(questions: Sequence[str], passages: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Each question lies next to its own passage and the one after it."""
        own = np.eye(len(passages), dtype=np.float32)
        numbers = [next(row for row, town in enumerate(TOWNS) if town in question) for question in questions]
        return own[numbers] + 0.5 * np.roll(own[numbers], 1, axis=1), own

    lessons = add_negatives(pairs, Negatives(1, 2, ("encoder",)), 0, vectors, unwatched)
    following = [pairs.passages[(number + 1) % 6] for number in range(6)]
    assert [one.negatives[0] for one in lessons][1:] == following[1:]
    assert lessons[0].negatives[0] not in pairs.passages[:2]  # the next one holds 1800 too


def test_negatives_take_words_as_words(tmp_path: Path) -> None:
    texts = ("It was the Ulm bridge.", "It was the ULMER bridge.", "It was the ulm, bridge.", "It was Bonn.")
    paragraphs = [
        {
            "context": text,
            "qas": [{"id": text, "question": "Which?", "answers": [{"text": text[11:-8], "answer_start": 11}]}],
        }
        for text in texts[:1]
    ] + [{"context": text, "qas": []} for text in texts[1:]]
    question = {"id": "2", "question": "Which?", "answers": [{"text": "Bonn", "answer_start": 7}]}
    paragraphs[3]["qas"] = [question]
    (tmp_path / "words.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    pairs = read_pairs(RetrieverRecipe("model", (PairFile(str(tmp_path / "words.json")),)))
    first, second = add_negatives(pairs, Negatives(3, 4), 0, no_vectors, unwatched)
    assert set(first.negatives) <= {texts[1], texts[3]}
    assert len(second.negatives) == 3


def test_negatives_leave_out_questions_whose_answer_stands_everywhere(tmp_path: Path) -> None:
    paragraphs = [
        {
            "context": f"{town} 1800",
            "qas": [{"id": town, "question": "?", "answers": [{"text": "1800", "answer_start": 5}]}],
        }
        for town in ("Riga", "Oslo", "Rome")
    ]
    paragraphs[0]["qas"][0]["answers"] = [{"text": "Riga", "answer_start": 0}]  # type: ignore[index] # plain JSON
    (tmp_path / "same.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    pairs = read_pairs(RetrieverRecipe("model", (PairFile(str(tmp_path / "same.json")),)))
    (lesson,) = add_negatives(pairs, Negatives(1, 3), 0, no_vectors, unwatched)
    assert lesson.passage == "Riga 1800"


def test_negatives_may_be_none(recipe: RetrieverRecipe) -> None:
    lessons = add_negatives(read_pairs(recipe), Negatives(0), 0, no_vectors, unwatched)
    assert {one.negatives for one in lessons} == {()}


def test_lessons_are_read_as_they_were_written(recipe: RetrieverRecipe, tmp_path: Path) -> None:
    lessons = add_negatives(read_pairs(recipe), Negatives(2), 0, no_vectors, unwatched)
    lessons[0] = replace(lessons[0], question="橋\u2028 \x85 \ud800")
    write_lessons(tmp_path / "lessons.jsonl.gz", lessons)
    assert read_lessons(tmp_path / "lessons.jsonl.gz") == lessons
