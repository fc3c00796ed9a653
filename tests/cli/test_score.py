import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polyspan.datasets import file_signature
from polyspan.evaluation import Origin, Prediction, append, resume
from polyspan.types import QAExample

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CONTEXT = "The harbour of Tessin was built in 1888. It has two piers."
QAS = [
    {"id": "built", "question": "When was it built?", "answers": [{"text": "1888", "answer_start": 35}]},
    {"id": "opera", "question": "Who wrote the opera?", "answers": []},
    {"id": "has", "question": "What does it have?", "answers": [{"text": "The two piers", "answer_start": 47}]},
]
RIGHT = {"built": "1888", "opera": "", "has": "two piers"}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": [{"context": CONTEXT, "qas": QAS}]}]}))
    return path


def write(folder: Path, content: object) -> Path:
    path = folder / "predictions.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def keep(folder: Path, dataset: Path, *rows: Prediction) -> Path:
    """A folder of predictions, as ``polyspan evaluate --out`` keeps them."""
    signature = file_signature(dataset)
    origin = Origin("fake", "0a", "1b", **signature, threshold=0.5, options={"return_no_answer": True})
    file = folder / "kept" / "dataset.predictions.jsonl"
    resume(file, origin, [QAExample(row.id, "?", "x") for row in rows])
    list(append(file, rows))
    return folder / "kept"


ROWS = (
    Prediction("built", "1888", 35, 39, 0.75, 0.125, abstained=False, null_margin=-3.0),
    Prediction("opera", "Tessin", 15, 21, 0.25, 0.5, abstained=True, null_margin=1.0),
    Prediction("has", "two piers", 47, 56, 0.25, 0.5, abstained=True, null_margin=0.75),
)


def test_score_prints_official_keys(polyspan: Run, dataset: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path, RIGHT | {"built": "in 1888"})
    result = polyspan("score", predictions, dataset)
    assert result.returncode == 0
    assert result.stdout.splitlines()[0].split()[:2] == ["exact", "66.67"]
    assert "metric:squad2|normaliser:squad-v2-official" in result.stdout.splitlines()[-1]
    report = json.loads(polyspan("score", predictions, dataset, "--json").stdout)
    assert report["scores"]["f1"] == pytest.approx(100 * (2 / 3 + 2) / 3)
    assert report["scores"]["NoAns_exact"] == 100
    assert set(report["intervals"]) == {"exact", "f1"}


def test_score_by_several_regimes_prints_a_report_each(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path, RIGHT)
    regimes = ("--regime", "squad", "--regime", "mlqa", "--regime", "jsquad", "--regime", "mlqa", "--language", "de")
    reports = json.loads(polyspan_here("score", predictions, dataset, *regimes, "--json").stdout)
    assert [(one["signature"]["metric"], one["signature"]["normaliser"]) for one in reports] == [
        ("squad2", "squad-v2-official"),
        ("squad1", "mlqa-v1-de"),
        ("squad2", "jsquad-v1"),
    ]
    assert [one["scores"]["exact"] for one in reports] == [100, 50, pytest.approx(200 / 3)]  # "The" is an article
    blocks = polyspan_here("score", predictions, dataset, *regimes).stdout.split("\n\n")
    assert [block.splitlines()[-1].partition("|")[0] for block in blocks] == [
        "metric:squad2",
        "metric:squad1",
        "metric:squad2",
    ]


def test_score_squad1_is_a_regime_too(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path, {"built": "1888", "has": "x"})
    short = polyspan_here("score", predictions, dataset, "--squad1")
    assert short.stdout == polyspan_here("score", predictions, dataset, "--regime", "squad1").stdout
    assert short.stdout.splitlines()[0].split()[:2] == ["exact", "50.00"]
    assert "unanswerable_left_out:1" in short.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "predictions.json: not JSON"),
        ([1], "predictions.json: expected an object of question ids and texts, got list"),
        ([{"id": "built", "prediction_text": "1888"}], "expected an object of question ids and texts, got list"),
        (RIGHT | {"has": 1}, "prediction 'has': expected a text (\"\" for no answer), got 1"),
        (RIGHT | {"has": None}, "prediction 'has': expected a text (\"\" for no answer), got None"),
        (RIGHT | {"has": [{"text": "two piers"}]}, "prediction 'has': expected a text"),
        ('{"built": "x", "built": "y"}', "key 'built' occurs twice; expected each key once, remove one"),
        ({"built": "x"}, "predictions: 2 ('opera', 'has') of 3 missing; expected one for each question"),
        (RIGHT | {"other": "x"}, "predictions: 1 ('other') not in the dataset; expected ids of its questions only"),
        ({"other": "x"}, "predictions: 3 ('built', 'opera', 'has') of 3 missing"),
    ],
)
def test_score_names_what_is_wrong_with_predictions(
    polyspan_here: Run, dataset: Path, tmp_path: Path, content: object, message: str
) -> None:
    result = polyspan_here("score", write(tmp_path, content), dataset)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"built": NaN, "opera": 0.5, "has": 0}', "no-answer probability 'built': expected a finite number, got nan"),
        (
            '{"built": 1e999, "opera": 0.5, "has": 0}',
            "no-answer probability 'built': expected a finite number, got inf",
        ),
        ('{"built": "0.5", "opera": 0.5, "has": 0}', "no-answer probability 'built': expected a finite number"),
        ('{"built": 0.5}', "no-answer probabilities: 2 ('opera', 'has') of 3 missing"),
        ("[0.5]", "expected an object of question ids and numbers, got list"),
    ],
)
def test_score_names_what_is_wrong_with_probabilities(
    polyspan_here: Run, dataset: Path, tmp_path: Path, content: str, message: str
) -> None:
    probabilities = tmp_path / "na.json"
    probabilities.write_text(content)
    result = polyspan_here("score", write(tmp_path, RIGHT), dataset, "--na-probs", probabilities)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_score_goes_on_without_missing_ids_on_demand(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    predictions = write(tmp_path, {"built": "1888", "other": "x"})
    report = json.loads(polyspan_here("score", predictions, dataset, "--allow-missing", "--json").stdout)
    assert (report["scores"]["exact"], report["scores"]["total"], report["signature"]["missing"]) == (100, 1, 2)
    squad1 = json.loads(polyspan_here("score", predictions, dataset, "--allow-missing", "--squad1", "--json").stdout)
    assert (squad1["scores"]["exact"], squad1["scores"]["total"], squad1["signature"]["missing"]) == (50, 2, 1)
    nothing = polyspan_here("score", write(tmp_path, {"other": "x"}), dataset, "--allow-missing")
    assert "none is for a question of the dataset" in nothing.stderr


def test_score_refuses_what_cannot_be_scored(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    predictions, probabilities = write(tmp_path, RIGHT), tmp_path / "na.json"
    probabilities.write_text(json.dumps(dict.fromkeys(RIGHT, 0.5)))
    for arguments, message in (
        ((tmp_path / "none.json", dataset), "none.json: No such file or directory; expected a file to read"),
        ((predictions, tmp_path / "none.json"), "none.json: No such file or directory; expected a file to read"),
        ((predictions, predictions), "predictions.json: data is missing"),
        ((predictions, dataset, "--regime", "mlqa"), "language '': MLQA's script knows only"),
        ((predictions, dataset, "--regime", "selective"), "it holds no probabilities, which selective scores need"),
        ((predictions, dataset, "--squad1", "--na-probs", probabilities), "it knows no unanswerable questions"),
        ((predictions, dataset, "--na-probs", probabilities, "--na-threshold", "nan"), "expected a number, got NaN"),
    ):
        result = polyspan_here("score", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr


def test_score_takes_kept_predictions(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    folder = keep(tmp_path, dataset, *ROWS)
    file = folder / "dataset.predictions.jsonl"
    regimes = ("--regime", "squad", "--regime", "squad1", "--regime", "selective")
    reports = json.loads(polyspan_here("score", folder, dataset, *regimes, "--json").stdout)
    assert [one["signature"]["metric"] for one in reports] == ["squad2", "squad1", "selective"]
    assert all(one["signature"]["model"] == "fake" for one in reports)
    squad, squad1, selective = (one["scores"] for one in reports)
    assert (squad["exact"], squad["best_exact"], squad1["exact"]) == (pytest.approx(200 / 3), 100, 100)
    assert (squad["best_exact_thresh"], reports[0]["signature"]["na_threshold"]) == (0.75, 0.5)
    assert selective["brier"] == pytest.approx((0.25**2 + 0.5**2 + 0.5**2) / 3)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    for path in (file, packed):
        assert json.loads(polyspan_here("score", path, dataset, *regimes, "--json").stdout) == reports
    shown = polyspan_here("score", folder, dataset, "--regime", "selective").stdout
    assert f"brier               {selective['brier']:>10.4f}   (" in shown


def test_score_weights_selective_scores_to_a_prior(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    folder = keep(tmp_path, dataset, *ROWS)
    options = ("--regime", "selective", "--json", "--prior")
    report = json.loads(polyspan_here("score", folder, dataset, *options, "0.5").stdout)
    assert report["scores"]["accuracy"] == pytest.approx(0.75)  # half of all rightly abstained, a quarter answered
    assert report["signature"]["prior"] == 0.5
    assert polyspan_here("score", folder, dataset, *options, "1.5").returncode == 2


def test_score_draws_kept_predictions(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    folder, report, plots = keep(tmp_path, dataset, *ROWS), tmp_path / "new" / "report.html", tmp_path / "plots"
    plain = polyspan_here("score", folder, dataset)
    drawn = polyspan_here("score", folder, dataset, "--report", report, "--plots", plots)
    assert (drawn.returncode, drawn.stdout, drawn.stderr) == (0, plain.stdout, "")
    assert {path.name for path in plots.iterdir()} == {"risk-coverage.png", "reliability.png", "thresholds.png"}
    assert [path.name for path in report.parent.iterdir()] == ["report.html"]
    html = report.read_text(encoding="utf-8")
    exact = json.loads(polyspan_here("score", folder, dataset, "--json").stdout)["scores"]["exact"]
    assert f"<b>{exact:.2f}</b>" in html
    assert ">What does it have?</h3>" in html
    assert html.count("data:image/png;base64,") == 3
    part = keep(tmp_path / "part", dataset, *ROWS[:2])
    again = polyspan_here("score", part, dataset, "--allow-missing", "--prior", "0.25", "--report", report)
    assert again.returncode == 0
    assert "2 questions, 1 of them unanswerable, probabilities and thresholds for a prior of 0.25" in report.read_text()


def test_score_refuses_to_draw_what_it_cannot(
    polyspan_here: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, texts = keep(tmp_path, dataset, *ROWS), write(tmp_path, RIGHT)
    absent = tmp_path / "absent.json"  # it is not even opened
    for arguments, message in (
        ((texts, absent, "--report", "r.html"), "predictions.json: it holds no probabilities"),
        ((absent, dataset, "--report", "r.html"), "absent.json: No such file or directory"),
        ((texts, absent, "--plots", "plots"), "give predictions that polyspan evaluate --out kept"),
        ((folder, absent, "--report", dataset / "r.html"), "dataset.json: cannot be written: "),
        ((folder, absent, "--plots", dataset / "plots"), "plots: cannot be written: "),
        ((folder, dataset, "--report", tmp_path), "is a directory"),
    ):
        result = polyspan_here("score", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for option in ("--report", "--plots"):
        result = polyspan_here("score", folder, absent, option, tmp_path / "new" / "out")
        assert (result.returncode, result.stdout) == (2, "")
        assert 'pip install "polyspan[plots]"' in result.stderr
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"score": 0.75', b'"score": NaN', "line 2: score: expected a finite number from 0 to 1, got nan"),
        (b'"id": "opera"', b'"id": "built"', "line 3: question 'built' stands already in line 2"),
        (b'"id": "opera"', b'"id": "other"', "predictions: 1 ('opera') of 3 missing"),
        (b'{"id": "opera"', b'["id": "opera"', "line 3: not JSON"),
        (b'"text": "1888"', b'"text": 1888', "line 2: text: expected a string"),
        (b'"format_version": 1', b'"format_version": 9', "line 1: expected the beginning of predictions"),
    ],
)
def test_score_names_what_is_wrong_with_kept_predictions(
    polyspan_here: Run, dataset: Path, tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    file = keep(tmp_path, dataset, *ROWS) / "dataset.predictions.jsonl"
    file.write_bytes(file.read_bytes().replace(old, new))
    result = polyspan_here("score", file, dataset)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


def test_score_of_kept_predictions_has_their_own_threshold(polyspan_here: Run, dataset: Path, tmp_path: Path) -> None:
    folder = keep(tmp_path, dataset, *ROWS[:2])
    for option in (("--na-threshold", 0.5), ("--na-probs", dataset)):
        assert "leave --na-probs and --na-threshold out" in polyspan_here("score", folder, dataset, *option).stderr
    report = json.loads(polyspan_here("score", folder, dataset, "--allow-missing", "--json").stdout)
    assert (report["scores"]["exact"], report["signature"]["missing"]) == (100, 1)
    other = polyspan_here("score", folder, write(tmp_path, RIGHT).rename(tmp_path / "other.json"))
    assert other.returncode == 2
