import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from polyspan.datasets import file_signature
from polyspan.evaluation import Origin, Prediction, append, resume
from polyspan.types import QAExample

Run = Callable[..., "subprocess.CompletedProcess[str]"]
IDS = [f"q{number}" for number in range(20)]
A = dict.fromkeys(IDS, "1888")
B = {**A, **dict.fromkeys(IDS[:12], ""), "q19": "in\ud83d 1888"}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    qas = [{"id": key, "question": f"When, {key}?", "answers": [{"text": "1888", "answer_start": 9}]} for key in IDS]
    qas[1]["answers"] = []
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Built in 1888.", "qas": qas}]}]}))
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(A))
    b.write_text(json.dumps(B))
    return a, b


def test_compare_prints_differences_tests_and_changed_questions(
    polyspan: Run, dataset: Path, files: tuple[Path, Path]
) -> None:
    result = polyspan("compare", *files, dataset)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[1].split()[:4] == ["exact", "95.00", "40.00", "-55.00"]
    assert lines[2].split()[0] == "f1"
    assert lines[3] == "right only in A: 12, only in B: 1; McNemar's p 0.0034"
    assert "right in A, wrong in B: 12" in lines
    assert sum(line.startswith("    q") for line in lines) == 11
    assert "    … 2 more, which --changed all lists" in lines
    first = lines.index('    q0: "When, q0?"')
    assert lines[first + 1 : first + 4] == ['        gold  "1888"', '        A     "1888"', "        B     no answer"]
    only = lines.index("wrong in A, right in B: 1")
    assert lines[only + 1 : only + 5] == [
        '    q1: "When, q1?"',
        "        gold  no answer",
        '        A     "1888"',
        "        B     no answer",
    ]
    assert lines[-1].startswith("metric:paired-squad2|normaliser:squad-v2-official|dataset:dataset.json|")
    assert f"|a:{files[0]}|b:{files[1]}|n:20|" in lines[-1]


def test_compare_lists_as_many_as_wanted(polyspan_here: Run, dataset: Path, files: tuple[Path, Path]) -> None:
    everything = polyspan_here("compare", *files, dataset, "--changed", "all").stdout
    assert '    q19: "When, q19?"' in everything
    assert '        B     "in\\ud83d 1888"' in everything
    assert "When" not in polyspan_here("compare", *files, dataset, "--changed", "0").stdout
    found = json.loads(polyspan_here("compare", *files, dataset, "--changed", "2", "--json").stdout)
    assert [one["id"] for one in found["right_to_wrong"]] == ["q0", "q2"]
    assert found["right_to_wrong"][0] == {"id": "q0", "question": "When, q0?", "gold": ["1888"], "a": "1888", "b": ""}
    assert (found["a"]["exact"], found["b"]["exact"], found["mcnemar"]["only_a"]) == (95, 40, 12)
    assert found["difference"]["exact"]["low"] < -55 < found["difference"]["exact"]["high"] < 0
    assert found["difference"]["exact"]["p_value"] < 0.05
    for wrong in ("-1", "some", "1.5"):
        assert polyspan_here("compare", *files, dataset, "--changed", wrong).returncode == 2


def test_compare_by_other_regimes(polyspan_here: Run, dataset: Path, files: tuple[Path, Path]) -> None:
    found = json.loads(
        polyspan_here("compare", *files, dataset, "--regime", "mlqa", "--language", "de", "--json").stdout
    )
    assert (found["signature"]["normaliser"], found["signature"]["n"]) == ("mlqa-v1-de", 19)
    assert polyspan_here("compare", *files, dataset, "--regime", "mlqa").returncode == 2
    assert polyspan_here("compare", *files, dataset, "--regime", "selective").returncode == 2


def test_compare_takes_kept_predictions_too(
    polyspan_here: Run, dataset: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    file = folder / "dataset.predictions.jsonl"
    origin = Origin("fake", "0a", "1b", **file_signature(dataset), threshold=0.0, options={})
    examples = [QAExample(key, "?", "x") for key in IDS]
    resume(file, origin, examples)
    list(
        append(
            file,
            (
                Prediction(key, "1888", 9, 13, 0.5, 0.5, abstained=not B[key], null_margin=0.0 if B[key] else 1.0)
                for key in IDS
            ),
        )
    )
    for kept in (folder, file):
        found = json.loads(polyspan_here("compare", files[0], kept, dataset, "--json").stdout)
        assert (found["b"]["exact"], found["mcnemar"]) == (45, {"only_a": 11, "only_b": 1, "p_value": 26 / 4096})
        never = json.loads(polyspan_here("compare", files[0], kept, dataset, "--regime", "squad1", "--json").stdout)
        assert never["b"]["exact"] == 100  # SQuAD 1.1 knows no abstaining


def test_compare_names_the_file_with_bad_ids(polyspan_here: Run, dataset: Path, files: tuple[Path, Path]) -> None:
    files[1].write_text(json.dumps({"q0": "1888", "other": "x"}))
    result = polyspan_here("compare", *files, dataset)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{files[1]}: 19 ('q1', 'q2', 'q3', …) of 20 missing" in result.stderr
    found = json.loads(polyspan_here("compare", *files, dataset, "--allow-missing", "--json").stdout)
    assert found["signature"]["n"] == 1
