"""The example documents and questions, asked as a user would: of the whole folder."""

import json
from collections import Counter
from pathlib import Path

import pytest

from polyspan import Reader
from polyspan.backends import open_encoder
from polyspan.documents import read_documents
from polyspan.metrics import exact_match, space_characters
from polyspan.pipeline import QAPipeline
from polyspan.retrieval import IndexRanking, IndexSettings, PassageStore, index_paths

EXAMPLES = Path(__file__).parent.parent / "examples"
QUESTIONS = json.loads((EXAMPLES / "questions.json").read_text(encoding="utf-8"))["questions"]
CROSS_LINGUAL = json.loads((EXAMPLES / "cross-lingual.json").read_text(encoding="utf-8"))["questions"]
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


@pytest.fixture(scope="module")
def english_index(shipped: Reader, tmp_path_factory: pytest.TempPathFactory) -> QAPipeline:
    """The English examples in an index, which is asked by words and by meaning."""
    encoder = open_encoder()
    settings = IndexSettings("", encoder.digest, encoder.dimension)
    store = PassageStore.create(tmp_path_factory.mktemp("index") / "english", settings)
    documents = sorted({question["document"] for question in CROSS_LINGUAL})
    report = index_paths(store, encoder, [EXAMPLES / "documents" / name for name in documents])
    assert (report.added, report.errors) == (len(documents), [])
    return QAPipeline(shipped, IndexRanking(store, encoder))


def test_examples_right_answers_across_languages_do_not_become_fewer(english_index: QAPipeline) -> None:
    right = Counter[str]()
    found = english_index.ask_stream(question["question"] for question in CROSS_LINGUAL)
    for question, (passages, reading) in zip(CROSS_LINGUAL, found, strict=True):
        language = question["language"]
        gold = [space_characters(answer) for answer in question["answers"]]
        said = [space_characters(answer.text) for answer in (*reading.answers, *reading.candidates)[:1]]
        right[f"{language} found"] += any(
            Path(one.document.id).name == question["document"] and any(text in one.text for text in question["answers"])
            for one in passages
        )
        right[f"{language} answered"] += bool(reading.answers) and exact_match(gold, said[0])
        right[f"{language} without abstaining"] += bool(said) and exact_match(gold, said[0])
    assert Counter(question["language"] for question in CROSS_LINGUAL) == dict.fromkeys(
        ("en", "de", "fr", "ar", "ja"), 10
    )
    fallen = {name: right[name] for name, floor in RIGHT["cross-lingual"].items() if right[name] < floor}
    assert not fallen
