"""The call forms of transformers 4.57, each as its own argument handler takes them, and the errors it raises."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polyspan import InputError
from polyspan.interop.transformers import QuestionAnsweringArgumentHandler, SquadExample
from polyspan.interop.transformers.arguments import CallOptions, MissingKeyError

Q, C = "Where does the ferry land?", "The ferry lands in Elm Bay."
PAIR = {"question": Q, "context": C}
parse = QuestionAnsweringArgumentHandler()


class Numbered:
    """A dataset as torch has them: items by number and a length, and no iterator."""

    def __getitem__(self, number: int) -> dict[str, str]:
        return PAIR

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize(
    ("given", "named", "count"),
    [
        ((Q, C), {}, 1),
        ((), PAIR, 1),
        ((), {"question": [Q], "context": C}, 1),
        ((), {"question": [Q, Q], "context": C}, 2),
        ((), {"question": [Q, Q], "context": [C, C]}, 2),
        ((PAIR,), {}, 1),
        (([PAIR],), {}, 1),
        (([PAIR, PAIR],), {}, 2),
        (((PAIR, PAIR),), {}, 2),
        ((PAIR, PAIR, PAIR), {}, 3),
        (({"question": [Q, Q], "context": [C, C]},), {}, 2),
        (({"question": [Q, Q], "context": C},), {}, 2),
        ((SquadExample(None, Q, C),), {}, 1),
        (([SquadExample("1", Q, C, "Elm Bay", 19, "ferries"), PAIR],), {}, 2),
        ((SimpleNamespace(question_text=Q, context_text=C, doc_tokens=C.split()),), {}, 1),
        ((), {"X": PAIR}, 1),
        ((), {"X": [PAIR]}, 1),
        ((), {"data": PAIR}, 1),
        ((), {"data": [PAIR, PAIR]}, 2),
        (({**PAIR, "id": "17", "answers": {"text": ["Elm Bay"]}},), {}, 1),
        (([],), {}, 0),
    ],
)
def test_arguments_every_call_form(given: tuple[Any, ...], named: dict[str, Any], count: int) -> None:
    assert parse(*given, **named) == [SquadExample(None, Q, C)] * count


def test_arguments_streams_stay_streams() -> None:
    taken = []

    def endless() -> Iterator[Any]:
        while True:
            taken.append(1)
            yield PAIR

    stream = parse(endless())
    assert not isinstance(stream, list)
    assert [next(stream) for _ in range(3)] == [SquadExample(None, Q, C)] * 3
    assert len(taken) == 3
    assert len(list(parse(Numbered()))) == 3
    assert not isinstance(parse(Numbered()), list)


@pytest.mark.parametrize("given", [{"context": C}, {"question": Q}, [{"context": C}], [PAIR, {"question": Q}]])
def test_arguments_missing_key_is_a_key_error(given: Any) -> None:
    with pytest.raises(KeyError, match=r"^an example has no (question|context)") as caught:
        parse(given)
    assert isinstance(caught.value, MissingKeyError | InputError)


@pytest.mark.parametrize("fault", [None, "", 7, {"This": "is odd"}, ["a list"]])
@pytest.mark.parametrize("side", ["question", "context"])
def test_arguments_bad_text_is_a_value_error(side: str, fault: Any) -> None:
    if side == "question" and isinstance(fault, list):
        fault = [""]
    bad = {**PAIR, side: fault}
    forms: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), bad), ((bad,), {}), (([PAIR, bad],), {})]
    for given, named in forms:
        with pytest.raises(ValueError, match=r"with something in it|expected as many of both"):
            parse(*given, **named)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((None,), {}),
        ((1,), {}),
        ((Q,), {}),
        ((None, C), {}),
        (("", C), {}),
        ((Q, None), {}),
        ((Q, ""), {}),
        ((), {"Y": None}),
        ((), {}),
        ((), {"question": Q}),
        ((), {"question": [Q, Q], "context": [C, C, C]}),
        ((), {"question": [Q, Q, Q], "context": [C, C]}),
        ((), {"question": Q, "context": [C]}),
        (([[PAIR]],), {}),
    ],
)
def test_arguments_nonsense_is_a_value_error(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w+ .*"):
        parse(*given, **named)


@pytest.mark.parametrize(
    "fault",
    [
        {"top_k": 0},
        {"topk": -1},
        {"top_k": 1.5},
        {"top_k": True},
        {"max_answer_len": 0},
        {"max_seq_len": -5},
        {"max_question_len": 0},
        {"batch_size": 0},
        {"doc_stride": -1},
        {"doc_stride": 300, "max_seq_len": 200},
    ],
)
@pytest.mark.filterwarnings("ignore:topk")
def test_arguments_bad_numbers_are_value_errors(fault: dict[str, Any]) -> None:
    name = next(iter(fault)).replace("topk", "top_k")
    with pytest.raises(ValueError, match=name):
        CallOptions().updated(fault)


def test_arguments_none_is_not_given() -> None:
    options = CallOptions(top_k=3, handle_impossible_answer=True)
    assert options.updated({"top_k": None, "handle_impossible_answer": None, "padding": True}) == options
    assert options.updated({"top_k": np.int64(2), "doc_stride": 0}) == replace(options, top_k=2, doc_stride=0)


def test_arguments_old_name_of_top_k() -> None:
    with pytest.warns(UserWarning, match="topk is the old name of top_k"):
        assert CallOptions().updated({"topk": 4}).top_k == 4
    with pytest.warns(UserWarning, match="topk"):
        assert CallOptions().updated({"topk": 4, "top_k": 2}).top_k == 2


def test_arguments_unknown_names_are_named() -> None:
    with pytest.warns(UserWarning, match="max_seq_length, truncation: no such argument"):
        CallOptions().updated({"truncation": True, "max_seq_length": 512})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CallOptions().updated({"padding": "max_length", "num_workers": 4})
