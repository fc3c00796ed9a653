import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyspan.datasets.fields import Notes
from polyspan.datasets.formats.mrqa import mrqa_pieces, read_mrqa
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

CONTEXT = "Ada Korte's bridge (1931) is Korte's."
# The layout is that of the shared task's README: spans end on the last character and token.
LINE: dict[str, Any] = {
    "id": "",
    "context": CONTEXT,
    "context_tokens": [["Ada", 0], ["Korte", 4]],
    "qas": [
        {
            "id": "internal",
            "qid": "q1",
            "question": "Whose?",
            "question_tokens": [["Whose", 0], ["?", 5]],
            "detected_answers": [{"text": "KORTE", "char_spans": [[4, 8], [29, 33]], "token_spans": [[1, 1], [9, 9]]}],
            "answers": ["KORTE", "Ada K."],
        }
    ],
}


def write(folder: Path, *lines: object) -> Path:
    path = folder / "x.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_mrqa_reads_each_span_as_the_context_has_it(tmp_path: Path) -> None:
    path = write(tmp_path, {"header": {"dataset": "Bridges", "split": "train"}}, LINE)
    notes = Notes()
    example = QAExample("q1", "Whose?", CONTEXT, (GoldAnswer("Korte", 4), GoldAnswer("Korte", 29)))
    assert list(read_mrqa(path, notes)) == [(f"{path}: line 2: qas[0]", example)]
    assert notes == {"answer texts left out that no span marks": 1}


def test_mrqa_keeps_texts_that_differ_and_says_so(tmp_path: Path) -> None:
    answers = [{"text": "Korte", "char_spans": [[5, 9]]}]
    line = {**LINE, "qas": [{**LINE["qas"][0], "detected_answers": answers, "answers": ["Korte"]}]}
    notes = Notes()
    ((_, example),) = read_mrqa(write(tmp_path, line), notes)
    assert example.answers == (GoldAnswer("Korte", 5),)
    assert list((+notes).values()) == [1]
    assert "polyspan data check" in next(iter(+notes))


def test_mrqa_writes_inclusive_spans_and_tokens() -> None:
    examples = [
        QAExample("q1", "When?", CONTEXT, (GoldAnswer("1931", 20), GoldAnswer("(1931)", 19)), title="Bridges"),
        QAExample("q2", "Who?", "Ada", (GoldAnswer("Ada", 0),), title="Bridges"),
        QAExample("q3", "Whose?", CONTEXT, (GoldAnswer("Ada Ko", 0),)),
    ]
    notes = Notes()
    header, first, second = (json.loads(line) for line in mrqa_pieces(examples, notes))
    assert header == {"header": {"dataset": "polyspan", "split": "unknown"}}
    assert first["context_tokens"][:4] == [["Ada", 0], ["Korte", 4], ["'", 9], ["s", 10]]
    assert [record["qid"] for record in first["qas"]] == ["q1", "q3"]
    assert first["qas"][0]["question_tokens"] == [["When", 0], ["?", 4]]
    assert first["qas"][0]["answers"] == ["1931", "(1931)"]
    assert first["qas"][0]["detected_answers"] == [
        {"text": "1931", "char_spans": [[20, 23]], "token_spans": [[6, 6]]},
        {"text": "(1931)", "char_spans": [[19, 24]], "token_spans": [[5, 7]]},
    ]
    assert first["qas"][1]["detected_answers"][0]["token_spans"] == [[0, 1]]
    assert second["context"] == "Ada"
    assert notes == {"titles left out: MRQA cannot hold them": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line, _q, _a: line.pop("context"), r"x\.jsonl: line 1: context is missing; expected a string"),
        (lambda line, _q, _a: line.update(qas={}), r"line 1: qas: expected a list, got an object"),
        (lambda _l, q, _a: q.pop("qid"), r"line 1: qas\[0\]\.qid is missing"),
        (lambda _l, q, _a: q.update(detected_answers=[]), r"line 1: qas\[0\]\.detected_answers: there is no span"),
        (lambda _l, q, _a: q.update(answers=[7]), r"line 1: qas\[0\]\.answers\[0\]: expected a string"),
        (
            lambda _l, _q, a: a.update(char_spans=[[4]]),
            r"detected_answers\[0\]\.char_spans\[0\]: \[4\]; expected \[f",
        ),
        (lambda _l, _q, a: a.update(char_spans=[[4, "8"]]), r"char_spans\[0\]: expected a whole number, got a string"),
        (lambda _l, _q, a: a.update(char_spans=[[99, 100]]), r"char_spans\[0\]: 99 lies outside the context"),
    ],
)
def test_mrqa_names_line_and_field(tmp_path: Path, change: Callable[..., object], message: str) -> None:
    line = json.loads(json.dumps(LINE))
    change(line, line["qas"][0], line["qas"][0]["detected_answers"][0])
    with pytest.raises(DatasetError, match=message):
        list(read_mrqa(write(tmp_path, line), Notes()))
