from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Event, Thread
from typing import Any

import numpy as np
import pytest

from fake_scorer import FakeScorer
from polyspan import InputError, ModelError, Reader, ReadOptions
from polyspan.backends import NativeSettings
from polyspan.features import Batch
from polyspan.microbatch import BatcherOptions, MicroBatcher
from polyspan.types import FloatArray

WORDS = ["anna", "bert", "oslo", "rome"]
TEXT = "Anna lives in Rome and Bert in Oslo"
LONG_WAIT = BatcherOptions(wait_seconds=0.5, most_calls=8)


def make_reader(scorer: FakeScorer | None = None) -> Reader:
    return Reader(scorer or FakeScorer(TEXT), NativeSettings(no_answer=True))


class Held(FakeScorer):
    """Scores nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__(TEXT)
        self.go, self.began = Event(), Event()

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        self.began.set()
        assert self.go.wait(10)
        return super().score(batch)


class Poisoned(FakeScorer):
    """Has no numbers for windows that ask for Rome."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = super().score(batch)
        rome = int(self.tokenizer.encode("rome").ids[0])
        for row, ids in enumerate(batch.input_ids):
            if ids[np.flatnonzero(ids == 3)[0] - 1] == rome:
                start[row] = np.nan
        return start, end


def test_microbatch_answers_as_single_calls_in_fewer_batches() -> None:
    reader, alone, together = make_reader(), make_reader(), Barrier(8)
    questions = [f"find {word}" for word in WORDS] * 2
    options = [ReadOptions(), ReadOptions(top_k=1)] * 4

    def ask(number: int) -> Any:
        together.wait()
        return batcher.read(questions[number], (text for text in [TEXT, None]), options[number])

    with MicroBatcher(reader, LONG_WAIT) as batcher, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert found == [alone.read(*one) for one in zip(questions, [[TEXT, None]] * 8, options, strict=True)]
    assert [shape[0] for shape in reader.scorer.batches] == [4, 4]  # type: ignore[attr-defined]


def test_microbatch_hands_errors_to_the_caller_that_caused_them() -> None:
    together = Barrier(4)

    def ask(word: str) -> Any:
        together.wait()
        try:
            return batcher.read(f"find {word}", [TEXT]).answers[0].text
        except ModelError as error:
            return str(error)

    with MicroBatcher(make_reader(Poisoned(TEXT)), LONG_WAIT) as batcher, ThreadPoolExecutor(4) as pool:
        anna, bert, oslo, rome = pool.map(ask, WORDS)
        with pytest.raises(InputError, match="a question must be a text"):
            batcher.read(" ", [TEXT])
        with pytest.raises(InputError, match="document 0 is a int"):
            batcher.read("find anna", [3])  # type: ignore[list-item]
        with pytest.raises(InputError, match="max_seq_len 9999 is more than fake can see"):
            batcher.read("find anna", [TEXT], replace(ReadOptions(), max_seq_len=9999))
        assert batcher.read("find anna", [TEXT]).answers[0].text == "Anna"
    assert (anna, bert, oslo) == ("Anna", "Bert", "Oslo")
    assert "its logits are not finite numbers" in rome


def test_microbatch_closes_when_all_that_was_asked_is_answered() -> None:
    scorer = Held()
    batcher = MicroBatcher(make_reader(scorer), BatcherOptions(wait_seconds=0, most_waiting=2))
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(batcher.read, f"find {word}", [TEXT]) for word in [*WORDS, "anna"]]
        assert scorer.began.wait(10)
        closing = Thread(target=batcher.close)
        closing.start()
        closing.join(0.05)
        assert closing.is_alive()
        assert not any(one.done() for one in waiting)
        scorer.go.set()
        closing.join(10)
        assert not closing.is_alive()
        for one in waiting:  # a call that came too late is refused, none is forgotten
            assert isinstance(one.exception(10), InputError) or one.result().answers
    assert sum(one.exception() is None for one in waiting) >= 1
    batcher.close()
    with pytest.raises(InputError, match="the batcher is closed"):
        batcher.read("find anna", [TEXT])


@pytest.mark.parametrize("wrong", [{"wait_seconds": -1}, {"most_calls": 0}, {"most_waiting": 0}])
def test_microbatch_refuses_what_gathers_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="wait_seconds must be at least 0"):
        BatcherOptions(**wrong)
