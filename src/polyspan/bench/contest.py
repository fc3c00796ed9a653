"""Readers, the bare model and peers over one workload, in turn."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polyspan.bench.peers import Peer
from polyspan.bench.timing import Run, interleaved, medians
from polyspan.bench.workloads import Workload
from polyspan.features import Batch, WindowSettings, collate, make_windows, plan_batches
from polyspan.reader import Reader
from polyspan.types import Window

READER, BARE = "reader", "bare forward"


@dataclass(frozen=True, slots=True)
class Rivals:
    """Who else takes part: further ``readers`` and ``peers``' commands by name; ``model`` is the peers' folder."""

    readers: Mapping[str, Reader]
    peers: Mapping[str, Sequence[str]]
    model: Path
    threads: int


@dataclass(frozen=True, slots=True)
class Contest:
    """What a workload costs: the reader's ``windows`` and ``tokens``, and each contestant's ``seconds``, run by run.

    ``equal_answers`` is the share of questions to which a contestant gives the reader's answer; ``versions`` are those
    of the peers' packages.
    """

    workload: str
    questions: int
    windows: int
    tokens: int
    seconds: Mapping[str, Sequence[float]]
    equal_answers: Mapping[str, float]
    versions: Mapping[str, Mapping[str, str]]

    def to_json(self) -> dict[str, Any]:
        """All of it, with medians, throughputs, and the reader's throughput over everybody's."""
        middle = medians(self.seconds)
        return {
            "workload": self.workload,
            "questions": self.questions,
            "windows": self.windows,
            "tokens": self.tokens,
            "medians": middle,
            "tokens_per_second": {name: round(self.tokens / taken, 1) for name, taken in middle.items()},
            "questions_per_second": {name: round(self.questions / taken, 3) for name, taken in middle.items()},
            "ratios": {
                f"reader throughput / {name}": round(taken / middle[READER], 3)
                for name, taken in middle.items()
                if name != READER
            },
            "equal_answers": dict(self.equal_answers),
            "seconds": dict(self.seconds),
            "peers": dict(self.versions),
        }


class ReaderRun:
    """A reader over a workload, as a caller uses it; ``answers`` are those of the last run."""

    def __init__(self, reader: Reader, workload: Workload) -> None:
        self._reader = reader
        self._questions = [question for question, _ in workload.items]
        self._documents = [documents for _, documents in workload.items]
        self._options = replace(reader.defaults, top_k=1, return_no_answer=False)
        self.answers: list[str] = []

    def __call__(self) -> None:
        """One run."""
        readings = self._reader.read_batch(self._questions, self._documents, self._options)
        self.answers = [reading.answers[0].text if reading.answers else "" for reading in readings]


class BareForward:
    """The model alone, over the windows that the reader makes, in batches of like length made beforehand."""

    def __init__(self, reader: Reader, workload: Workload) -> None:
        self._score = reader.scorer.score
        windows = make_all_windows(reader, workload)
        lengths = [len(window.input_ids) for window in windows]
        self.windows, self.tokens = len(windows), sum(lengths)
        self._batches: list[Batch] = [
            collate([windows[i] for i in batch], reader.scorer.tokenizer.pad_id)
            for batch in plan_batches(lengths, reader.defaults.batch_tokens)
        ]

    def __call__(self) -> None:
        """One run."""
        for batch in self._batches:
            self._score(batch)


def make_all_windows(reader: Reader, workload: Workload) -> list[Window]:
    """The windows that a reader makes of a workload."""
    tokenizer, options = reader.scorer.tokenizer, reader.defaults
    sizes = WindowSettings(options.max_seq_len, options.doc_stride, options.max_question_len)
    return [
        window
        for question, documents in workload.items
        for document in documents
        for window in make_windows(
            tokenizer.encode(question).ids, tokenizer.encode(document), tokenizer.template, sizes
        )
    ]


def hold_contest(
    reader: Reader, workload: Workload, runs: int, rivals: Rivals | None = None, *, show_progress: bool = False
) -> Contest:
    """Time the reader, its bare model and all rivals over a workload; InputError where a peer fails."""
    own = ReaderRun(reader, workload)
    bare = BareForward(reader, workload)
    with ExitStack() as stack:
        others: dict[str, ReaderRun | Peer] = {}
        versions = {}
        if rivals is not None:
            others |= {name: ReaderRun(one, workload) for name, one in rivals.readers.items()}
            for name, command in rivals.peers.items():
                peer = stack.enter_context(Peer(name, command, rivals.model, workload, rivals.threads))
                others[name], versions[name] = peer, peer.versions
        contestants: dict[str, Run] = {BARE: bare, READER: own, **others}
        seconds = interleaved(contestants, runs, workload.name, show_progress=show_progress)
    return Contest(
        workload=workload.name,
        questions=len(workload.items),
        windows=bare.windows,
        tokens=bare.tokens,
        seconds=seconds,
        equal_answers={name: _share_of_equal(own.answers, other.answers) for name, other in others.items()},
        versions=versions,
    )


def _share_of_equal(ours: Sequence[str], theirs: Sequence[str]) -> float:
    return round(float(np.mean([a == b for a, b in zip(ours, theirs, strict=True)])), 3)
