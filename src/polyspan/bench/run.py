"""The whole benchmark of one reader."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from tqdm import tqdm

from polyspan.bench.contest import BareForward, Contest, ReaderRun, Rivals, hold_contest
from polyspan.bench.footprint import Errand, Footprint, measure_footprint
from polyspan.bench.timing import growth_exponent, interleaved, machine, medians
from polyspan.bench.workloads import PAGE_CHARS, Material, Workload, many_paragraphs, own_paragraphs
from polyspan.errors import InputError
from polyspan.reader import Reader

PACKAGES = ("polyspan", "onnxruntime", "tokenizers", "numpy", *["openvino"] * (find_spec("openvino") is not None))
_PARTS_OF_DOCUMENT = (64, 16, 4, 1)
_PARTS_OF_QUESTIONS = (16, 8, 4, 2, 1)


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """``model`` as ``Reader.from_pretrained`` takes it; ``threads`` None leaves their number to the runtime.

    ``runs`` counts beside one that warms up; ``pages``, of 3,000 characters, are those of the long document.
    """

    model: str
    threads: int | None = None
    runs: int = 5
    pages: int = 200
    show_progress: bool = False

    def __post_init__(self) -> None:
        """Refuse counts below 1."""
        for name in ("threads", "runs", "pages"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of single calls, one question on one paragraph each, and of the bare model on the same windows."""

    reader: Sequence[float]
    bare: Sequence[float]

    def to_json(self) -> dict[str, float]:
        """Percentiles in milliseconds; ``p50_ratio`` is the reader's median over the bare model's."""
        return {
            f"{name}_p{percent}_ms": round(1000 * float(np.percentile(seconds, percent)), 3)
            for name, seconds in (("reader", self.reader), ("bare", self.bare))
            for percent in (50, 95)
        } | {"p50_ratio": round(self.p50_ratio, 3)}

    @property
    def p50_ratio(self) -> float:
        """The reader's median over the bare model's."""
        return float(np.median(self.reader) / np.median(self.bare))


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured.

    ``contests`` are over questions on their own paragraphs, and over one question on 100. ``documents`` maps numbers of
    pages to one question's reading of so many, and 0 to that of one paragraph, each in a new process;
    ``question_seconds`` maps numbers of questions, each on its own paragraph, to the reader's seconds, run by run.
    """

    options: BenchOptions
    model: Mapping[str, Any]
    source: Mapping[str, str | int]
    contests: tuple[Contest, Contest]
    latency: Latency
    documents: Mapping[float, Footprint]
    question_seconds: Mapping[int, Sequence[float]]

    @property
    def document_medians(self) -> dict[float, float]:
        """The median seconds of each number of pages."""
        return medians({pages: one.seconds for pages, one in self.documents.items() if pages})

    @property
    def growth(self) -> dict[str, float]:
        """The powers of document length and of the number of questions with which cost grows."""
        return {
            "document length": round(growth_exponent(self.document_medians), 3),
            "number of questions": round(growth_exponent(medians(self.question_seconds)), 3),
        }

    @property
    def cold_start(self) -> float:
        """The median of all processes, in seconds."""
        return float(np.median([one.cold_start for one in self.documents.values()]))

    def to_json(self) -> dict[str, Any]:
        """All of it, with where it was measured."""
        return {
            "model": dict(self.model),
            "data": dict(self.source),
            "threads": self.options.threads,
            "runs": self.options.runs,
            "contests": [contest.to_json() for contest in self.contests],
            "latency of 1 question on 1 paragraph": self.latency.to_json(),
            "seconds from a process's start to its first answer": round(self.cold_start, 3),
            "documents": [
                {
                    "pages": pages,
                    "characters": round(pages * PAGE_CHARS),
                    "seconds": list(one.seconds),
                    "peak_mib": None if one.peak_bytes is None else round(one.peak_bytes / 2**20, 1),
                }
                for pages, one in self.documents.items()
            ],
            "questions": [
                {"questions": count, "seconds": list(seconds)} for count, seconds in self.question_seconds.items()
            ],
            "growth exponents": self.growth,
            **machine(PACKAGES),
        }


def bench(reader: Reader, material: Material, options: BenchOptions, rivals: Rivals | None = None) -> Bench:
    """Measure a reader, opened as the options say, and its rivals.

    Raises:
        InputError: if a peer fails.
        ModelError: if a new process cannot read with the model.
    """
    workloads = own_paragraphs(material), many_paragraphs(material)
    first, second = (
        hold_contest(reader, workload, options.runs, rivals, show_progress=options.show_progress)
        for workload in workloads
    )
    return Bench(
        options=options,
        model={"name": reader.scorer.name, "runtime": type(reader.scorer).__name__},
        source=material.source,
        contests=(first, second),
        latency=_latency(reader, workloads[0], options),
        documents=_documents(material, options),
        question_seconds=_question_growth(reader, workloads[0], options),
    )


def default_threads() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _latency(reader: Reader, workload: Workload, options: BenchOptions) -> Latency:
    """Single calls and the bare model in turn, each question once a run, after a few that do not count."""
    single = [Workload("", [item]) for item in workload.items]
    calls = [(ReaderRun(reader, one), BareForward(reader, one)) for one in single]
    taken: tuple[list[float], list[float]] = [], []
    rounds = [*calls[:3], *(call for _ in range(options.runs) for call in calls)]
    for pair in tqdm(rounds, desc="single calls", unit="q", disable=not options.show_progress):
        for seconds, run in zip(taken, pair, strict=True):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
    warm = len(rounds) - len(calls) * options.runs
    return Latency(taken[0][warm:], taken[1][warm:])


def _documents(material: Material, options: BenchOptions) -> dict[float, Footprint]:
    """A process each for one paragraph alone, and for parts of the long document, the whole last."""
    question, context = material.pairs[0]
    found = {}
    sizes = [0.0, *(options.pages / part for part in _PARTS_OF_DOCUMENT)]
    for pages in tqdm(sizes, desc="long documents", unit="process", disable=not options.show_progress):
        errand = Errand(
            options.model, options.threads, question, context, material.document(pages) if pages else "", options.runs
        )
        found[pages] = measure_footprint(errand)
    return found


def _question_growth(reader: Reader, workload: Workload, options: BenchOptions) -> dict[int, list[float]]:
    """Parts of the questions, the smallest first, in turn."""
    counts = sorted({max(1, len(workload.items) // part) for part in _PARTS_OF_QUESTIONS})
    parts = {str(count): ReaderRun(reader, Workload("", workload.items[:count])) for count in counts}
    seconds = interleaved(parts, options.runs, "numbers of questions", show_progress=options.show_progress)
    return {int(count): taken for count, taken in seconds.items()}
