"""The shipped reader says what it said when it was released: equal texts, scores within what processors differ by."""

import json
from pathlib import Path
from typing import Any

import pytest

from polyspan import Reader
from polyspan.types import Reading

FOLDER = Path(__file__).parent / "golden"
TEXTS = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
ANSWERS = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))
TOLERANCE = 0.02


def close(expected: dict[str, Any], found: dict[str, Any]) -> None:
    assert {**found, "score": 0} == {**expected, "score": 0}
    assert found["score"] == pytest.approx(expected["score"], abs=TOLERANCE)


def check(expected: dict[str, Any], reading: Reading) -> None:
    found = reading.to_json()
    close(expected["no_answer"], found["no_answer"])
    for key in ("answers", "candidates"):
        if expected[key]:
            close(expected[key][0], found[key][0])


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_golden_answer(number: int, shipped: Reader) -> None:
    check(ANSWERS[number], shipped.read(TEXTS[number]["question"], TEXTS[number]["context"]))


def test_golden_answers_in_one_batch(shipped: Reader) -> None:
    readings = shipped.read_batch([case["question"] for case in TEXTS], [[case["context"]] for case in TEXTS])
    for expected, reading in zip(ANSWERS, readings, strict=True):
        check(expected, reading)
