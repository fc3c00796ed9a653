import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyspan.datasets.fields import Notes
from polyspan.datasets.formats.label_studio import label_studio_pieces, read_label_studio
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

CONTEXT = "Ein 🐱 schläft.\nEin Hund bellt."


def region(start: int, end: int, **value: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": ["Answer"], **value}
    return {"id": "r1", "from_name": "answer", "to_name": "text", "type": "labels", "value": value}


def task(*regions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    annotation = {"id": 3, "was_cancelled": False, "result": list(regions), "completed_by": 1}
    data = {"text": CONTEXT, "question": "Wer?"}
    return {"id": 41, "data": data, "annotations": [annotation], "predictions": [], **changes}


def read(folder: Path, content: object, notes: Notes | None = None) -> list[QAExample]:
    path = folder / "export.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return [example for _, example in read_label_studio(path, Notes() if notes is None else notes)]


def test_label_studio_reads_spans_over_the_text(tmp_path: Path) -> None:
    choice = {"type": "choices", "value": {"choices": ["hard"]}}
    answers = (GoldAnswer("🐱", 4), GoldAnswer("Hund", 19))
    example = QAExample("41", "Wer?", CONTEXT, answers)
    assert read(tmp_path, [task(region(4, 5, text="🐱"), choice, region(19, 23))]) == [example]


@pytest.mark.parametrize(
    ("start", "end", "text", "answer"),
    [
        (20, 24, "Hund", GoldAnswer("Hund", 19)),  # UTF-16 code units
        (4, 6, "🐱", GoldAnswer("🐱", 4)),
        (6, 18, "schläft.\\nEin", GoldAnswer("schläft.\nEin", 6)),  # line ends written out
        (6, 18, "schläft. Ein", GoldAnswer("schläft.\nEin", 6)),
    ],
)
def test_label_studio_counts_as_the_text_tells(
    tmp_path: Path, start: int, end: int, text: str, answer: GoldAnswer
) -> None:
    notes = Notes()
    (example,) = read(tmp_path, [task(region(start, end, text=text))], notes)
    assert example.answers == (answer,)
    assert not notes


def test_label_studio_keeps_texts_that_differ_and_says_so(tmp_path: Path) -> None:
    notes = Notes()
    (example,) = read(tmp_path, [task(region(0, 4, text="Hund"))], notes)
    assert example.answers == (GoldAnswer("Hund", 0),)
    assert list(notes.values()) == [1]


def test_label_studio_takes_all_annotators(tmp_path: Path) -> None:
    annotations = [
        {"result": []},
        {"result": [region(19, 23)], "was_cancelled": True},
        {"result": [region(4, 5)]},
        {"result": [region(4, 5)]},
    ]
    (example,) = read(tmp_path, [task(annotations=annotations)])
    assert example.answers == (GoldAnswer("🐱", 4),) * 2


def test_label_studio_tells_no_answer_from_not_annotated(tmp_path: Path) -> None:
    notes = Notes()
    data = {"id": 7, "title": "Tiere", "question": "Wo?", "context": CONTEXT, "source": "book"}
    skipped = {"result": [], "was_cancelled": True}
    examples = read(tmp_path, [task(data=data), task(annotations=[]), task(annotations=[skipped])], notes)
    assert examples == [QAExample("7", "Wo?", CONTEXT, (), is_impossible=True, title="Tiere")]
    assert notes == {"tasks without an annotation left out": 2, "fields 'source' left out": 1}


def test_label_studio_writes_tasks_to_import() -> None:
    examples = [
        QAExample("q1", "Wer?", CONTEXT, (GoldAnswer("🐱", 4),), title="Tiere"),
        QAExample("q2", "Wo?", CONTEXT, (), is_impossible=True),
    ]
    first, second = json.loads("".join(label_studio_pieces(examples, Notes())))
    assert first["data"] == {"id": "q1", "title": "Tiere", "question": "Wer?", "text": CONTEXT}
    ((written,),) = [annotation["result"] for annotation in first["annotations"]]
    assert (written["from_name"], written["to_name"], written["type"]) == ("answer", "text", "labels")
    assert written["value"] == {"start": 4, "end": 5, "text": "🐱", "labels": ["Answer"]}
    assert (second["id"], second["annotations"]) == (2, [{"result": []}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, _r: t.pop("data"), r"export\.json: tasks\[0\]\.data is missing; expected an object"),
        (lambda t, _r: t.pop("annotations"), r"tasks\[0\]\.annotations is missing; expected a list"),
        (lambda t, _r: t["data"].pop("question"), r"tasks\[0\]\.data\.question is missing; expected a string"),
        (lambda t, _r: t["data"].update(text=1), r"tasks\[0\]\.data\.text: expected a string, got a whole number"),
        (lambda t, _r: t.pop("id"), r"tasks\[0\]\.id is missing"),
        (lambda _t, r: r["value"].update(start="4"), r"annotations\[0\]\.result\[0\]\.value\.start: expected a whole"),
        (lambda _t, r: r["value"].update(start=40), r"result\[0\]\.value\.start: 40 lies outside the context"),
    ],
)
def test_label_studio_names_task_and_field(tmp_path: Path, change: Callable[..., object], message: str) -> None:
    content = task(region(4, 5))
    change(content, content["annotations"][0]["result"][0])
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, [content])


def test_label_studio_refuses_other_json(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"export\.json: expected a list, got an object"):
        read(tmp_path, {"data": []})
