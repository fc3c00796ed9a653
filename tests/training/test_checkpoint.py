from pathlib import Path
from typing import Any

import pytest

from polyspan.errors import InputError, MissingExtraError, ModelError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch
from safetensors import SafetensorError

import polyspan.training.checkpoint as module
from polyspan.training.checkpoint import Progress, load_checkpoint, read_progress, save_checkpoint


def trained(steps: int, seed: int = 0, *, freeze: bool = True) -> tuple[Any, Any]:
    """A model of two layers, the first one perhaps frozen, and its optimiser, after some steps."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    model[0].requires_grad_(not freeze)
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.01)
    learn(model, optimiser, steps)
    return model, optimiser


def learn(model: Any, optimiser: Any, steps: int) -> None:
    for step in range(steps):
        model(torch.full((2, 4), float(step + 1))).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()


def state(model: Any) -> list[bytes]:
    return [parameter.detach().numpy().tobytes() for parameter in model.parameters()]


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("steps", [0, 3])
def test_checkpoint_goes_on_to_the_same_weights(tmp_path: Path, steps: int, *, freeze: bool) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model, optimiser = trained(steps, freeze=freeze)
    save_checkpoint(path, model, optimiser, Progress("run"), {})
    other, other_optimiser = trained(2, freeze=freeze)
    if steps:
        load_checkpoint(path, other, other_optimiser, {})
        assert state(other) == state(model)
    for one, its in ((model, optimiser), (other, other_optimiser)):
        learn(one, its, 4 if steps else 0)
    assert (state(other) == state(model)) == bool(steps)


def test_checkpoint_holds_what_learns_alone(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *trained(1), Progress("run"), {})
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == {
            f"1.{name}|{kind}" for name in ("weight", "bias") for kind in ("weight", "exp_avg", "exp_avg_sq", "step")
        }


def test_checkpoint_keeps_the_average(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model, optimiser = trained(1)
    save_checkpoint(path, model, optimiser, Progress("run"), {"1.bias": torch.tensor([0.25, -4.0])})
    average = {"1.bias": torch.zeros(2)}
    load_checkpoint(path, model, optimiser, average)
    assert average["1.bias"].tolist() == [0.25, -4.0]


def test_checkpoint_keeps_the_progress(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    progress = Progress(
        digest="run",
        epoch=2,
        step=7,
        updates=17,
        windows=9,
        tokens=1234,
        seconds=5.25,
        losses=[1.5, 0.25],
        dev=[{"epoch": 1, "mean_f1": 50.0, "files": {"dev.json": {"f1": 50.0}}}],
        best_epoch=1,
        finished=True,
    )
    save_checkpoint(path, *trained(1), progress, {})
    assert read_progress(path, "run") == progress


def test_checkpoint_that_is_not_there_is_a_new_run(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "checkpoint.safetensors", "run") == Progress("run")


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *trained(1), Progress("another"), {})
    with pytest.raises(InputError, match=r"another recipe or other data \(run another, this is run\)"):
        read_progress(path, "run")


def test_checkpoint_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *trained(1), Progress("run"), {})
    whole = path.read_bytes()
    for content in (b"", b"nonsense", whole[:40], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a checkpoint that can be read") as caught:
            read_progress(path, "run")
        assert "\n" not in str(caught.value)


def test_checkpoint_of_other_safetensors_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "checkpoint.safetensors"
    for metadata in (None, {"progress": "{"}, {"progress": "[]"}, {"progress": '{"digest": "run", "wings": 2}'}):
        save_file({"weight": torch.zeros(2)}, path, metadata)
        with pytest.raises(ModelError, match="not a checkpoint that can be read"):
            read_progress(path, "run")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error: no space")])
def test_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *trained(1), Progress("run", step=1), {})
    before = path.read_bytes()

    def fail(_: Any, target: Path, *__: Any) -> None:
        Path(target).write_bytes(before[:50])
        raise error

    monkeypatch.setattr(module, "save_file", fail)
    with pytest.raises(InputError, match=r"checkpoint\.safetensors: cannot be written \(.*space.*; make room"):
        save_checkpoint(path, *trained(2), Progress("run", step=2), {})
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_checkpoint_is_not_replaced_before_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, *trained(1), Progress("run", step=1), {})

    def killed(_: Any, target: Path, *__: Any) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", killed)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(path, *trained(2), Progress("run", step=2), {})
    assert read_progress(path, "run").step == 1
    save_checkpoint(path, *trained(2), Progress("run", step=2), {})
    assert read_progress(path, "run").step == 2
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
