import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan import InputError, Reader
from polyspan.backends import ModelFolder
from polyspan.errors import MissingExtraError, ModelError
from polyspan.features import PairTokenizer, WindowSettings, make_windows

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch
from safetensors.torch import load_file

from polyspan.backends.torch import takes_types
from polyspan.training import RunSettings, parse_recipe, train
from polyspan.training.examples import TrainingWindow
from polyspan.training.intermediate import ROLES, attention_projections, make_lesson, recorded
from polyspan.training.losses import attention_loss, hidden_loss, relation_loss, span_loss
from polyspan.training.model import LESSON, open_model, own_weights, parameter_groups
from polyspan.training.objective import DistillationObjective, make_micro_batch
from polyspan.training.recipe import Distillation, Intermediate, Optimisation, TeacherSpec

SELF = "encoder.layer.1.attention.self.{}"
# What gives the queries, keys and values of the last of two layers.
PROJECTIONS = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "electra", "camembert"),
        tuple(SELF.format(name) for name in ("query", "key", "value")),
    ),
    "distilbert": tuple(f"transformer.layer.1.attention.{name}_lin" for name in "qkv"),
    "mpnet": tuple(f"encoder.layer.1.attention.attn.{name}" for name in "qkv"),
    "deberta-v2": tuple(SELF.format(f"{name}_proj") for name in ("query", "key", "value")),
}
IDS = torch.tensor([[2, 9, 14, 3, 8, 7, 21, 3], [2, 11, 3, 12, 3, 0, 0, 0]])
MASK = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
TYPES = torch.tensor([[0] * 4 + [1] * 4, [0] * 3 + [1] * 2 + [0] * 3])
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
RELATIONS, LAYERS = Intermediate(), Intermediate(kind="layers")
RUN = """
import json, sys, torch
from pathlib import Path
from polyspan.training import parse_recipe, train
torch.set_num_threads(1)
train(parse_recipe(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2]))
"""

FolderOf = Callable[..., Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """A model of two layers and two heads, or with other sizes and then with other weights."""

    @cache
    def make(architecture: str, **sizes: int) -> Path:
        folder = tmp_path_factory.mktemp("models") / architecture
        tiny.make_reader_folder(folder, architecture, positions=64)
        if sizes:
            from transformers import AutoConfig, AutoModelForQuestionAnswering

            torch.manual_seed(1)
            config = AutoConfig.from_pretrained(folder, **sizes)
            models_of: Any = AutoModelForQuestionAnswering
            models_of.from_config(config).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def model_of(folder_of: FolderOf) -> Callable[..., Any]:
    """In evaluation mode, so that the same input gives the same output."""

    def make(architecture: str, **sizes: int) -> Any:
        return open_model(ModelFolder(folder_of(architecture, **sizes))).eval()

    return make


def inside(model: Any, **given: torch.Tensor) -> Any:
    return model(**INPUTS, **given, output_hidden_states=True, output_attentions=True)


@pytest.mark.parametrize("architecture", PROJECTIONS)
def test_intermediate_records_queries_keys_and_values(model_of: Callable[..., Any], architecture: str) -> None:
    model = model_of(architecture)
    weights = {name.partition(".")[2]: values for name, values in model.state_dict().items()}
    plain = model(**INPUTS)
    modules = attention_projections(model, 1)
    assert tuple(modules) == ROLES
    with recorded(modules) as found:
        output = model(**INPUTS, output_hidden_states=True)
    torch.testing.assert_close(output.start_logits, plain.start_logits)
    states = output.hidden_states[1]
    for role, name in zip(ROLES, PROJECTIONS[architecture], strict=True):
        by_hand = states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        torch.testing.assert_close(found[role], by_hand, atol=1e-5, rtol=1e-5)


def test_intermediate_takes_its_hooks_away(model_of: Callable[..., Any]) -> None:
    modules = attention_projections(model_of("bert"), 0)
    with recorded(modules):
        assert all(module._forward_hooks for module in modules.values())
    assert not any(module._forward_hooks for module in modules.values())
    with suppress(RuntimeError), recorded(modules):
        raise RuntimeError
    assert not any(module._forward_hooks for module in modules.values())


@pytest.mark.parametrize("settings", [RELATIONS, LAYERS], ids=lambda settings: settings.kind)
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_intermediate_of_a_teacher_like_the_student_is_zero(
    model_of: Callable[..., Any], architecture: str, settings: Intermediate
) -> None:
    student, teacher = model_of(architecture), model_of(architecture)
    if architecture not in PROJECTIONS and settings is RELATIONS:
        with pytest.raises(InputError, match="no queries, keys and values that can be told apart in layer 1 of 2"):
            make_lesson(settings, student, teacher)
        return
    lesson = make_lesson(settings, student, teacher)
    inputs = {**INPUTS, "token_type_ids": TYPES} if takes_types(student) else INPUTS
    output, loss = lesson(student, inputs, TYPES)
    assert output.start_logits.shape == IDS.shape
    assert loss.shape == (2,)
    torch.testing.assert_close(loss, torch.zeros(2), atol=1e-6, rtol=0)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(1.5)
    assert (lesson(student, inputs, TYPES)[1] > 1e-4).all()


def test_intermediate_relations_by_hand(model_of: Callable[..., Any]) -> None:
    student, teacher = model_of("roberta"), model_of("roberta", hidden_size=48, num_hidden_layers=3)
    lesson = make_lesson(Intermediate(weight=2.5, teacher_layer=1, relation_heads=4), student, teacher)
    with recorded(attention_projections(student, 1)) as mine, recorded(attention_projections(teacher, 1)) as theirs:
        student(**INPUTS)
        teacher(**INPUTS)
    mask = MASK.bool()
    each = [relation_loss(mine[role], theirs[role], mask, 4) for role in ROLES]
    _, loss = lesson(student, INPUTS, TYPES)
    torch.testing.assert_close(loss, 2.5 * (each[0] + each[1] + each[2]) / 3)
    assert loss.requires_grad
    assert list(lesson.parameters()) == []
    last = make_lesson(Intermediate(relation_heads=4), student, teacher)(student, INPUTS, TYPES)[1]
    assert (last != loss / 2.5).all()


def test_intermediate_layers_by_hand(model_of: Callable[..., Any]) -> None:
    student, teacher = model_of("roberta"), model_of("roberta", hidden_size=48, num_hidden_layers=4)
    lesson = make_lesson(Intermediate(kind="layers", weight=2.5), student, teacher)
    assert [parameter.shape for parameter in lesson.parameters()] == [(48, 32)] * 3
    mine, theirs, mask = inside(student), inside(teacher), MASK.bool()
    padding = torch.nn.Linear(32, 48, bias=False)
    with torch.no_grad():
        padding.weight.copy_(torch.eye(48, 32))
    hidden = torch.stack(
        [
            hidden_loss(mine.hidden_states[one], theirs.hidden_states[other], mask, padding)
            for one, other in ((0, 0), (1, 2), (2, 4))
        ]
    )
    attention = torch.stack(
        [attention_loss(mine.attentions[one], theirs.attentions[other], mask) for one, other in ((0, 1), (1, 3))]
    )
    _, loss = lesson(student, INPUTS, TYPES)
    torch.testing.assert_close(loss, 2.5 * (hidden.mean(0) + attention.mean(0)))
    loss.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in lesson.parameters())
    assert student.get_input_embeddings().weight.grad.any()
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize("settings", [RELATIONS, LAYERS], ids=lambda settings: settings.kind)
def test_intermediate_padding_changes_nothing(model_of: Callable[..., Any], settings: Intermediate) -> None:
    student = model_of("bert")
    lesson = make_lesson(settings, student, model_of("bert", num_hidden_layers=4))
    cut = {name: values[1:, :5] for name, values in INPUTS.items()}
    torch.testing.assert_close(lesson(student, INPUTS, TYPES)[1][1:], lesson(student, cut, TYPES[1:, :5])[1])


def test_intermediate_is_computed_in_float32(model_of: Callable[..., Any]) -> None:
    student, teacher = model_of("bert"), model_of("bert", num_hidden_layers=4)
    for settings in (RELATIONS, LAYERS):
        lesson = make_lesson(settings, student, teacher)
        _, exact = lesson(student, INPUTS, TYPES)
        with torch.autocast("cpu", torch.bfloat16):
            _, loss = lesson(student, INPUTS, TYPES)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact, atol=0.02, rtol=0.05)


def test_intermediate_gives_each_model_the_type_ids_that_it_takes(model_of: Callable[..., Any]) -> None:
    bert, distilbert = model_of("bert"), model_of("distilbert")
    given: list[Mapping[str, Any]] = []
    bert.register_forward_pre_hook(lambda _, __, inputs: given.append(inputs), with_kwargs=True)
    distilbert.register_forward_pre_hook(lambda _, __, inputs: given.append(inputs), with_kwargs=True)
    make_lesson(RELATIONS, distilbert, bert)(distilbert, INPUTS, TYPES)
    make_lesson(RELATIONS, bert, distilbert)(bert, {**INPUTS, "token_type_ids": TYPES}, TYPES)
    names = [set(one) & {"token_type_ids"} for one in given]
    assert names == [set(), {"token_type_ids"}, {"token_type_ids"}, set()]
    assert given[1]["token_type_ids"] is TYPES


@pytest.mark.parametrize(
    ("settings", "sizes", "message"),
    [
        (LAYERS, {"num_hidden_layers": 3}, "the teacher's 3 layers of 2 attention heads cannot be mapped evenly"),
        (LAYERS, {"num_hidden_layers": 1}, "the teacher's 1 layers of 2 attention heads cannot be mapped evenly"),
        (LAYERS, {"num_attention_heads": 4}, "to the student's 2 of 2; take kind relations, or another teacher"),
        (RELATIONS, {"hidden_size": 48, "num_attention_heads": 3}, "divisor of the student's width 32 .* 48, not 3"),
        (Intermediate(relation_heads=5), {}, "divisor of the student's width 32 and of the teacher's 32, not 5"),
        (Intermediate(teacher_layer=2), {}, "no queries, keys and values that can be told apart in layer 2 of 2"),
    ],
)
def test_intermediate_refuses_models_that_do_not_fit(
    model_of: Callable[..., Any], settings: Intermediate, sizes: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_lesson(settings, model_of("bert"), model_of("bert", **sizes))


def test_intermediate_of_the_student_learns_at_the_plain_rate_and_is_not_its_own(model_of: Callable[..., Any]) -> None:
    student, teacher = model_of("bert"), model_of("bert").train()
    before = set(student.state_dict())
    setattr(student, LESSON, make_lesson(LAYERS, student, teacher))
    mine = {id(parameter) for parameter in student.lesson.parameters()}
    groups = parameter_groups(student, Optimisation(layer_decay=0.5, head_rate=5.0))
    rates = {group["rate"] for group in groups if mine & {id(parameter) for parameter in group["params"]}}
    assert len(mine) == 3
    assert rates == {1.0}
    assert set(student.state_dict()) - before == {
        f"lesson.projections.projections.{layer}.weight" for layer in (0, 1, 2)
    }
    assert set(own_weights(student)) == before
    student.train()
    assert not teacher.training


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("loss", ["none", "kl"])
def test_intermediate_is_added_to_the_rest_by_a_single_pass(
    model_of: Callable[..., Any], loss: Any, labelled: bool
) -> None:
    student, teacher = model_of("bert"), model_of("bert", num_hidden_layers=4)
    tokenizer = PairTokenizer(tiny.make_tokenizer("wordpiece"))
    question, context = tokenizer.encode("When was the bridge opened?"), tokenizer.encode("It was opened in 1874.")
    (window,) = make_windows(question.ids, context, tokenizer.template, WindowSettings(64, 0, 16))
    targets = torch.tensor([[window.context_start, window.context_start + 1]]).numpy() if labelled else None
    windows = [TrainingWindow(window, targets, "", "", "")]
    batch = make_micro_batch(windows, 0, takes_types=True, device=torch.device("cpu"))
    output = student(**batch.inputs)
    gold = span_loss(output.start_logits, output.end_logits, batch.allowed, batch.targets)
    assert bool(gold > 0) is labelled

    class Silent:
        def prediction(self, _: TrainingWindow) -> None:
            return None

    lesson = make_lesson(RELATIONS, student, teacher)
    settings = Distillation((TeacherSpec("teacher"),), loss, intermediate=RELATIONS)
    calls: list[Any] = []
    student.register_forward_hook(lambda *_: calls.append(1))
    silent: Any = Silent()
    found = DistillationObjective(settings, [silent], lesson)(student, batch)
    assert len(calls) == 1
    torch.testing.assert_close(found, gold + lesson(student, batch.inputs, batch.type_ids)[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "none"}, "distillation: loss none leaves nothing to learn from teachers; give intermediate"),
        ({"intermediate": {}, "teachers": [{"model": "a"}, {"model": "b"}]}, "intermediate knows a single teacher"),
        (
            {"intermediate": {}, "teachers": [{"model": "a", "languages": ["en"]}]},
            "a single teacher, without languages",
        ),
        ({"intermediate": {"weight": 0}}, r"distillation\.intermediate: weight must be above 0, .* not 0\.0, None and"),
        ({"intermediate": {"teacher_layer": -1}}, "teacher_layer at least 0"),
        ({"intermediate": {"relation_heads": 0}}, "relation_heads at least 1"),
        ({"intermediate": {"kind": "layers", "relation_heads": 2}}, "belong to kind relations"),
        ({"intermediate": {"kind": "layers", "teacher_layer": 0}}, "belong to kind relations"),
        ({"intermediate": {"kind": "states"}}, r"intermediate\.kind: expected one of relations, layers, got 'states'"),
    ],
)
def test_intermediate_recipes_are_refused(settings: dict[str, Any], message: str) -> None:
    content = {"model": "m", "data": [{"path": "a.json", "language": "en"}]}
    with pytest.raises(InputError, match=message):
        parse_recipe({**content, "distillation": {"teachers": [{"model": "a"}], **settings}})


@pytest.fixture
def first_stage(plain: dict[str, Any], folder_of: FolderOf) -> dict[str, Any]:
    """A recipe of layers alone, on data without labels."""
    plain["data"][0]["labelled"] = False
    teachers = [{"model": str(folder_of("bert", num_hidden_layers=4, hidden_size=48))}]
    plain["distillation"] = {"teachers": teachers, "loss": "none", "intermediate": {"kind": "layers"}}
    return plain


def lesson_of(out: Path) -> list[torch.Tensor]:
    tensors = load_file(out / "training" / "checkpoint.safetensors")
    return [tensors[f"lesson.projections.projections.{layer}.weight|weight"] for layer in range(3)]


def test_intermediate_run_learns_layers_alone(first_stage: dict[str, Any], student: Path, tmp_path: Path) -> None:
    first_stage["epochs"] = 20
    report = train(parse_recipe(first_stage), tmp_path / "out")
    assert report.losses[-1] < 0.8 * report.losses[0]
    assert all((weight - torch.eye(48, 32)).abs().max() > 1e-3 for weight in lesson_of(tmp_path / "out"))
    before, after = (load_file(folder / "model.safetensors") for folder in (student, tmp_path / "out"))
    assert set(after) == set(before)
    changed = {name for name in before if not torch.allclose(before[name], after[name], rtol=1e-3)}
    assert any("encoder.layer.0" in name for name in changed)
    assert "qa_outputs.weight" not in changed
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "attn_implementation" not in config
    assert Reader.from_pretrained(tmp_path / "out").settings.name == "out"
    assert {path.name for path in (tmp_path / "out" / "training").iterdir()} == {
        "checkpoint.safetensors",
        "report.json",
    }


def test_intermediate_run_goes_on_to_the_same_weights(first_stage: dict[str, Any], tmp_path: Path) -> None:
    train(parse_recipe(first_stage), tmp_path / "whole")
    assert not train(parse_recipe(first_stage), tmp_path / "cut", RunSettings(stop_after_seconds=0.0)).finished
    train(parse_recipe(first_stage), tmp_path / "cut")
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(whole[name].equal(cut[name]) for name in whole)
    pairs = zip(lesson_of(tmp_path / "whole"), lesson_of(tmp_path / "cut"), strict=True)
    assert all(one.equal(other) for one, other in pairs)


def test_intermediate_run_on_two_processes_equals_one(first_stage: dict[str, Any], tmp_path: Path) -> None:
    first_stage |= {"epochs": 6, "batch": {"windows": 1}, "gradient_accumulation": 2}
    (tmp_path / "run.py").write_text(RUN)
    (tmp_path / "recipe.json").write_text(json.dumps({**first_stage, "gradient_accumulation": 1}))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    command = [sys.executable, *launcher, *(str(tmp_path / name) for name in ("run.py", "recipe.json", "two"))]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        one = train(parse_recipe(first_stage), tmp_path / "one")
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    two = json.loads((tmp_path / "two" / "training" / "report.json").read_text())
    assert two["losses"] == pytest.approx(one.losses, abs=1e-4)


def test_intermediate_run_beside_predictions(first_stage: dict[str, Any], tmp_path: Path) -> None:
    first_stage["data"][0]["labelled"] = True
    first_stage["distillation"] |= {"loss": "kl", "intermediate": {"relation_heads": 2}}
    both = train(parse_recipe(first_stage), tmp_path / "both").losses
    first_stage["distillation"]["intermediate"] = None
    alone = train(parse_recipe(first_stage), tmp_path / "alone").losses
    assert all(more > less for more, less in zip(both, alone, strict=True))


def test_intermediate_run_of_a_plain_encoder_as_teacher(
    first_stage: dict[str, Any], folder_of: FolderOf, tmp_path: Path
) -> None:
    from transformers import AutoModel

    encoder = tmp_path / "encoder"
    AutoModel.from_pretrained(folder_of("bert")).save_pretrained(encoder)
    shutil.copy(folder_of("bert") / "tokenizer.json", encoder)
    first_stage["distillation"]["teachers"] = [{"model": str(encoder)}]
    assert train(parse_recipe(first_stage), tmp_path / "out").finished
    first_stage["distillation"]["loss"] = "kl"
    with pytest.raises(ModelError, match="has no weights for qa_outputs"):
        train(parse_recipe(first_stage), tmp_path / "other")


@pytest.mark.parametrize("loss", ["none", "kl"])
def test_intermediate_run_refuses_other_tokenizers_and_short_teachers(
    first_stage: dict[str, Any], folder_of: FolderOf, tmp_path: Path, loss: str
) -> None:
    first_stage["distillation"] |= {"loss": loss, "teachers": [{"model": str(folder_of("roberta"))}]}
    with pytest.raises(InputError, match="intermediate needs a teacher with the student's own tokenizer"):
        train(parse_recipe(first_stage), tmp_path / "out")
    short = tiny.make_reader_folder(tmp_path / "short", "bert", positions=48)
    first_stage["distillation"]["teachers"] = [{"model": str(short)}]
    with pytest.raises(InputError, match="max_seq_len 64 is more than short can see: 48 tokens"):
        train(parse_recipe(first_stage), tmp_path / "out")
    assert not (tmp_path / "out").exists()
