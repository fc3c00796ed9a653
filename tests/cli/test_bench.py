import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan import Reader

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PEER = """
import json, sys
items = json.load(open(sys.argv[2]))
print("{}", flush=True)
for line in sys.stdin:
    print(json.dumps({"seconds": 0.5, "answers": ["x"] * len(items)}), flush=True)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    path = tiny.make_reader_folder(tmp_path_factory.mktemp("tiny") / "model")
    tiny.export_onnx(path)
    return path


def test_bench_prints_writes_and_draws(polyspan_here: Run, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "peer.py").write_text(PEER)
    peer = f"other={shlex.join([sys.executable, str(tmp_path / 'peer.py')])}"
    arguments = [
        "--questions",
        3,
        "--runs",
        1,
        "--pages",
        1,
        "--threads",
        1,
        "--also",
        f"again={model}",
        "--peer",
        peer,
    ]
    out, plot = tmp_path / "bench.json", tmp_path / "bench.png"
    result = polyspan_here("bench", model, *arguments, "--out", out, "--plot", plot)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "model (OnnxScorer) on made up, medians of 1 runs"
    assert lines[2].startswith("3 questions, each on its own paragraph (")
    assert [line.split()[0] for line in lines[4:8]] == ["bare", "reader", "again", "other"]
    assert lines[6].endswith("100%")
    assert lines[9].startswith("1 question on 100 paragraphs (")
    assert any(line.startswith("1 pages: ") and "peak memory" in line for line in lines)
    assert plot.read_bytes().startswith(b"\x89PNG\r\n")
    content = json.loads(out.read_text())
    assert content["contests"][0]["medians"]["other"] == 0.5
    assert content["command"].startswith("polyspan bench ")
    assert content["threads"] == 1


def test_bench_as_json_of_a_file(polyspan_here: Run, model: Path, tmp_path: Path) -> None:
    qas = [{"id": "1", "question": "Who wrote the letter?", "answers": []}]
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": tiny.SENTENCES[2], "qas": qas}]}]}))
    result = polyspan_here("bench", model, "--data", file, "--runs", 1, "--pages", 1, "--threads", 1, "--json")
    content = json.loads(result.stdout)
    assert content["data"]["dataset"] == "data.json"
    assert [contest["questions"] for contest in content["contests"]] == [1, 1]


def test_bench_refuses_bad_input_before_it_opens_a_model(
    polyspan_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Reader:
        raise AssertionError("a model was opened")

    monkeypatch.setattr(Reader, "from_pretrained", never)
    for arguments, message in (
        (("--plot", tmp_path / "plot.jpg"), "plot.jpg: expected a name that ends in .png"),
        (("--data", tmp_path / "none.json"), "none.json: No such file"),
        (("--questions", 0), "--questions"),
        (("--runs", 0), "--runs"),
        (("--peer", "nothing"), "--peer nothing: expected NAME=VALUE"),
        (("--peer", "a=python", "--also", "a=default"), "a=…: another contestant has this name"),
        (("--peer", "reader=python"), "another contestant has this name"),
        (("--peer", "a=python 'x"), "command python 'x: No closing quotation"),
        (("--out", tmp_path / "none" / "out.json"), "in a folder that there is"),
    ):
        result = polyspan_here("bench", "default", *arguments)
        assert result.returncode == 2, arguments
        assert message in result.stderr
