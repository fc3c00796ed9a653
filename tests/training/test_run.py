"""Whole runs of a tiny model: learning, stopping, being killed, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiny
from polyspan import InputError, Reader
from polyspan.errors import DatasetError, MissingExtraError, ModelError
from polyspan.features import Batch
from polyspan.types import FloatArray

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from safetensors.numpy import load_file

from polyspan.training import RunSettings, parse_recipe, train
from polyspan.training.run import run_digest

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
    plain |= {"epochs": 40, "optimisation": {"learning_rate": 1e-3, "embeds_dropout_prob": 0.3, "ema_decay": 0.9}}
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


def test_run_on_two_processes_equals_one_with_the_same_global_batch(
    plain: dict[str, Any], squad_file: Path, tmp_path: Path
) -> None:
    # both stop early, at the same epoch: one process measures, and the other hears of it
    plain |= {"epochs": 9, "patience": 2, "batch": {"windows": 1}, "dev": [{"path": str(squad_file)}]}
    finish(run_apart({**plain, "gradient_accumulation": 2}, tmp_path / "one"))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    finish(run_apart(plain, tmp_path / "two", *launcher))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert 3 <= len(losses(tmp_path / "two")) < 9


def test_run_stops_for_now_and_goes_on(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["epochs"] = 30
    stopped = train(parse_recipe(plain), tmp_path / "out", RunSettings(stop_after_seconds=0.0))
    assert not stopped.finished
    assert train(parse_recipe(plain), tmp_path / "out").finished
    whole = train(parse_recipe(plain), tmp_path / "whole")
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    again = train(parse_recipe(plain), tmp_path / "out")
    assert (again.losses, again.windows, again.dev) == (whole.losses, whole.windows, whole.dev)


def test_run_continues_another_with_other_settings(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["optimisation"] |= {"schedule": "constant", "ema_decay": 0.9}
    first = train(parse_recipe(plain), tmp_path / "first")
    still = plain["optimisation"] | {"learning_rate": 1e-30}
    plain |= {"continues": str(tmp_path / "first"), "optimisation": still, "epochs": 1}
    second = train(parse_recipe(plain), tmp_path / "second")
    assert (second.epochs, second.tokens) == (1, first.tokens * 3 / 2)
    kept, went_on = (load_file(tmp_path / name / "training" / "checkpoint.safetensors") for name in ("first", "second"))
    assert all((kept[name] == went_on[name]).all() for name in kept if name.endswith("|weight"))
    assert all((kept[name] != went_on[name]).any() for name in kept if name.endswith("|exp_avg"))
    assert {one.item() for name, one in went_on.items() if name.endswith("|step")} == {
        one.item() * 3 / 2 for name, one in kept.items() if name.endswith("|step")
    }
    shutil.rmtree(tmp_path / "first")
    assert train(parse_recipe(plain), tmp_path / "second").finished  # its own checkpoint is enough


def test_run_continues_no_run_of_other_weights(plain: dict[str, Any], tmp_path: Path) -> None:
    train(parse_recipe(plain), tmp_path / "first")
    plain |= {"continues": str(tmp_path / "first"), "optimisation": {"freeze": ["word_embeddings"]}}
    with pytest.raises(InputError, match=r"does not hold this run's weights, for example .*word_embeddings"):
        train(parse_recipe(plain), tmp_path / "second")
    assert not (tmp_path / "second").exists()  # refused before any long work
    plain["continues"] = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"continues: there is no .*nowhere"):
        train(parse_recipe(plain), tmp_path / "third")


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


def test_run_keeps_each_epoch_where_asked(plain: dict[str, Any], squad_file: Path, tmp_path: Path) -> None:
    plain |= {"epochs": 3, "dev": [{"path": str(squad_file)}]}
    report = train(parse_recipe(plain), tmp_path / "out", RunSettings(keep_epochs=True))
    epochs = tmp_path / "out" / "training" / "epochs"
    assert sorted(path.name for path in epochs.iterdir()) == ["1", "2", "3"]
    assert weights(epochs / str(report.best_epoch)) == weights(tmp_path / "out")
    assert weights(epochs / "1") != weights(epochs / "3")
    assert (epochs / "1" / "README.md").is_file()
    assert Reader.from_pretrained(epochs / "1").settings.no_answer is True


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


def test_run_with_a_new_head_depends_on_the_seed_alone(plain: dict[str, Any], student: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    AutoModel.from_pretrained(student).save_pretrained(tmp_path / "encoder")
    shutil.copy(student / "tokenizer.json", tmp_path / "encoder")
    plain |= {"model": str(tmp_path / "encoder"), "epochs": 1}
    found = []
    for number, seed in enumerate((5, 5, 6)):
        torch.manual_seed(number)
        train(parse_recipe({**plain, "seed": seed}), tmp_path / str(number))
        found.append(weights(tmp_path / str(number)))
    assert found[0] == found[1]
    assert found[0]["qa_outputs.weight"] != found[2]["qa_outputs.weight"]


def test_run_in_another_precision_in_the_same_process(plain: dict[str, Any], student: Path, tmp_path: Path) -> None:
    plain["epochs"] = 1
    found = []
    for number, precision in enumerate(("float32", "bfloat16", "float32")):
        train(parse_recipe({**plain, "precision": precision}), tmp_path / str(number))
        found.append(weights(tmp_path / str(number)))
    assert found[0] == found[2]
    assert found[0] != found[1]
    assert {name: len(value) for name, value in found[1].items()} == {
        name: len(value) for name, value in weights(student).items()
    }


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The windows that readers score from now on, call by call."""
    from polyspan.backends.torch import TorchScorer

    calls: list[int] = []
    score = TorchScorer.score

    def counting(self: TorchScorer, batch: Batch) -> tuple[FloatArray, FloatArray]:
        calls.append(len(batch.input_ids))
        return score(self, batch)

    monkeypatch.setattr(TorchScorer, "score", counting)
    return calls


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of another tokenizer than the student's."""
    return tiny.make_reader_folder(tmp_path_factory.mktemp("teacher") / "reader", "roberta", positions=256)


def test_run_distils_across_tokenizers_and_reads_once(
    plain: dict[str, Any], teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch)
    plain |= {"epochs": 30, "distillation": {"teachers": [{"model": str(teacher)}], "distillation_loss_weight": 1.0}}
    settings = RunSettings(cache=tmp_path / "cache")
    first = train(parse_recipe(plain), tmp_path / "one", settings)
    assert sum(calls) == first.windows
    assert first.losses[-1] < 0.7 * first.losses[0]
    calls.clear()
    train(parse_recipe(plain), tmp_path / "two", settings)
    assert train(parse_recipe({**plain, "seed": 1, "epochs": 1}), tmp_path / "three", settings).finished
    assert calls == []
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert {path.name for path in (tmp_path / "one" / "training").iterdir()} == {
        "checkpoint.safetensors",
        "report.json",
    }
    assert Reader.from_pretrained(tmp_path / "one").settings.no_answer is True


def test_run_learns_from_teachers_alone_and_goes_on_without_reading_again(
    plain: dict[str, Any], teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch)
    plain["data"][0]["labelled"] = False
    plain["distillation"] = {"teachers": [{"model": str(teacher)}], "temperature": 2.0}
    whole = train(parse_recipe(plain), tmp_path / "whole")
    calls.clear()
    stopped = train(parse_recipe(plain), tmp_path / "out", RunSettings(stop_after_seconds=0.0))
    assert not stopped.finished
    assert sum(calls) == whole.windows
    assert train(parse_recipe(plain), tmp_path / "out").losses == whole.losses
    assert sum(calls) == whole.windows
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    settings = json.loads((tmp_path / "out" / "polyspan.json").read_text())
    assert settings["no_answer"] is None  # teachers may have taught it or not


def test_run_by_haystack1_needs_the_students_tokenizer(
    plain: dict[str, Any], teacher: Path, student: Path, tmp_path: Path
) -> None:
    for loss in ("haystack1", "mse"):
        plain["distillation"] = {"teachers": [{"model": str(teacher)}], "loss": loss}
        with pytest.raises(InputError, match=f"loss {loss} needs a teacher with the student's own tokenizer"):
            train(parse_recipe(plain), tmp_path / "out")
        assert not (tmp_path / "out").exists()
        plain["distillation"]["teachers"] = [{"model": str(student)}]
        assert train(parse_recipe(plain), tmp_path / loss).finished


def test_run_refuses_a_teacher_without_a_head(plain: dict[str, Any], student: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(student).save_pretrained(tmp_path / "encoder")
    shutil.copy(student / "tokenizer.json", tmp_path / "encoder")
    plain["distillation"] = {"teachers": [{"model": str(student)}, {"model": str(tmp_path / "encoder")}]}
    with pytest.raises(ModelError, match="has no weights for qa_outputs"):
        train(parse_recipe(plain), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_refuses_windows_that_the_student_cannot_see(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["windows"] = {"max_seq_len": 65}
    with pytest.raises(InputError, match=r"windows\.max_seq_len 65 is more than .* can see: 64 tokens"):
        train(parse_recipe(plain), tmp_path / "out")


def test_run_refuses_dev_files_that_it_could_not_measure_on(
    plain: dict[str, Any], squad_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.json").write_text(squad_file.read_text().replace("Who wrote the users?", " "))
    (tmp_path / "broken.json").write_text("{")
    expected = {"empty": "question 'none' is empty", "broken": "not JSON", "nowhere": "No such file"}
    for name, message in expected.items():
        with pytest.raises(DatasetError, match=message):
            train(parse_recipe({**plain, "dev": [{"path": str(tmp_path / f"{name}.json")}]}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_refuses_a_file_as_its_folder(plain: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("dear")
    with pytest.raises(InputError, match="is a file; give a new folder"):
        train(parse_recipe(plain), tmp_path / "out")


def test_run_digest_tells_settings_and_contents_apart_and_not_places(
    plain: dict[str, Any], squad_file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    shutil.copy(squad_file, copy)
    before = run_digest(parse_recipe(plain))
    assert run_digest(parse_recipe({**plain, "data": [{"path": str(copy), "language": "en"}]})) == before
    assert run_digest(parse_recipe({**plain, "epochs": 3})) != before
    copy.write_text(squad_file.read_text() + " ")
    assert run_digest(parse_recipe({**plain, "data": [{"path": str(copy), "language": "en"}]})) != before
