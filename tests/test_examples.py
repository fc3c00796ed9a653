"""The example documents and questions, asked as a user would: of the whole folder."""

import json
from collections import Counter
from pathlib import Path

import pytest

from polyspan import Reader
from polyspan.documents import read_documents
from polyspan.metrics import exact_match, space_characters
from polyspan.pipeline import QAPipeline

EXAMPLES = Path(__file__).parent.parent / "examples"
QUESTIONS = json.loads((EXAMPLES / "questions.json").read_text(encoding="utf-8"))["questions"]
RIGHT = json.loads((Path(__file__).parent / "golden" / "examples.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pipeline(shipped: Reader) -> QAPipeline:
    documents, errors = read_documents([EXAMPLES / "documents"])
    assert not errors
    return QAPipeline(shipped, documents)


def test_examples_are_as_many_and_as_mixed_as_they_should_be() -> None:
    languages = Counter(question["language"] for question in QUESTIONS)
    unanswerable = sum(not question["answers"] for question in QUESTIONS)
    assert len(QUESTIONS) >= 60
    assert len(QUESTIONS) * 0.3 <= unanswerable <= len(QUESTIONS) * 0.37
    assert min(languages[language] for language in ("de", "es", "ru", "hi")) >= 6


def test_examples_expected_answers_stand_in_their_documents() -> None:
    documents = {Path(one.id).name: one.text for one in read_documents([EXAMPLES / "documents"])[0]}
    missing = [
        (question["id"], answer)
        for question in QUESTIONS
        for answer in question["answers"]
        if answer not in documents[question["document"]]
    ]
    assert not missing


def test_examples_right_answers_do_not_become_fewer(pipeline: QAPipeline) -> None:
    right = Counter[str]()
    for question in QUESTIONS:
        reading = pipeline.ask(question["question"])
        said = reading.answers[0].text if reading.answers else ""
        gold = [space_characters(answer) for answer in question["answers"]]
        kind = "answerable" if gold else "unanswerable"
        right[kind] += exact_match(gold, space_characters(said))
    assert right["answerable"] >= RIGHT["answerable"]
    assert right["unanswerable"] >= RIGHT["unanswerable"]
