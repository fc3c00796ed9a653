import copy
import gzip
import json
from pathlib import Path

import pytest

from polyspan.datasets.fields import Notes
from polyspan.datasets.formats.squad import (
    haystack_content,
    haystack_pieces,
    read_squad_like,
    squad1_content,
    squad1_pieces,
    squad2_content,
    write_squad,
)
from polyspan.datasets.squad import read_squad
from polyspan.errors import DatasetError, InputError
from polyspan.types import GoldAnswer, QAExample

CATS = "Ein Kätzchen 🐱 schläft."
EXAMPLES = [
    QAExample("q1", "Wer schläft?", CATS, (GoldAnswer("Kätzchen", 4), GoldAnswer("🐱", 13)), title="Cats"),
    QAExample("q2", "Wo?", "Im Hafen.", (GoldAnswer("Im Hafen", 0),), title="Harbours"),
    QAExample("q3", "Wer bellt?", CATS, (), is_impossible=True, title="Cats"),
]


def test_squad_write_groups_by_title_and_context(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_squad(path, iter(EXAMPLES))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["version"] == "v2.0"
    assert [article["title"] for article in content["data"]] == ["Cats", "Harbours"]
    (paragraph,) = content["data"][0]["paragraphs"]
    assert paragraph["context"] == CATS
    assert paragraph["qas"][0] == {
        "id": "q1",
        "question": "Wer schläft?",
        "answers": [{"text": "Kätzchen", "answer_start": 4}, {"text": "🐱", "answer_start": 13}],
        "is_impossible": False,
    }
    assert (paragraph["qas"][1]["answers"], paragraph["qas"][1]["is_impossible"]) == ([], True)


def test_squad_write_packs_by_name_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    path.write_bytes(b"before")
    write_squad(path, EXAMPLES)
    assert read_squad(path) == [EXAMPLES[0], EXAMPLES[2], EXAMPLES[1]]
    assert gzip.decompress(path.read_bytes()).startswith(b'{"version": "v2.0"')
    assert list(tmp_path.iterdir()) == [path]


def test_squad_write_says_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.json: cannot be written: No such file or directory"):
        write_squad(tmp_path / "none" / "x.json", EXAMPLES)


def test_squad_1_has_no_flag() -> None:
    content = json.loads("".join(squad1_pieces(EXAMPLES[:2], Notes())))
    assert content["version"] == "1.1"
    for article in content["data"]:
        for record in article["paragraphs"][0]["qas"]:
            assert list(record) == ["id", "question", "answers"]


def test_squad_haystack_numbers_documents_and_answers() -> None:
    content = json.loads("".join(haystack_pieces(EXAMPLES, Notes())))
    paragraphs = [article["paragraphs"][0] for article in content["data"]]
    assert [paragraph["document_id"] for paragraph in paragraphs] == [1, 2]
    answers = [answer for paragraph in paragraphs for record in paragraph["qas"] for answer in record["answers"]]
    assert [answer["answer_id"] for answer in answers] == [1, 2, 3]
    assert answers[2] == {
        "text": "Im Hafen",
        "answer_start": 0,
        "answer_id": 3,
        "document_id": 2,
        "question_id": "q2",
        "answer_category": None,
    }


def test_squad_haystack_keeps_the_numbers_that_there_are() -> None:
    answer = {"text": "Hafen", "answer_start": 3, "answer_id": 8, "document_id": 3, "question_id": 7}
    record = {"id": 7, "question": "Wo?", "answers": [{**answer, "answer_category": "SHORT"}], "is_impossible": False}
    content = {"data": [{"title": None, "paragraphs": [{"context": "Im Hafen.", "qas": [record], "document_id": 3}]}]}
    named = {**record, "id": "7", "answers": [{**answer, "answer_category": "SHORT", "question_id": "7"}]}
    paragraph = {"context": "Im Hafen.", "qas": [named], "document_id": 3}
    expected = {"version": "v2.0", "data": [{"title": "", "paragraphs": [paragraph]}]}
    before = copy.deepcopy(content)
    assert haystack_content(content) == expected
    assert haystack_content(squad2_content(content)) == expected
    assert content == before


def test_squad_1_of_2_keeps_paragraphs_and_what_they_hold() -> None:
    record = {"id": "q", "question": "Wo?", "answers": [], "is_impossible": True}
    content = {
        "version": "v2.0",
        "data": [{"title": "A", "paragraphs": [{"context": "a", "qas": [record], "page": 1}]}],
    }
    paragraph = {"context": "a", "qas": [], "page": 1}
    assert squad1_content(content) == {"version": "1.1", "data": [{"title": "A", "paragraphs": [paragraph]}]}
    assert record["is_impossible"]


def test_squad_reads_what_haystack_exports(tmp_path: Path) -> None:
    answer = {"answer_id": 8, "document_id": 3, "question_id": 7, "text": "Hafen", "answer_start": 3}
    record = {"question": "Wo?", "id": 7, "answers": [{**answer, "answer_category": "SHORT"}], "is_impossible": False}
    content = {"data": [{"paragraphs": [{"qas": [record], "context": "Im Hafen.", "document_id": 3}], "title": None}]}
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"licence": "CC0", **content}))
    notes = Notes()
    example = QAExample("7", "Wo?", "Im Hafen.", (GoldAnswer("Hafen", 3),))
    assert list(read_squad_like(path, notes)) == [(f"{path}: data[0].paragraphs[0].qas[0]", example)]
    assert notes == {
        "fields 'licence' left out": 1,
        "fields 'document_id' left out": 2,
        "fields 'answer_id' left out": 1,
        "fields 'question_id' left out": 1,
        "fields 'answer_category' left out": 1,
    }


def test_squad_names_the_field_that_is_wrong(tmp_path: Path) -> None:
    record = {"id": 1.5, "question": "Wo?", "answers": [], "is_impossible": True}
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [record]}]}]}))
    with pytest.raises(DatasetError, match=r"x\.json: data\[0\]\.paragraphs\[0\]\.qas\[0\]\.id: expected a string"):
        list(read_squad_like(path, Notes()))
