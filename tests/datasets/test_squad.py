import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyspan.datasets.squad import read_squad
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

CONTEXT = "Ein Kätzchen 🐱 schläft."
DATASET: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "Cats",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "document_id": 7,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "Wer schläft?",
                            "answers": [
                                {"text": "Kätzchen", "answer_start": 4},
                                {"text": "not there", "answer_start": 22},
                            ],
                            "is_impossible": False,
                        },
                        {
                            "id": "q2",
                            "question": "Wer bellt?",
                            "answers": [],
                            "plausible_answers": [{"text": "Kätzchen", "answer_start": 4}],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        }
    ],
}

Record = dict[str, Any]


def write(folder: Path, content: object) -> Path:
    path = folder / "dev.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def altered(change: Callable[[Record, Record, Record], object]) -> Record:
    """The dataset after a change to its article, paragraph or first question."""
    dataset = copy.deepcopy(DATASET)
    article = dataset["data"][0]
    paragraph = article["paragraphs"][0]
    change(article, paragraph, paragraph["qas"][0])
    return dataset


def test_squad_reads_answers_and_impossible_questions(tmp_path: Path) -> None:
    gold = (GoldAnswer("Kätzchen", 4), GoldAnswer("not there", 22))
    assert read_squad(write(tmp_path, DATASET)) == [
        QAExample("q1", "Wer schläft?", CONTEXT, gold, is_impossible=False, title="Cats"),
        QAExample("q2", "Wer bellt?", CONTEXT, (), is_impossible=True, title="Cats"),
    ]


def test_squad_reads_gzip_and_byte_order_mark_alike(tmp_path: Path) -> None:
    plain = write(tmp_path, DATASET)
    packed = tmp_path / "dev.json.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + plain.read_bytes()))
    assert read_squad(packed) == read_squad(plain)


def test_squad_reads_version_1_without_flag_and_title(tmp_path: Path) -> None:
    dataset = copy.deepcopy(DATASET)
    del dataset["data"][0]["title"]
    for record in dataset["data"][0]["paragraphs"][0]["qas"]:
        del record["is_impossible"]
    examples = read_squad(write(tmp_path, dataset))
    assert [(example.title, example.is_impossible) for example in examples] == [("", False), ("", True)]


QUESTION = r"dev\.json: data\[0\]\.paragraphs\[0\]\.qas\[0\]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, _p, _q: a.pop("paragraphs"), r"data\[0\]\.paragraphs is missing; expected a list"),
        (lambda a, _p, _q: a.update(title=3), r"data\[0\]\.title: expected a string, got a whole number \(3\)"),
        (lambda a, _p, _q: a.update(paragraphs=["x"]), r"data\[0\]\.paragraphs\[0\]: expected an object, got a string"),
        (lambda _a, p, _q: p.pop("context"), r"paragraphs\[0\]\.context is missing"),
        (lambda _a, p, _q: p.update(context=None), r"paragraphs\[0\]\.context: expected a string, got null"),
        (lambda _a, p, _q: p.update(qas={}), r"paragraphs\[0\]\.qas: expected a list, got an object"),
        (lambda _a, _p, q: q.update(id=7), QUESTION + r"\.id: expected a string, got a whole number \(7\)"),
        (lambda _a, _p, q: q.pop("question"), QUESTION + r" \(id 'q1'\)\.question is missing; expected a string"),
        (lambda _a, _p, q: q.pop("answers"), QUESTION + r" \(id 'q1'\)\.answers is missing"),
        (lambda _a, _p, q: q.update(id="q2"), r"qas\[1\]: id 'q2' stands already at data\[0\]\.paragraphs\[0\]\.qas"),
        (lambda _a, _p, q: q.update(is_impossible="no"), r"is_impossible: expected true or false, got a string"),
        (lambda _a, _p, q: q.update(is_impossible=True), r"\(id 'q1'\): is_impossible is true with 2 answers"),
        (lambda _a, _p, q: q.update(answers=[]), r"\(id 'q1'\): is_impossible is false with 0 answers"),
        (lambda _a, _p, q: q["answers"][1].pop("text"), r"\(id 'q1'\)\.answers\[1\]\.text is missing"),
        (lambda _a, _p, q: q["answers"][0].update(text=["x"]), r"answers\[0\]\.text: expected a string, got a list"),
        (
            lambda _a, _p, q: q["answers"][0].update(answer_start=True),
            r"answer_start: expected a whole number, got tru",
        ),
        (
            lambda _a, _p, q: q["answers"][0].update(answer_start=4.0),
            r"answer_start: expected a whole number, got a nu",
        ),
        (lambda _a, _p, q: q["answers"][0].update(answer_start=-1), r"answers\[0\]\.answer_start: -1 lies outside"),
        (lambda _a, _p, q: q["answers"][0].update(answer_start=23), r"23 lies outside the context; .* less than 23"),
    ],
)
def test_squad_refuses_what_is_not_squad(
    tmp_path: Path, change: Callable[[Record, Record, Record], object], message: str
) -> None:
    path = write(tmp_path, altered(change))
    with pytest.raises(DatasetError, match=message) as caught:
        read_squad(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"dev\.json: expected an object, got a list"),
        ({}, r"dev\.json: data is missing"),
        ({"data": 1}, r"dev\.json: data: expected a list, got a whole number"),
        ({"data": []}, r"dev\.json: it holds no questions"),
        ({"data": [{"paragraphs": []}]}, r"dev\.json: it holds no questions"),
    ],
)
def test_squad_refuses_other_json(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_squad(write(tmp_path, content))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "total", "impossible"),
    [
        ("squad/dev-v1.1.json", 10570, 0),
        ("squad/dev-v2.0.json", 11873, 5945),
        ("dev/pquad-val-part20.json.gz", 1769, 449),
        ("train/clear/idk-mrc-train.json.gz", 9237, 4265),
    ],
)
def test_squad_reads_real_files(shared: Path, name: str, total: int, impossible: int) -> None:
    examples = read_squad(shared / "data" / name)
    assert (len(examples), sum(example.is_impossible for example in examples)) == (total, impossible)
