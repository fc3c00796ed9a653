from collections.abc import Callable
from dataclasses import replace
from functools import cache
from logging import StreamHandler
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan.backends import ModelFolder
from polyspan.errors import InputError, MissingExtraError, ModelError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch

from polyspan.training.model import open_student, parameter_groups, span_head
from polyspan.training.recipe import Optimisation

PLAIN = Optimisation(embeds_dropout_prob=0.0)
DECAYED = Optimisation(layer_decay=0.5, head_rate=7.0, weight_decay=0.1)
# A name of the word embeddings and of the lower and the upper layer's first matrix.
NAMES = {
    "bert": ("bert.embeddings.word_embeddings.weight", "bert.encoder.layer.{}.attention.self.query.weight"),
    "xlm-roberta": (
        "roberta.embeddings.word_embeddings.weight",
        "roberta.encoder.layer.{}.attention.self.query.weight",
    ),
    "distilbert": (
        "distilbert.embeddings.word_embeddings.weight",
        "distilbert.transformer.layer.{}.attention.q_lin.weight",
    ),
    "electra": ("electra.embeddings_project.weight", "electra.encoder.layer.{}.attention.self.query.weight"),
    "mpnet": ("mpnet.embeddings.word_embeddings.weight", "mpnet.encoder.layer.{}.attention.attn.q.weight"),
    "deberta-v2": (
        "deberta.embeddings.word_embeddings.weight",
        "deberta.encoder.layer.{}.attention.self.query_proj.weight",
    ),
    "modernbert": ("model.embeddings.tok_embeddings.weight", "model.layers.{}.attn.Wqkv.weight"),
}
Folders = Callable[[str], ModelFolder]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    @cache
    def make(architecture: str) -> ModelFolder:
        folder = tmp_path_factory.mktemp("models") / architecture
        return ModelFolder(tiny.make_reader_folder(folder, architecture, positions=64))

    return make


@pytest.fixture(scope="module")
def encoder(folder_of: Folders, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A plain encoder, without a span head."""
    from transformers import AutoModel

    folder = tmp_path_factory.mktemp("models") / "encoder"
    AutoModel.from_pretrained(folder_of("bert").path).save_pretrained(folder)
    return ModelFolder(folder)


def groups_of(model: Any, optimisation: Optimisation) -> dict[str, tuple[float, float]]:
    """Each parameter's rate and weight decay."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in parameter_groups(model, optimisation):
        for parameter in group["params"]:
            assert id(parameter) in names
            found[names.pop(id(parameter))] = group["rate"], group["weight_decay"]
    return found


def learning(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("architecture", NAMES)
def test_model_groups_have_their_rates_and_decays(folder_of: Folders, architecture: str) -> None:
    model = open_student(folder_of(architecture), DECAYED)
    found = groups_of(model, DECAYED)
    assert set(found) == learning(model)
    embeddings, layer = NAMES[architecture]
    assert found[embeddings] == (0.25, 0.1)
    assert found[layer.format(0)] == (0.5, 0.1)
    assert found[layer.format(1)] == (1.0, 0.1)
    head = {name: found[name] for name in found if name.startswith(("qa_outputs.", "classifier."))}
    assert {rate for rate, _ in head.values()} == {7.0}
    for name, parameter in model.named_parameters():
        assert found[name][1] == (0.1 if parameter.ndim > 1 else 0.0)
        assert found[name][0] in {0.25, 0.5, 1.0, 7.0}


def test_model_what_belongs_to_no_layer_learns_like_the_last(folder_of: Folders) -> None:
    found = groups_of(open_student(folder_of("modernbert"), DECAYED), DECAYED)
    assert found["model.final_norm.weight"] == (1.0, 0.0)
    assert found["head.dense.weight"] == (1.0, 0.1)


@pytest.mark.parametrize("architecture", NAMES)
def test_model_groups_without_factors_are_two(folder_of: Folders, architecture: str) -> None:
    groups = parameter_groups(open_student(folder_of(architecture), PLAIN), PLAIN)
    assert sorted((group["rate"], group["weight_decay"]) for group in groups) == [(1.0, 0.0), (1.0, 0.01)]


def test_model_freezes_by_last_part_and_by_whole_name(folder_of: Folders) -> None:
    every = learning(open_student(folder_of("bert"), PLAIN))
    frozen = replace(PLAIN, freeze=("word_embeddings", "bert.encoder.layer.0"))
    model = open_student(folder_of("bert"), frozen)
    left = every - learning(model)
    assert left == {name for name in every if "word_embeddings" in name or "encoder.layer.0." in name}
    assert "bert.encoder.layer.0.output.dense.bias" in left
    assert set(groups_of(model, frozen)) == every - left


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("wings",), "freeze: BertForQuestionAnswering has no module 'wings'; expected a name such as word_embeddings"),
        (("word_embeddings", "embeddings.word"), "no module 'embeddings.word'"),
        (("bert", "qa_outputs"), "freeze: bert, qa_outputs leave nothing of BertForQuestionAnswering to learn"),
    ],
)
def test_model_refuses_to_freeze_nothing_or_all(folder_of: Folders, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_student(folder_of("bert"), replace(PLAIN, freeze=names))


@pytest.mark.parametrize("architecture", NAMES)
def test_model_drops_out_before_the_head_in_training_alone(folder_of: Folders, architecture: str) -> None:
    model = open_student(folder_of(architecture), replace(PLAIN, embeds_dropout_prob=0.5))
    assert model.training
    head = span_head(model)
    seen: list[Any] = []
    head.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    states = torch.ones(1, 400, head.in_features)
    head(states)
    model.eval()
    head(states)
    dropped, whole = seen
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < float((dropped == 0).float().mean()) < 0.6
    assert whole.equal(states)


def test_model_computes_what_the_folder_says(folder_of: Folders) -> None:
    from transformers import AutoModelForQuestionAnswering

    ids = torch.tensor([[2, 9, 3, 8, 7, 3]])
    expected = AutoModelForQuestionAnswering.from_pretrained(folder_of("bert").path).eval()(ids)
    found = open_student(folder_of("bert"), PLAIN).eval()(ids)
    torch.testing.assert_close(found.start_logits, expected.start_logits)
    torch.testing.assert_close(found.end_logits, expected.end_logits)


def test_model_opens_a_plain_encoder_with_a_new_head(encoder: ModelFolder, folder_of: Folders) -> None:
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model = open_student(encoder, PLAIN)
        heads.append(span_head(model).weight)
    assert heads[0].equal(heads[1])
    assert not heads[0].equal(heads[2])
    assert model.dtype == torch.float32
    name = "bert.encoder.layer.0.output.dense.weight"
    assert model.state_dict()[name].equal(open_student(folder_of("bert"), PLAIN).state_dict()[name])


def test_model_opens_quietly(encoder: ModelFolder, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    # its own handler writes to the stream that stood there first
    logging.disable_default_handler()
    logging.add_handler(handler := StreamHandler())
    try:
        before = logging.get_verbosity()
        open_student(encoder, PLAIN)
    finally:
        logging.remove_handler(handler)
        logging.enable_default_handler()
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == before


def test_model_opens_half_precision_in_float32(folder_of: Folders, tmp_path: Path) -> None:
    model = open_student(folder_of("bert"), PLAIN)
    model.half().save_pretrained(tmp_path)
    assert open_student(ModelFolder(tmp_path), PLAIN).dtype == torch.float32


def test_model_refuses_what_transformers_cannot_open(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="transformers cannot open it") as caught:
        open_student(ModelFolder(tmp_path), PLAIN)
    assert "\n" not in str(caught.value)


def test_model_refuses_other_heads() -> None:
    with pytest.raises(ModelError, match="Bilinear has no linear layer for spans"):
        span_head(torch.nn.Bilinear(2, 2, 2))
