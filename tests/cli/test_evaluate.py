"""``polyspan evaluate``; published figures too: with a network those of the hub, without one those of a stand-in."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import tiny
from fake_scorer import FakeScorer
from polyspan import Reader, ReadOptions
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.cli import evaluate
from polyspan.evaluation import read_kept

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Published:
    """A model's figures on a SQuAD 2.0 file: its address, md5 and number of questions."""

    model: str
    url: str
    md5: str
    questions: int
    exact: float
    f1: float


SEED = Published(
    model="deepset/xlm-roberta-base-squad2-distilled",
    url="https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v2.0.json",
    md5="246adae8b7002f8679c027697b0b7cf8",
    questions=11_873,
    exact=74.0672,
    f1=76.3992,
)
# The card does not say how these were scored, so they cannot be asked for to the digit.
#
# Below: the same decision about "no answer", decoded otherwise. On deepset/tinyroberta-squad2 deepset's predictions and
# those of transformers' run_qa are 0.17 exact and 0.12 F1 apart (its card, and the hub's check of it). FARM's windows
# step by 128 tokens where polyspan's overlap by 128, and it ranks spans of several windows by their logits alone; but
# only 417 of the questions have a context that takes more than one window of 384 tokens.
#
# Above: another decision. The figures came to the card on 26 July 2022, when Haystack was at 1.6, which let softmaxes
# compete with a squashed sum of logits for "no answer". On deepset/roberta-base-squad2 its evaluation came out 3.7
# exact and 4.7 F1 below SQuAD's script on FARM's predictions (deepset-ai/haystack issue 2853). polyspan abstains where
# the null score beats every span, as FARM did and run_qa does. deepset's guide to distillation, of 2021, gives this
# model 79.0 F1: 2.6 above the card.
#
# FARM and Haystack print no best thresholds, so best_exact and best_f1 have nothing to be compared with.
BELOW, ABOVE = 0.5, 3.0


def stand_in(folder: Path) -> Published:
    """A tiny model of random weights and a file of two questions: it is right on one if it abstains on both or none."""
    pytest.importorskip("torch")
    context = " ".join(tiny.SENTENCES)
    model = tiny.make_reader_folder(folder / "model", "xlm-roberta")
    ModelFolder(model).write_settings(NativeSettings(no_answer=True))  # a random one may seem never to abstain
    never = ReadOptions(return_no_answer=False)
    answer = Reader.from_pretrained(model).read("Who wrote the letter?", [context], never).answers[0]
    qas = [
        {"id": "1", "question": "Who wrote the letter?", "answers": [{"text": answer.text, "answer_start": 0}]},
        {"id": "2", "question": "When was the bridge sold?", "answers": []},
    ]
    source = folder / "source.json"
    source.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    md5 = hashlib.md5(source.read_bytes(), usedforsecurity=False).hexdigest()
    return Published(str(model), source.as_uri(), md5, questions=2, exact=50, f1=50)


@pytest.fixture(
    params=["stand-in", pytest.param("hub", marks=[pytest.mark.network, pytest.mark.timeout(6 * 3600)])]  # on a CPU
)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Published:
    return SEED if request.param == "hub" else stand_in(tmp_path)


def test_evaluate_gives_published_figures(polyspan: Run, published: Published, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset.json"
    with urlopen(published.url, timeout=60) as content:  # noqa: S310 -- one of the two addresses above
        dataset.write_bytes(content.read())
    assert hashlib.md5(dataset.read_bytes(), usedforsecurity=False).hexdigest() == published.md5

    result = polyspan("evaluate", published.model, dataset, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    scores, signature = report["scores"], report["signature"]
    assert published.model.endswith(signature["model"])
    assert (scores["total"], signature["na_threshold"]) == (published.questions, 0)
    assert published.exact - BELOW <= scores["exact"] <= published.exact + ABOVE, scores
    assert published.f1 - BELOW <= scores["f1"] <= published.f1 + ABOVE, scores


TESSIN = "The harbour of Tessin was built in 1888. It has two piers."
HARBOUR: list[dict[str, Any]] = [
    {
        "id": "built",
        "question": "When was the harbour of Tessin built?",
        "answers": [{"text": "1888", "answer_start": 35}],
        "is_impossible": False,
    },
    {"id": "opera", "question": "Which composer wrote the opera about the miller's daughter?", "answers": []},
]
OSLO = "Anna lives in Oslo"
FIND: list[dict[str, Any]] = [
    {"id": "oslo", "question": "find oslo", "answers": [{"text": "Oslo", "answer_start": 14}]},
    {"id": "rome", "question": "find rome", "answers": []},
    {"id": "anna", "question": "find anna", "answers": []},
]


def write(path: Path, context: str, *qas: object) -> Path:
    path.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write(tmp_path / "dataset.json", OSLO, *FIND)


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeScorer:
    """What reads in place of every model."""
    fake = FakeScorer("anna lives in oslo rome")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    reader = Reader(fake, NativeSettings(no_answer=True))
    monkeypatch.setattr(Reader, "from_pretrained", lambda _: reader)
    monkeypatch.setattr(evaluate, "find_model", lambda _: ModelFolder(folder))
    return fake


def test_evaluate_runs_the_shipped_reader(polyspan: Run, tmp_path: Path) -> None:
    dataset = write(tmp_path / "dataset.json", TESSIN, *HARBOUR)
    said, margins, out = tmp_path / "said.json", tmp_path / "margins.json", tmp_path / "out"
    arguments = ("evaluate", "default", dataset, "--json", "--out", out)
    result = polyspan(*arguments, "--predictions", said, "--na-probs", margins)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["scores"]["exact"] == 100
    assert report["scores"]["best_f1"] == 100
    assert report["signature"]["model"]
    assert report["signature"]["no_answer"] == "auto"
    assert json.loads(said.read_text()) == {"built": "1888", "opera": ""}
    values = json.loads(margins.read_text())
    assert values["built"] < report["signature"]["na_threshold"] < values["opera"]
    again = json.loads(polyspan("score", said, dataset, "--json").stdout)
    assert again["scores"]["exact"] == 100
    file = out / "dataset.predictions.jsonl"
    whole = file.read_bytes()
    built = read_kept(file).predictions["built"]
    assert TESSIN[built.start : built.end] == built.text == "1888"
    file.write_bytes(whole[:-20])
    resumed = polyspan(*arguments)
    assert resumed.stdout == result.stdout
    assert "holds the predictions on 1 of 2 questions already" in resumed.stderr
    assert file.read_bytes().splitlines()[:2] == whole.splitlines()[:2]


@pytest.mark.usefixtures("scorer")
def test_evaluate_no_answer_modes(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    never = json.loads(polyspan_here("evaluate", "m", dataset, "--json", "--no-answer", "off").stdout)
    assert never["scores"]["NoAns_exact"] == 0
    assert "best_f1" not in never["scores"]
    answerable = write(tmp_path / "answerable.json", OSLO, FIND[0])
    auto = json.loads(polyspan_here("evaluate", "m", answerable, "--json").stdout)
    assert "best_f1" not in auto["scores"]
    on = json.loads(polyspan_here("evaluate", "m", answerable, "--json", "--no-answer", "on").stdout)
    assert on["scores"]["best_f1"] == 100
    assert on["signature"]["na_threshold"] == 0


@pytest.mark.usefixtures("scorer")
def test_evaluate_unwritable_predictions_are_one_line(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    result = polyspan_here("evaluate", "m", dataset, "--predictions", tmp_path / "no" / "folder.json")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


def test_evaluate_reads_once_for_every_regime(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, tmp_path: Path
) -> None:
    regimes = ("--regime", "squad", "--regime", "mlqa", "--regime", "selective", "--prior", "0.5")
    arguments = ("evaluate", "m", dataset, "--out", tmp_path / "out", "--language", "de", "--json", *regimes)
    first = polyspan_here(*arguments)
    batches = len(scorer.batches)
    reports = json.loads(first.stdout)
    assert [one["signature"]["metric"] for one in reports] == ["squad2", "squad1", "selective"]
    assert reports[0]["scores"]["NoAns_exact"] == 50
    assert reports[2]["signature"]["normaliser"] == "mlqa-extended-de"
    again = polyspan_here(*arguments)
    assert (again.stdout, len(scorer.batches)) == (first.stdout, batches)
    assert "holds the predictions on 3 of 3 questions already" in again.stderr
    kept = json.loads(polyspan_here("score", tmp_path / "out", dataset, *regimes[:2], "--json").stdout)
    assert kept["scores"] == reports[0]["scores"]


def test_evaluate_goes_on_where_it_was_cut_off(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, tmp_path: Path
) -> None:
    arguments = ("evaluate", "m", dataset, "--out", tmp_path / "out")
    first = polyspan_here(*arguments)
    file = tmp_path / "out" / "dataset.predictions.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex(b'"anna"') + 3])
    scorer.batches.clear()
    assert polyspan_here(*arguments).stdout == first.stdout
    assert file.read_bytes() == whole
    assert [rows for rows, _ in scorer.batches] == [1]


def test_evaluate_refuses_predictions_of_another_run(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, tmp_path: Path
) -> None:
    arguments = ("evaluate", "m", dataset, "--out", tmp_path / "out")
    assert polyspan_here(*arguments).returncode == 0
    scorer.batches.clear()
    other = polyspan_here(*arguments, "--no-answer", "off")
    assert (other.returncode, other.stdout, scorer.batches) == (2, "", [])
    assert "threshold 0.0, now None" in other.stderr
    assert "return_no_answer True, now False" in other.stderr
    (tmp_path / "model" / "model.safetensors").write_bytes(b"new")
    assert "(weights " in polyspan_here(*arguments).stderr
    write(dataset, OSLO, *FIND[:2])
    assert "dataset_sha256 " in polyspan_here(*arguments).stderr


@pytest.mark.usefixtures("scorer")
def test_evaluate_of_several_datasets_reports_each_and_all(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    second = write(
        tmp_path / "second.json", "in der Oslo", {**FIND[0], "answers": [{"text": "der Oslo", "answer_start": 3}]}
    )
    options = ("--regime", "mlqa", "--regime", "selective", "--prior", "0.5", "--language", "es", "--json")
    result = polyspan_here("evaluate", "m", dataset, f"{second}:de", "--out", tmp_path / "out", *options)
    reports = json.loads(result.stdout)
    assert [(one["signature"]["dataset"], one["signature"]["normaliser"]) for one in reports[::2]] == [
        ("dataset.json", "mlqa-v1-es"),
        ("second.json", "mlqa-v1-de"),
        ("2 files", "mlqa-v1-es+mlqa-v1-de"),
    ]
    assert [one["scores"]["exact"] for one in reports[::2]] == [100, 100, 100]
    assert ["prior" in one["signature"] for one in reports[1::2]] == [True, False, True]
    assert "second.json: all questions are answerable, so --prior does not count there" in result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "dataset.predictions.jsonl",
        "second.predictions.jsonl",
    }
    clash = polyspan_here("evaluate", "m", dataset, second, "--predictions", said)
    assert "question 'oslo' stands in two datasets" in clash.stderr
    twice = polyspan_here("evaluate", "m", dataset, dataset, "--out", tmp_path / "out")
    assert "two datasets are called dataset.json" in twice.stderr
    other = write(tmp_path / "other.json", OSLO, {**FIND[0], "id": "again"})
    assert polyspan_here("evaluate", "m", dataset, other, "--predictions", said).returncode == 0
    assert json.loads(said.read_text()) == {"oslo": "Oslo", "rome": "", "anna": "Anna", "again": "Oslo"}


@pytest.mark.usefixtures("scorer")
def test_evaluate_draws_all_datasets_together(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    second = write(tmp_path / "second.json", "in der Oslo", FIND[0] | {"answers": [{"text": "in", "answer_start": 0}]})
    report, plots, said = tmp_path / "report.html", tmp_path / "plots", tmp_path / "out"
    options = ("--regime", "mlqa-extended", "--prior", "0.5", "--json", "--report", report, "--plots", plots)
    result = polyspan_here("evaluate", "m", dataset, f"{second}:de", "--out", said, *options)
    names = [one["signature"]["dataset"] for one in json.loads(result.stdout)]
    assert names == ["dataset.json", "second.json", "2 files"]
    assert result.stderr.count("second.json: all questions are answerable, so --prior does not count there") == 1
    html = report.read_text(encoding="utf-8")
    assert all(f'<th scope="row">{name}</th>' in html for name in names)
    assert (plots / "datasets.png").read_bytes().startswith(b"\x89PNG")
    assert html.count("data:image/png;base64,") == 4


def test_evaluate_refuses_to_draw_before_it_reads(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = polyspan_here("evaluate", "m", dataset, "--report", dataset / "report.html")
    assert (result.returncode, result.stdout) == (2, "")
    assert "dataset.json: cannot be written: " in result.stderr
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = polyspan_here("evaluate", "m", dataset, "--plots", dataset.parent)
    assert (result.returncode, result.stdout) == (2, "")
    assert 'pip install "polyspan[plots]"' in result.stderr
    assert scorer.batches == []


def test_evaluate_refuses_regimes_before_it_reads(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, tmp_path: Path
) -> None:
    unanswerable = write(tmp_path / "unanswerable.json", OSLO, *FIND[1:])
    for arguments, message in (
        ((dataset, "--regime", "mlqa"), "language '': MLQA's script knows only"),
        ((unanswerable, "--regime", "squad1"), "regime squad1: the dataset has no answerable question"),
        ((tmp_path / "none.json",), "none.json: No such file"),
        ((dataset, "--prior", "2"), "--prior"),
        ((), "DATASET"),
    ):
        result = polyspan_here("evaluate", "m", *arguments)
        assert result.returncode == 2
        assert message in result.stderr
    assert scorer.batches == []


def test_evaluate_of_a_model_that_always_answers_has_no_thresholds(
    polyspan_here: Run, scorer: FakeScorer, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "from_pretrained", lambda _: Reader(scorer, NativeSettings(no_answer=False)))
    report = json.loads(polyspan_here("evaluate", "m", dataset, "--json", "--no-answer", "on").stdout)
    assert report["scores"]["NoAns_exact"] == 0
    assert "best_f1" not in report["scores"]
