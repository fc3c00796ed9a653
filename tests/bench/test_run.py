import json
import sys
from dataclasses import asdict

import pytest

from polyspan import Reader
from polyspan.bench import run
from polyspan.bench.footprint import Errand, Footprint
from polyspan.bench.plot import draw_bench
from polyspan.bench.run import BenchOptions, bench
from polyspan.bench.workloads import PAGE_CHARS, Material
from polyspan.errors import InputError, MissingExtraError


@pytest.fixture
def errands(monkeypatch: pytest.MonkeyPatch) -> list[Errand]:
    """What processes are asked for; they take a second for 1,000 characters, and two to start."""
    asked: list[Errand] = []

    def measure(errand: Errand) -> Footprint:
        asked.append(errand)
        return Footprint(2.0, (len(errand.document) / 1000,) if errand.document else (), 100 * 2**20)

    monkeypatch.setattr(run, "measure_footprint", measure)
    return asked


def test_bench_measures_everything(reader: Reader, material: Material, errands: list[Errand]) -> None:
    found = bench(reader, material, BenchOptions("m", threads=1, runs=2, pages=64))
    assert [len(errand.document) / PAGE_CHARS for errand in errands] == [0, 1, 4, 16, 64]
    assert asdict(errands[0]) == {
        "model": "m",
        "threads": 1,
        "question": "find anna",
        "first": "anna lives in oslo",
        "document": "",
        "runs": 2,
    }
    assert list(found.question_seconds) == [1, 2, 4]
    assert [len(seconds) for seconds in found.question_seconds.values()] == [2, 2, 2]
    assert len(found.latency.reader) == len(found.latency.bare) == 2 * 4
    assert found.latency.p50_ratio > 1
    assert found.cold_start == 2
    assert found.growth["document length"] == 1
    content = json.loads(json.dumps(found.to_json()))
    assert content["documents"][-1] == {"pages": 64, "characters": 192_000, "seconds": [192.0], "peak_mib": 100}
    assert [contest["questions"] for contest in content["contests"]] == [4, 1]
    assert content["model"] == {"name": "fake", "runtime": "FakeScorer"}
    assert content["data"] == material.source


def test_bench_refuses_counts_below_one() -> None:
    for threads, runs, pages in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(InputError, match="must be at least 1, not 0"):
            BenchOptions("m", threads, runs, pages)


@pytest.mark.usefixtures("errands")
def test_bench_as_a_picture(reader: Reader, material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    found = bench(reader, material, BenchOptions("m", runs=1))
    drawn = draw_bench(found)
    assert drawn.startswith(b"\x89PNG\r\n")
    assert drawn == draw_bench(found)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError):
        draw_bench(found)


def test_bench_of_one_question(reader: Reader, errands: list[Errand]) -> None:
    found = bench(reader, Material([("find anna", "anna")], ["anna"], {}), BenchOptions("m", runs=1, pages=1))
    assert list(found.question_seconds) == [1]
    assert len(errands) == 5
