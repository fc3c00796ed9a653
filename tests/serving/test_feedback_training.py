"""From corrections on the page to a reader that has learnt from them."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import tiny
from facts import squad_content
from fake_encoder import FakeEncoder
from polyspan import Reader
from polyspan.datasets import read_squad, write_squad
from polyspan.errors import MissingExtraError
from polyspan.metrics import score_squad2
from polyspan.serving import Collection, FeedbackStore, ServeOptions, create_app
from polyspan.serving.feedback import as_examples

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training import parse_recipe, train

pytestmark = pytest.mark.usefixtures("one_thread")


def f1(model: Path, dataset: Path) -> float:
    reader, examples = Reader.from_pretrained(model), list(read_squad(dataset))
    readings = reader.read_batch([one.question for one in examples], [[one.context] for one in examples])
    texts = {one.id: read.answers[0].text if read.answers else "" for one, read in zip(examples, readings, strict=True)}
    return score_squad2(examples, texts, resamples=1).scores["f1"]


def test_feedback_teaches_a_reader(tmp_path: Path) -> None:
    student = tiny.make_reader_folder(tmp_path / "student", "bert", positions=64)
    collection = Collection(Reader.from_pretrained(student), tmp_path / "index", FakeEncoder())
    store = FeedbackStore(tmp_path / "index")
    paragraphs = squad_content()["data"][0]["paragraphs"]
    with TestClient(create_app(collection, store, ServeOptions())) as client:
        for number, paragraph in enumerate(paragraphs):
            file = ("files", (f"{number}.txt", paragraph["context"].encode()))
            assert client.post("/v1/documents", files=[file]).json()["added"] == [f"uploads/{number}.txt"]
            for asked in paragraph["qas"]:
                judged = {"question": asked["question"], "document": f"uploads/{number}.txt", "verdict": "unanswerable"}
                for answer in asked["answers"]:
                    start = answer["answer_start"]
                    judged |= {"verdict": "corrected", "start": start, "end": start + len(answer["text"])}
                assert client.post("/v1/feedback", json=judged).status_code == 201
    write_squad(tmp_path / "feedback.json", as_examples(store.all()))
    recipe = {
        "model": str(student),
        "data": [{"path": str(tmp_path / "feedback.json"), "language": "en", "weight": 40}],
        "epochs": 4,
        "windows": {"max_seq_len": 64, "doc_stride": 16, "max_question_len": 20},
        "batch": {"windows": 2},
        "optimisation": {"learning_rate": 1e-3},
    }
    train(parse_recipe(recipe), tmp_path / "taught")
    before, after = f1(student, tmp_path / "feedback.json"), f1(tmp_path / "taught", tmp_path / "feedback.json")
    assert before < 50
    assert after > before + 40
