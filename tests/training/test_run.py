"""Whole runs of a tiny model: learning, stopping, being killed, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polyspan import InputError, Reader
from polyspan.errors import DatasetError, MissingExtraError, ModelError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from safetensors.numpy import load_file

from polyspan.training import RunSettings, parse_recipe, train

RUN = """
import json, sys
import torch
from pathlib import Path
from polyspan.training import RunSettings, parse_recipe, train
torch.set_num_threads(1)
recipe, out, seconds = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), float(sys.argv[3])
train(parse_recipe(recipe), out, RunSettings(checkpoint_seconds=seconds))
"""


def weights(folder: Path) -> dict[str, Any]:
    return {name: value.tobytes() for name, value in load_file(folder / "model.safetensors").items()}


def run_apart(plain: dict[str, Any], out: Path, *launcher: str, seconds: float = 300.0) -> "subprocess.Popen[bytes]":
    """The same run in a process of its own."""
    recipe, script = out.with_name(f"{out.name}.json"), out.with_name("run.py")
    recipe.write_text(json.dumps(plain))
    script.write_text(RUN)
    command = [sys.executable, *launcher, str(script), str(recipe), str(out), str(seconds)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: "subprocess.Popen[bytes]") -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def losses(folder: Path) -> list[float]:
    content = json.loads((folder / "training" / "report.json").read_text())
    found: list[float] = content["losses"]
    return found


def test_run_learns_its_data_and_opens_as_a_reader(plain: dict[str, Any], squad_file: Path, tmp_path: Path) -> None:
    plain |= {"epochs": 4, "dev": [{"path": str(squad_file)}], "name": "facts"}
    plain["data"] = [{"path": str(squad_file), "weight": 40}]
    report = train(parse_recipe(plain), tmp_path / "out")
    assert report.finished
    assert report.losses[-1] < 0.2 * report.losses[0]
    assert max(entry["mean_f1"] for entry in report.dev) == 100
    reader = Reader.from_pretrained(tmp_path / "out")
    assert reader.settings.name == "facts"
    assert reader.settings.no_answer is True
    reading = reader.read(
        "When was the bridge opened?", "The bridge was opened in 1874. The letter was written by Ada."
    )
    assert reading.answers[0].text == "1874"


def test_run_killed_at_any_step_ends_with_the_same_weights(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"epochs": 40, "optimisation": {"learning_rate": 1e-3, "embeds_dropout_prob": 0.3}}
    finish(run_apart(plain, tmp_path / "whole"))
    checkpoint = tmp_path / "cut" / "training" / "checkpoint.safetensors"
    for _ in range(3):
        process = run_apart(plain, tmp_path / "cut", seconds=0.0)
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.poll() is None and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert checkpoint.exists()
    finish(run_apart(plain, tmp_path / "cut"))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_run_on_two_processes_equals_one_with_the_same_global_batch(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"epochs": 6, "batch": {"windows": 1}}
    finish(run_apart({**plain, "gradient_accumulation": 2}, tmp_path / "one"))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    finish(run_apart(plain, tmp_path / "two", *launcher))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)


def test_run_stops_for_now_and_goes_on(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["epochs"] = 30
    stopped = train(parse_recipe(plain), tmp_path / "out", RunSettings(stop_after_seconds=0.0))
    assert not stopped.finished
    assert train(parse_recipe(plain), tmp_path / "out").finished
    whole = train(parse_recipe(plain), tmp_path / "whole")
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    assert train(parse_recipe(plain), tmp_path / "out").losses == whole.losses


def test_run_stops_early_and_keeps_the_best(plain: dict[str, Any], squad_file: Path, tmp_path: Path) -> None:
    plain |= {"epochs": 50, "patience": 2, "dev": [{"path": str(squad_file)}]}
    plain["optimisation"] = {"learning_rate": 1e-12}
    report = train(parse_recipe(plain), tmp_path / "out")
    assert (report.epochs, report.best_epoch) == (3, 1)


def test_run_refuses_another_runs_checkpoint(plain: dict[str, Any], tmp_path: Path) -> None:
    train(parse_recipe(plain), tmp_path / "out")
    before = weights(tmp_path / "out")
    with pytest.raises(InputError, match="of another recipe or other data"):
        train(parse_recipe({**plain, "seed": 1}), tmp_path / "out")
    assert weights(tmp_path / "out") == before


def test_run_refuses_a_folder_with_other_things_in_it(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"holds letter\.txt already"):
        train(parse_recipe(plain), tmp_path)


def test_run_refuses_a_broken_checkpoint(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out" / "training").mkdir(parents=True)
    (tmp_path / "out" / "training" / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="not a checkpoint that can be read"):
        train(parse_recipe(plain), tmp_path / "out")


def test_run_refuses_a_full_disk(plain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000))
    with pytest.raises(InputError, match="MB are free there"):
        train(parse_recipe(plain), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_refuses_an_answer_that_is_not_in_its_context(
    plain: dict[str, Any], squad_file: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(squad_file.read_text().replace('"answer_start": 25', '"answer_start": 3'))
    plain["data"] = [{"path": str(broken)}]
    with pytest.raises(DatasetError, match=r"does not stand at character 3 of the context; see polyspan data check"):
        train(parse_recipe(plain), tmp_path / "out")


def test_run_refuses_broken_data_and_missing_models(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DatasetError, match="not JSON"):
        train(parse_recipe({**plain, "data": [{"path": str(tmp_path / "broken.json")}]}), tmp_path / "out")
    with pytest.raises(ModelError, match="no such folder"):
        train(parse_recipe({**plain, "model": str(tmp_path / "nowhere")}), tmp_path / "out")
    with pytest.raises(InputError, match="no module 'wings'"):
        train(parse_recipe({**plain, "optimisation": {"freeze": ["wings"]}}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_leaves_frozen_modules_as_they_were(plain: dict[str, Any], student: Path, tmp_path: Path) -> None:
    plain["optimisation"] = {"learning_rate": 1e-2, "freeze": ["word_embeddings"]}
    train(parse_recipe(plain), tmp_path / "out")
    before, after = weights(student), weights(tmp_path / "out")
    changed = {name for name in before if before[name] != after[name]}
    assert "bert.embeddings.word_embeddings.weight" not in changed
    assert "qa_outputs.weight" in changed
