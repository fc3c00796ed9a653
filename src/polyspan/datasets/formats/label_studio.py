"""Label Studio's JSON: tasks with ``text`` and ``question``, annotated with labelled spans over the text.

The labelling configuration that goes with it:
``<View><Text name="question" value="$question"/><Labels name="answer" toName="text"><Label value="Answer"/></Labels>
<Text name="text" value="$text"/></View>``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import (
    Notes,
    PlacedExamples,
    field,
    identifier,
    items,
    note_unread,
    quoted_answer,
    same_letters,
    typed,
)
from polyspan.datasets.jsonfile import read_json
from polyspan.datasets.writing import json_text
from polyspan.types import GoldAnswer, QAExample


def read_label_studio(path: Path, notes: Notes) -> PlacedExamples:
    """The questions of a Label Studio export: each span of each annotator is an answer, none at all is "no answer".

    The context is the task's ``text`` (or ``context``), the id its ``id`` in ``data``, else the task's own. Tasks that
    nobody annotated, or that every annotator skipped, are left out. Raises DatasetError.
    """
    for task, where in items({"tasks": typed(read_json(path), list, f"{path}:")}, "tasks", f"{path}:"):
        data = field(task, "data", dict, where)
        where_data = f"{where}.data"
        note_unread(data, ("id", "title", "question", "text", "context"), notes)
        context = field(data, "context" if "context" in data else "text", str, where_data)
        annotations = [
            (annotation, place)
            for annotation, place in items(task, "annotations", where)
            if not annotation.get("was_cancelled")
        ]
        if not annotations:
            notes["tasks without an annotation left out"] += 1
            continue
        answers = tuple(
            answer for annotation, place in annotations for answer in _spans(annotation, context, place, notes)
        )
        example = QAExample(
            id=identifier(data, "id", where_data) if "id" in data else identifier(task, "id", where),
            question=field(data, "question", str, where_data),
            context=context,
            answers=answers,
            is_impossible=not answers,
            title=field(data, "title", str, where_data) if "title" in data else "",
        )
        yield where, example


def label_studio_pieces(examples: Sequence[QAExample], notes: Notes) -> Iterator[str]:  # noqa: ARG001 -- a writer's signature
    """Tasks that Label Studio imports with their annotations."""
    yield json_text([_task(number, example) for number, example in enumerate(examples, start=1)])


def _spans(annotation: dict[str, Any], context: str, place: str, notes: Notes) -> Iterator[GoldAnswer]:
    for region, where in items(annotation, "result", place):
        value = region.get("value")
        # Other regions are choices, ratings and typed texts.
        if isinstance(value, dict) and "labels" in value:
            where_value = f"{where}.value"
            start, end = (field(value, name, int, where_value) for name in ("start", "end"))
            # Label Studio can be told not to store the text.
            text = field(value, "text", str, where_value) if "text" in value else context[start:end]
            # Some versions count as JavaScript does: characters beyond U+FFFF twice.
            spans = [(start, end), (_code_points(context, start), _code_points(context, end))]
            span = min(spans, key=lambda span: _disagreement(context[slice(*span)], text))
            yield quoted_answer(text, span, context, f"{where_value}.start", notes)


def _disagreement(quote: str, text: str) -> int:
    return 0 if quote == text else 1 if same_letters(quote, text) else 2


def _code_points(text: str, units: int) -> int:
    """How many characters are the first UTF-16 code units of a text."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore"))


def _task(number: int, example: QAExample) -> dict[str, Any]:
    result = [
        {
            "id": f"answer-{number}-{position}",
            "from_name": "answer",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": answer.start,
                "end": answer.start + len(answer.text),
                "text": answer.text,
                "labels": ["Answer"],
            },
        }
        for position, answer in enumerate(example.answers, start=1)
    ]
    data = {"id": example.id, "title": example.title, "question": example.question, "text": example.context}
    return {"id": number, "data": data, "annotations": [{"result": result}]}
