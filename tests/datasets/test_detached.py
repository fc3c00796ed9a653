import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.datasets.detached import read_detached, write_detached
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

CONTEXT = "Die Brücke wurde 1874 eröffnet."


def key(context: str) -> str:
    return sha256(context.encode()).hexdigest()[:16]


def detached(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_detached_finds_the_texts_and_passes_over_questions_about_others(tmp_path: Path) -> None:
    path = detached(
        tmp_path / "en.jsonl",
        {"context": key("another"), "question": "Who?", "answers": [[0, 400]]},
        {"context": key(CONTEXT), "question": "When?", "answers": [[17, 21]]},
        {"context": key(CONTEXT), "question": "When was it closed?", "answers": []},
    )
    found, absent = read_detached(path, ["text", CONTEXT, CONTEXT])
    assert (found.question, found.context, found.answers) == ("When?", CONTEXT, (GoldAnswer("1874", 17),))
    assert (absent.question, absent.answers, absent.is_impossible) == ("When was it closed?", (), True)
    assert found.id != absent.id


@given(context=st.text(min_size=1), data=st.data())
def test_detached_questions_come_back_as_they_went(
    tmp_path_factory: pytest.TempPathFactory, context: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    answer = GoldAnswer(context[start:end], start)
    path = tmp_path_factory.mktemp("detached") / "a.jsonl"
    write_detached(path, [QAExample("1", "?", context, (answer,))])
    (one,) = read_detached(path, [context])
    assert (one.question, one.context, one.answers) == ("?", context, (answer,))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"question": "When?", "answers": []}, r"line 1: context is missing"),
        ({"context": key(CONTEXT), "question": 3, "answers": []}, r"line 1: question: expected a string"),
        ({"context": key(CONTEXT), "question": "?", "answers": [[17]]}, r"line 1: answers\[0\]: expected two whole"),
        ({"context": key(CONTEXT), "question": "?", "answers": [[17, True]]}, r"answers\[0\]: expected two whole"),
        ({"context": key(CONTEXT), "question": "?", "answers": [[17, 17]]}, r"17 to 17 is no span of its text of 31"),
        ({"context": key(CONTEXT), "question": "?", "answers": [[17, 32]]}, r"17 to 32 is no span"),
    ],
)
def test_detached_names_what_is_wrong(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_detached(detached(tmp_path / "en.jsonl", record), [CONTEXT])
