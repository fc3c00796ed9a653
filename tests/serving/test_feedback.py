from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from polyspan import Document, InputError
from polyspan.serving.feedback import CONTEXT_CHARS, Feedback, FeedbackStore, as_examples, judged
from polyspan.types import GoldAnswer

Serve = Callable[..., TestClient]
ANNA = {"question": "find rome", "document": "uploads/anna.txt"}


def test_feedback_is_kept(serve: Serve, folder: Path) -> None:
    client = serve()
    bodies: list[dict[str, Any]] = [
        {"verdict": "right", "start": 14, "end": 18},
        {"verdict": "wrong", "start": 0, "end": 4},
        {"verdict": "corrected", "start": 0, "end": 4},
        {"verdict": "unanswerable"},
    ]
    for number, body in enumerate(bodies, 1):
        response = client.post("/v1/feedback", json={**ANNA, **body})
        assert (response.status_code, response.json()) == (201, {"id": number})
    kept = FeedbackStore(folder).all()
    assert [one.verdict for one in kept] == ["right", "wrong", "corrected", "unanswerable"]
    assert kept[0] == Feedback("find rome", "uploads/anna.txt", "Anna lives in Rome .", "right", 14, 18)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"verdict": "right"}, 422, "verdict right needs start and end"),
        ({"verdict": "right", "start": 14, "end": 99}, 422, "no answer stands at characters 14 to 99"),
        ({"verdict": "right", "start": 4, "end": 4}, 422, "no answer stands at characters 4 to 4"),
        ({"verdict": "perfect"}, 422, "body.verdict"),
        ({"verdict": "wrong", "document": "other"}, 404, "there is no document 'other'"),
    ],
)
def test_feedback_refuses_what_marks_nothing(serve: Serve, body: dict[str, Any], status: int, reason: str) -> None:
    response = serve().post("/v1/feedback", json={**ANNA, **body})
    assert response.status_code == status
    assert reason in response.json()["detail"]


def test_feedback_keeps_the_text_around_its_span() -> None:
    text = "x" * 10_000 + "Rome" + "y" * 10_000
    one = judged(Document(text, "a"), "right", "where?", 10_000, 10_004)
    assert one.start is not None
    assert one.end is not None
    assert one.context[one.start : one.end] == "Rome"
    assert len(one.context) <= CONTEXT_CHARS
    with pytest.raises(InputError, match="no answer stands"):
        judged(Document(text, "a"), "right", "where?", 0, CONTEXT_CHARS + 1)


def test_feedback_becomes_examples() -> None:
    rows = [
        Feedback("where?", "a", "Anna lives in Rome", "wrong", 0, 4),
        Feedback("where?", "a", "Anna lives in Rome", "right", 0, 4),
        Feedback("where?", "a", "Anna lives in Rome", "corrected", 14, 18),
        Feedback("who?", "b", "Nothing here", "unanswerable", None, None),
    ]
    where, who = as_examples(rows)
    assert (where.question, where.answers, where.is_impossible) == ("where?", (GoldAnswer("Rome", 14),), False)
    assert (who.context, who.answers, who.is_impossible) == ("Nothing here", (), True)
