import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fake_encoder import FakeEncoder
from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.cli import open_domain

Run = Callable[..., "subprocess.CompletedProcess[str]"]

TOWNS = [f"town{number}" for number in range(12)]


def write(path: Path, towns: list[str], *absent: str) -> Path:
    """A question for each town, of a context of its own, and questions for others that the first context lacks."""
    paragraphs: list[dict[str, Any]] = [
        {
            "context": f"Anna lives in {town} .",
            "qas": [{"id": town, "question": f"find {town}", "answers": [{"text": town, "answer_start": 14}]}],
        }
        for town in towns
    ]
    paragraphs[0]["qas"] += [{"id": one, "question": f"find {one}", "answers": []} for one in absent]
    path.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": paragraphs}]}))
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write(tmp_path / "dev.json", TOWNS, "paris")


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeScorer:
    """What reads in place of every model."""
    fake = FakeScorer(" ".join([*TOWNS, "anna lives in . paris"]))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    reader = Reader(fake, NativeSettings(no_answer=True))
    monkeypatch.setattr(Reader, "from_pretrained", lambda _: reader)
    monkeypatch.setattr(open_domain, "find_model", lambda _: ModelFolder(folder))
    return fake


@pytest.mark.usefixtures("scorer")
def test_open_domain_scores_ranking_and_answers(polyspan_here: Run, dataset: Path) -> None:
    report = json.loads(polyspan_here("open-domain", "m", dataset, "--json").stdout)
    scores, signature = report["scores"], report["signature"]
    figures = ("gold_recall_at_1", "answer_recall_at_10", "gold_mrr_at_10", "exact_at_1", "f1_at_5", "NoAns_exact")
    assert [scores[name] for name in figures] == [100] * 6
    assert (scores["total"], scores["HasAns_total"]) == (13, 12)
    assert report["intervals"]["exact_at_1"] == [100, 100]
    said = ("dataset", "no_answer", "na_threshold", "ranking", "passages_read", "documents", "passages", "top_k", "n")
    assert [signature[name] for name in said] == ["dev.json", "on", 0, "bm25", 10, 12, 12, "1,5,10", 13]
    text = polyspan_here("open-domain", "m", dataset, "--top-k", 3, "--passages", 2).stdout
    assert "exact_at_3" in text
    assert "exact_at_1" not in text
    assert text.splitlines()[-1].startswith("metric:open-domain|normaliser:squad+characters|dataset:dev.json|")


@pytest.mark.usefixtures("scorer")
def test_open_domain_without_abstaining_asks_answerable_questions_only(polyspan_here: Run, dataset: Path) -> None:
    report = json.loads(polyspan_here("open-domain", "m", dataset, "--json", "--no-answer", "off").stdout)
    assert report["scores"]["total"] == 12
    assert report["signature"]["no_answer"] == "off"
    assert not {"na_threshold", "NoAns_exact"} & {*report["scores"], *report["signature"]}


@pytest.mark.usefixtures("scorer")
def test_open_domain_searches_further_documents(polyspan_here: Run, tmp_path: Path) -> None:
    few, others = write(tmp_path / "few.json", TOWNS[:3]), write(tmp_path / "others.json", TOWNS)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("Nobody lives in Rome .")
    options = ("--documents", others, "--documents", tmp_path / "notes", "--json")
    report = json.loads(polyspan_here("open-domain", "m", few, *options).stdout)
    assert report["scores"]["total"] == 3
    assert report["signature"]["documents"] == 13  # three of the others are the dataset's own
    assert report["signature"]["no_answer"] == "off"


@pytest.mark.usefixtures("scorer")
def test_open_domain_of_several_datasets_has_a_report_each_and_one_of_all(
    polyspan_here: Run, dataset: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other.json", ["paris"])
    reports = json.loads(polyspan_here("open-domain", "m", dataset, other, "--json").stdout)
    assert [one["signature"]["dataset"] for one in reports] == ["dev.json", "other.json", "2 files"]
    assert [one["scores"]["total"] for one in reports] == [13, 1, 14]
    assert {one["signature"]["documents"] for one in reports} == {13}
    assert [one["scores"].get("NoAns_exact") for one in reports] == [0, None, 0]  # paris stands in the other dataset
    assert [one["scores"]["exact_at_1"] for one in reports] == [100, 100, 100]


def test_open_domain_goes_on_where_it_was_cut_off(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, tmp_path: Path
) -> None:
    arguments = ("open-domain", "m", dataset, "--out", tmp_path / "out", "--sample", 5, "--json")
    first = polyspan_here(*arguments)
    report = json.loads(first.stdout)
    assert (report["scores"]["total"], report["signature"]["sample"]) == (5, 5)
    file = tmp_path / "out" / "dev.open-domain.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    scorer.batches.clear()
    again = polyspan_here(*arguments)
    assert again.stdout == first.stdout
    assert "holds what was found for 4 of 5 questions already" in again.stderr
    assert sum(rows for rows, _ in scorer.batches) == 10
    assert file.read_bytes() == whole
    scorer.batches.clear()
    other = polyspan_here(*arguments, "--passages", 4)
    assert (other.returncode, scorer.batches) == (2, [])
    assert "passages_read 10, now 4" in other.stderr


def test_open_domain_refuses_bad_input_before_it_reads(
    polyspan_here: Run, monkeypatch: pytest.MonkeyPatch, dataset: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(Reader, "from_pretrained", lambda _: pytest.fail("the model was opened"))
    small = write(tmp_path / "small.json", TOWNS[:3])
    unanswerable = tmp_path / "unanswerable.json"
    qas = [{"id": "a", "question": "?", "answers": []}]
    unanswerable.write_text(json.dumps({"data": [{"paragraphs": [{"context": "in Oslo", "qas": qas}]}]}))
    for arguments, message in (
        ((tmp_path / "none.json",), "none.json: No such file"),
        ((dataset, "--documents", tmp_path / "none.txt"), "none.txt"),
        ((dataset, dataset), "two datasets are called dev.json"),
        ((small,), "the collection has 3 passages; expected more than the 10 that are ranked"),
        ((dataset, "--passages", 12), "the collection has 12 passages; expected more than the 12 that are ranked"),
        ((dataset, unanswerable), "unanswerable.json: none of 1 questions is answerable"),
        ((dataset, "--top-k", 0), "--top-k"),
        ((dataset, "--sample", 0), "--sample"),
        ((), "DATASET"),
    ):
        result = polyspan_here("open-domain", "m", *arguments)
        assert result.returncode == 2
        assert message in result.stderr


@pytest.mark.usefixtures("scorer")
def test_open_domain_ranks_by_an_index(
    polyspan_here: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_domain, "open_encoder", lambda _: FakeEncoder())
    index = tmp_path / "index"
    reports = {}
    for ranking in ("words", "vectors", "hybrid"):
        call = (
            "open-domain",
            "m",
            dataset,
            "--json",
            "--ranking",
            ranking,
            "--index",
            index,
            "--out",
            tmp_path / ranking,
        )
        reports[ranking] = json.loads(polyspan_here(*call).stdout)
        assert json.loads(polyspan_here(*call).stdout) == reports[ranking]
    assert all(report["scores"]["gold_recall_at_1"] == 100 for report in reports.values())
    assert reports["hybrid"]["signature"]["ranking"] == "hybrid"
    assert reports["hybrid"]["signature"]["encoder_digest"] == "fake0"
    mixed = polyspan_here(
        "open-domain", "m", dataset, "--ranking", "words", "--index", index, "--out", tmp_path / "hybrid"
    )
    assert mixed.returncode == 2
    other = write(tmp_path / "other.json", TOWNS)
    assert (
        "holds documents of no such dataset"
        in polyspan_here("open-domain", "m", other, "--ranking", "words", "--index", index).stderr
    )
    assert "any other ranking needs one" in polyspan_here("open-domain", "m", dataset, "--ranking", "words").stderr
