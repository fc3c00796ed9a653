from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError
from polyspan.features import PairTokenizer
from tiny import make_tokenizer

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch
from accelerate import Accelerator

from polyspan.backends import ModelFolder
from polyspan.training import RunSettings, parse_recipe
from polyspan.training.batches import plan_epoch
from polyspan.training.checkpoint import Progress, read_progress
from polyspan.training.examples import TrainingSet, make_training_set
from polyspan.training.loop import Loop, rate_factor
from polyspan.training.model import open_student, parameter_groups
from polyspan.training.objective import gold_objective
from polyspan.training.recipe import Optimisation

shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"warmup": 0.2}, {0: 0, 0.1: 0.5, 0.2: 1, 0.6: 0.5, 0.8: 0.25, 1: 0}),
        ({"warmup": 0}, {0: 1, 0.25: 0.75, 1: 0}),
        ({"warmup": 1}, {0: 0, 0.5: 0.5, 1: 1}),
        ({"schedule": "constant", "warmup": 0.1, "decay": 0.2}, {0: 0, 0.05: 0.5, 0.1: 1, 0.8: 1, 0.9: 0.5, 1: 0}),
        ({"schedule": "constant", "warmup": 0, "decay": 0}, {0: 1, 0.5: 1, 1: 1}),
        ({"schedule": "constant", "warmup": 0, "decay": 1}, {0: 1, 0.25: 0.75, 1: 0}),
    ],
)
def test_loop_rate_factor(settings: dict[str, Any], expected: dict[float, float]) -> None:
    found = {done: rate_factor(done, Optimisation(**settings)) for done in expected}
    assert found == pytest.approx(expected)


@given(done=shares, warmup=shares, decay=shares, schedule=st.sampled_from(["linear", "constant"]))
def test_loop_rate_factor_is_a_share(done: float, warmup: float, decay: float, schedule: Any) -> None:
    assert 0 <= rate_factor(done, Optimisation(warmup=warmup, decay=decay, schedule=schedule)) <= 1


def set_of(plain: dict[str, Any]) -> TrainingSet:
    return make_training_set(parse_recipe(plain), PairTokenizer(make_tokenizer("wordpiece")), lambda items, *_: items)


def loop_of(plain: dict[str, Any], settings: RunSettings | None = None) -> Loop:
    recipe = parse_recipe(plain)
    model = open_student(ModelFolder(Path(plain["model"])), recipe.optimisation)
    accelerator = Accelerator(cpu=True)
    return Loop(recipe, model, set_of(plain), gold_objective, accelerator, settings or RunSettings())


def test_loop_refuses_epochs_of_less_than_one_step(plain: dict[str, Any], tmp_path: Path) -> None:
    loop = loop_of({**plain, "batch": {"windows": 1}, "gradient_accumulation": 99})
    with pytest.raises(InputError, match=r"epoch 1 has 6 micro-batches, and each step takes 99 .*lower gradient"):
        loop.epoch(Progress("run"), tmp_path / "checkpoint.safetensors", 0)
    plain["data"][0]["weight"] = 0.0
    with pytest.raises(InputError, match=r"epoch 1 has 0 micro-batches"):
        loop_of(plain).epoch(Progress("run"), tmp_path / "checkpoint.safetensors", 0)


def test_loop_gradient_accumulation_equals_a_larger_batch(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["optimisation"] = {"learning_rate": 0.1, "embeds_dropout_prob": 0.0, "warmup": 0.0}
    found = []
    for settings in ({"batch": {"windows": 6}}, {"batch": {"windows": 1}, "gradient_accumulation": 6}):
        loop = loop_of({**plain, **settings})
        # Adam makes steps of the rounding of gradients that should be 0.
        loop.optimiser = torch.optim.SGD(parameter_groups(loop.model, loop.recipe.optimisation))
        for module in loop.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        assert loop.epoch(Progress("run"), tmp_path / "checkpoint.safetensors", 0)
        found.append(loop.model.state_dict())
    torch.testing.assert_close(found[1], found[0])


def test_loop_gives_each_group_its_rate(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["optimisation"] = {"learning_rate": 1e-3, "head_rate": 3.0, "layer_decay": 0.5, "warmup": 0.0}
    loop = loop_of({**plain, "epochs": 1, "batch": {"windows": 6}})
    loop.epoch(Progress("run"), tmp_path / "checkpoint.safetensors", 0)
    assert {one["lr"] for one in loop.optimiser.param_groups} == {3e-3, 1e-3, 5e-4, 2.5e-4}


def test_loop_stops_and_saves_when_time_is_over(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"batch": {"windows": 1}}
    plain["data"][0]["weight"] = 10.0
    checkpoint = tmp_path / "checkpoint.safetensors"
    loop, progress = loop_of(plain, RunSettings(stop_after_seconds=0.0)), Progress("run")
    assert loop.epoch(progress, checkpoint, 0) is False
    assert (progress.epoch, progress.step, len(progress.losses), len(progress.recent)) == (0, 1, 0, 1)
    assert read_progress(checkpoint, "run") == progress
    plan = plan_epoch(loop.training.lengths, loop.training.weights, loop.recipe.batch, [0, 0])
    assert progress.tokens == sum(loop.training.lengths[batch].sum() for batch in plan[:1])


def test_loop_saves_as_often_as_it_is_told(plain: dict[str, Any], tmp_path: Path) -> None:
    plain |= {"batch": {"windows": 1}}
    plain["data"][0]["weight"] = 10.0
    for seconds, saved in ((0.0, True), (1e9, False)):
        checkpoint = tmp_path / f"{saved}.safetensors"
        assert loop_of(plain, RunSettings(checkpoint_seconds=seconds)).epoch(Progress("run"), checkpoint, 0)
        assert checkpoint.exists() == saved
