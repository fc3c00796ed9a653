"""The shipped models say what they said when they were released: equal spans, scores and cosines within rounding."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyspan import Reader, ReadOptions
from polyspan.backends import ModelFolder, open_encoder
from polyspan.backends.onnx import OnnxScorer
from polyspan.features import Batch
from polyspan.types import FloatArray, Reading

FOLDER = Path(__file__).parent / "golden"
TEXTS = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
COSINES = np.array(json.loads((FOLDER / "cosines.json").read_text(encoding="utf-8")))
ANSWERS = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))
# The weights are 8-bit integers in the file and float32 in use, so that nothing is rounded to a batch's largest value.
# What remains is the order of sums, which differs between processors, versions of onnxruntime and shapes of batches:
# 1.24 and 1.32, and a graph without any fusion, differ by 1e-6. Arithmetic in integers would need more.
OTHER_MACHINE = 1e-3
OTHER_BATCH = 1e-4

SHORT_WINDOWS = ReadOptions(max_seq_len=128, doc_stride=32)
SEVERAL_WINDOWS = "\n".join(case["context"] for case in TEXTS[:12])
ASKED = [(case["question"], case["context"]) for case in TEXTS[::3]]
ASKED += [(case["question"], SEVERAL_WINDOWS) for case in TEXTS[7:10:2]]


class Padding(OnnxScorer):
    """The shipped model, given more columns of padding than there have to be."""

    columns = 0

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        empty = np.zeros((len(batch.input_ids), self.columns), np.int64)
        wider = Batch(*(np.hstack([getattr(batch, one.name), empty]) for one in fields(batch)))
        wider.input_ids[:, batch.input_ids.shape[1] :] = self.tokenizer.pad_id
        return super().score(wider)


@pytest.fixture(scope="module", params=[1, 2])
def threaded(request: pytest.FixtureRequest) -> Reader:
    folder = ModelFolder.shipped()
    return Reader(Padding(folder, threads=request.param), folder.settings)


@pytest.fixture(scope="module")
def alone(shipped: Reader) -> list[dict[str, Any]]:
    return [shipped.read(question, text, SHORT_WINDOWS).to_json() for question, text in ASKED]


def check(expected: dict[str, Any], reading: Reading, tolerance: float) -> None:
    """Equal but for the scores, which are close."""
    for before, after in zip(spans_of(expected), spans_of(reading.to_json()), strict=True):
        assert {**after, "score": 0} == {**before, "score": 0}
        assert after["score"] == pytest.approx(before["score"], abs=tolerance)


def spans_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """All that has a score: "no answer", then answers or candidates."""
    return [content["no_answer"], *content["answers"], *content["candidates"]]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_golden_answer(number: int, shipped: Reader) -> None:
    context = TEXTS[number]["context"]
    check(ANSWERS[number], shipped.read(TEXTS[number]["question"], context), OTHER_MACHINE)
    for quote in spans_of(ANSWERS[number])[1:]:
        assert context[quote["start"] : quote["end"]] == quote["text"]


def test_golden_answers_in_one_batch(shipped: Reader) -> None:
    readings = shipped.read_batch([case["question"] for case in TEXTS], [[case["context"]] for case in TEXTS])
    for expected, reading in zip(ANSWERS, readings, strict=True):
        check(expected, reading, OTHER_MACHINE)


@pytest.mark.parametrize(
    ("batch_tokens", "columns"),
    [pytest.param(1, 0, id="one"), pytest.param(300, 37, id="some, padded"), pytest.param(100_000, 0, id="all")],
)
def test_golden_answers_are_the_same_in_any_batch_and_thread(
    batch_tokens: int, columns: int, threaded: Reader, alone: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threaded.scorer, "columns", columns, raising=False)
    order = np.random.default_rng(batch_tokens).permutation(len(ASKED))
    options = replace(SHORT_WINDOWS, batch_tokens=batch_tokens)
    for number, reading in zip(order, threaded.read_stream((ASKED[i] for i in order), options), strict=True):
        check(alone[number], reading, OTHER_BATCH)


def test_golden_cosines_of_the_shipped_encoder() -> None:
    encoder = open_encoder()
    assert (encoder.name, encoder.dimension) == ("multilingual-e5-small", 384)
    questions = encoder.encode_questions([case["question"] for case in TEXTS])
    contexts = encoder.encode_passages([case["context"] for case in TEXTS])
    cosines = questions @ contexts.T
    # It computes in integers, so that a rounding elsewhere may move a few of them by one.
    np.testing.assert_allclose(cosines, COSINES, atol=3e-3)
    best = [TEXTS[number]["context"] for number in COSINES.argmax(axis=1)]
    assert [TEXTS[number]["context"] for number in cosines.argmax(axis=1)] == best
    own = [case["context"] == context for case, context in zip(TEXTS, best, strict=True)]
    assert np.mean(own) > 0.8  # some questions are asked of texts that do not answer them


def test_golden_encoder_gives_a_text_the_same_vector_in_any_company() -> None:
    encoder = open_encoder()
    texts = [TEXTS[number]["context"] for number in (0, 7, 13)]
    alone = np.concatenate([encoder.encode_passages([text]) for text in texts])
    np.testing.assert_array_equal(encoder.encode_passages(texts), alone)


def test_golden_models_fit_into_a_package() -> None:
    assets = ModelFolder.shipped().path.parent
    assert sum(path.stat().st_size for path in assets.rglob("*") if path.is_file()) < 100e6
