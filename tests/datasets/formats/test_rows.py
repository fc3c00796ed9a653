import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from polyspan.datasets.fields import Notes, PlacedExamples
from polyspan.datasets.formats.rows import (
    csv_pieces,
    huggingface_pieces,
    jsonl_pieces,
    read_csv,
    read_huggingface,
    read_jsonl,
)
from polyspan.datasets.writing import write_text
from polyspan.errors import DatasetError, InputError
from polyspan.types import GoldAnswer, QAExample

Read = Callable[[Path, Notes], PlacedExamples]
CONTEXT = 'Er sagt: "Nein",\r\nsie sagt\u2028"Ja".'
EXAMPLES = [
    QAExample("q1", "Was sagt er?", CONTEXT, (GoldAnswer('"Nein"', 9), GoldAnswer("Nein", 10)), title="Streit"),
    QAExample("q2", "Was sagt es?", CONTEXT, (), is_impossible=True),
]


def write(folder: Path, text: str, name: str = "x.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_rows_jsonl_columns() -> None:
    assert [json.loads(line) for line in jsonl_pieces(EXAMPLES, Notes())] == [
        {
            "id": "q1",
            "title": "Streit",
            "context": CONTEXT,
            "question": "Was sagt er?",
            "answers": ['"Nein"', "Nein"],
            "answer_starts": [9, 10],
        },
        {
            "id": "q2",
            "title": "",
            "context": CONTEXT,
            "question": "Was sagt es?",
            "answers": [],
            "answer_starts": [],
        },
    ]


def test_rows_huggingface_columns() -> None:
    lines = [json.loads(line) for line in huggingface_pieces(EXAMPLES, Notes())]
    assert [list(line) for line in lines] == [["id", "title", "context", "question", "answers"]] * 2
    assert lines[0]["answers"] == {"text": ['"Nein"', "Nein"], "answer_start": [9, 10]}
    assert lines[1]["answers"] == {"text": [], "answer_start": []}


def test_rows_csv_cells_hold_json_lists(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    write_text(path, csv_pieces(EXAMPLES, Notes()))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "title", "context", "question", "answers", "answer_starts"]
    assert rows[1] == ["q1", "Streit", CONTEXT, "Was sagt er?", r'["\"Nein\"", "Nein"]', "[9, 10]"]
    assert rows[2][4:] == ["[]", "[]"]


@pytest.mark.parametrize(
    ("read", "record"),
    [
        (read_jsonl, {"answers": ["Ja"], "answer_starts": [1]}),
        (read_huggingface, {"answers": {"text": ["Ja"], "answer_start": [1], "extra": 1}}),
    ],
)
def test_rows_read_lines_with_other_fields(tmp_path: Path, read: Read, record: dict[str, object]) -> None:
    line = {"id": 7, "title": None, "context": "\u2028Ja", "question": "Was?", "split": "dev", **record}
    path = write(tmp_path, f"\ufeff\n{json.dumps(line, ensure_ascii=False)}\r\n\n")
    notes = Notes()
    example = QAExample("7", "Was?", "\u2028Ja", (GoldAnswer("Ja", 1),))
    assert list(read(path, notes)) == [(f"{path}: line 2:", example)]
    assert notes == {"fields 'split' left out": 1}


def test_rows_read_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    text = '\ufeffquestion,context,id,answer_starts,answers,by\nWas?,"Er sagt\n""Ja""",7,[9],"[""Ja""]",ada\n\n'
    notes = Notes()
    examples = [example for _, example in read_csv(write(tmp_path, text, "x.csv"), notes)]
    assert examples == [QAExample("7", "Was?", 'Er sagt\n"Ja"', (GoldAnswer("Ja", 9),))]
    assert notes == {"fields 'by' left out": 1}


def test_rows_read_csv_with_long_contexts(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    example = QAExample("q", "Was?", "a" * (limit + 1), (GoldAnswer("a", limit),))
    path = tmp_path / "x.csv"
    write_text(path, csv_pieces([example], Notes()))
    assert [found for _, found in read_csv(path, Notes())] == [example]
    assert csv.field_size_limit() == limit


GOOD = {"id": "q", "context": "Ja", "question": "Was?"}


@pytest.mark.parametrize(
    ("read", "line", "message"),
    [
        (read_jsonl, "{", r"x\.jsonl: line 2: not JSON \(.*\); expected one JSON object a line"),
        (read_jsonl, "[1]", r"x\.jsonl: line 2: expected an object, got a list"),
        (read_jsonl, {**GOOD, "answers": ["Ja"]}, r"line 2: answer_starts is missing; expected a list"),
        (read_jsonl, {**GOOD, "answers": "Ja", "answer_starts": []}, r"line 2: answers: expected a list, got a string"),
        (read_jsonl, {**GOOD, "answers": [1], "answer_starts": [0]}, r"line 2: answers\[0\]: expected a string, got"),
        (read_jsonl, {**GOOD, "answers": ["Ja"], "answer_starts": ["0"]}, r"answer_starts\[0\]: expected a whole"),
        (read_jsonl, {**GOOD, "answers": ["Ja"], "answer_starts": [2]}, r"line 2: answer_starts\[0\]: 2 lies outside"),
        (read_jsonl, {**GOOD, "answers": ["Ja"], "answer_starts": []}, r"answer_starts: it has 0 items for 1 texts"),
        (read_jsonl, {"id": "q", "context": "Ja", "answers": [], "answer_starts": []}, r"line 2: question is missing"),
        (
            read_jsonl,
            {**GOOD, "id": None, "answers": [], "answer_starts": []},
            r"line 2: id: expected a string, got",
        ),
        (read_jsonl, {**GOOD, "title": 1, "answers": [], "answer_starts": []}, r"line 2: title: expected a string"),
        (read_huggingface, {**GOOD, "answers": []}, r"line 2: answers: expected an object, got a list"),
        (read_huggingface, {**GOOD, "answers": {"text": []}}, r"line 2: answers\.answer_start is missing"),
        (
            read_huggingface,
            {**GOOD, "answers": {"text": ["a"], "answer_start": [-1]}},
            r"\.answer_start\[0\]: -1 lies",
        ),
    ],
)
def test_rows_name_line_and_field(tmp_path: Path, read: Read, line: object, message: str) -> None:
    path = write(tmp_path, f"\n{line if isinstance(line, str) else json.dumps(line)}\n")
    with pytest.raises(DatasetError, match=message) as caught:
        list(read(path, Notes()))
    assert "\n" not in str(caught.value)


HEADER = "id,context,question,answers,answer_starts\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,context,question\n", r"x\.csv: its header is 'id, context, question'; expected id, title, context"),
        (f"id,{HEADER}", r"x\.csv: its header is 'id, id, "),
        (f"{HEADER}q,Ja,Was?,Ja,0\n", r"x\.csv: row 1: answers: not JSON \('Ja'\); expected a list in JSON"),
        (f"{HEADER}q,Ja,Was?,[],0\n", r"row 1: answer_starts: expected a list, got a whole number"),
        (f"{HEADER}q,Ja,Was?,[],[]\nq,Ja,Was?\n", r"row 2: it has 3 cells; expected 5"),
        (f'{HEADER}q,"Ja,Was?,[],[]\n', r"x\.csv: line 2: not CSV \(unexpected end of data\)"),
    ],
)
def test_rows_refuse_other_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        list(read_csv(write(tmp_path, text, "x.csv"), Notes()))


def test_rows_refuse_what_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(HEADER.encode() + b"\xe4")
    with pytest.raises(DatasetError, match=r"x\.csv: byte 42 is not UTF-8"):
        list(read_csv(path, Notes()))


def test_rows_csv_cannot_hold_half_of_a_surrogate_pair(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="half of a surrogate pair"):
        write_text(tmp_path / "x.csv", csv_pieces([QAExample("q", "Was?", "a\ud83d", is_impossible=True)], Notes()))
