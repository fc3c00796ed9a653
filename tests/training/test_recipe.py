import json
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError, MissingExtraError
from polyspan.features import WindowSettings

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training import Recipe, parse_recipe, read_recipe
from polyspan.training.recipe import DataFile, TeacherSpec, as_mapping

SMALLEST: dict[str, Any] = {"model": "org/name", "data": [{"path": "train.json"}]}
FULL: dict[str, Any] = {
    "model": "org/name",
    "revision": "v2",
    "name": "small",
    "data": [
        {"path": "a.json", "language": "de", "weight": 2, "source": "https://example.org", "licence": "CC BY 4.0"},
        {"path": "b.json.gz", "labelled": False},
    ],
    "dev": [{"path": "dev.json"}],
    "epochs": 3,
    "seed": 42,
    "precision": "bfloat16",
    "gradient_accumulation": 4,
    "patience": 1,
    "windows": {"max_seq_len": 256, "doc_stride": 64, "max_question_len": 32, "step": 100},
    "batch": {"tokens": 4096, "windows": 16},
    "unanswerable": {"other_paragraph": 0.5, "removed_sentence": 0.25},
    "optimisation": {
        "learning_rate": 1e-4,
        "schedule": "constant",
        "warmup": 0,
        "layer_decay": 0.9,
        "freeze": ["word_embeddings", "layer.0"],
    },
    "distillation": {
        "teachers": [{"model": "one"}, {"model": "other", "revision": "v1", "weight": 0.5, "languages": ["de", "fr"]}],
        "loss": "mse",
        "temperature": 3,
        "distillation_loss_weight": 0.75,
    },
}


def altered(path: str, value: Any, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """A recipe whose field at ``a.b.0.c`` is another one, or is not there (Ellipsis)."""
    changed: dict[str, Any] = json.loads(json.dumps(FULL if content is None else content))
    place: Any = changed
    *names, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    for name in names:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return changed


@pytest.mark.parametrize("content", [SMALLEST, FULL], ids=["smallest", "full"])
def test_recipe_survives_a_round_trip(content: dict[str, Any]) -> None:
    import yaml

    recipe = parse_recipe(content)
    plain = as_mapping(recipe)
    assert parse_recipe(json.loads(json.dumps(plain))) == parse_recipe(yaml.safe_load(yaml.safe_dump(plain))) == recipe
    assert set(plain) == {one.name for one in fields(Recipe)}


def test_recipe_takes_what_is_written_and_its_defaults() -> None:
    recipe = parse_recipe(FULL)
    assert recipe.data[0] == DataFile(
        "a.json", "de", 2.0, labelled=True, source="https://example.org", licence="CC BY 4.0"
    )
    assert recipe.windows == WindowSettings(256, 64, 32, 100)
    assert recipe.optimisation.freeze == ("word_embeddings", "layer.0")
    assert type(recipe.optimisation.warmup) is float
    assert recipe.distillation is not None
    assert recipe.distillation.teachers[1] == TeacherSpec("other", "v1", 0.5, ("de", "fr"))
    assert parse_recipe(SMALLEST) == Recipe("org/name", (DataFile("train.json"),))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model", ..., r"recipe: missing .*'model'"),
        ("data", ..., r"recipe: missing .*'data'"),
        ("data.0.path", ..., r"recipe\.data\[0\]: missing .*'path'"),
        ("distillation.teachers", ..., r"recipe\.distillation: missing .*'teachers'"),
        ("learning_rate", 1e-4, r"recipe: unknown field 'learning_rate'; expected some of batch, continues, data"),
        ("windows.stride", 1, r"recipe\.windows: unknown field 'stride'; expected some of doc_stride"),
        ("distillation.teachers.1.name", "x", r"recipe\.distillation\.teachers\[1\]: unknown field 'name'"),
        ("model", 7, r"recipe\.model: expected a text, got 7"),
        ("model", None, r"recipe\.model: expected a text, got None"),
        ("epochs", 1.5, r"recipe\.epochs: expected a whole number, got 1\.5"),
        ("epochs", True, r"recipe\.epochs: expected a whole number, got True"),
        ("epochs", "3", r"recipe\.epochs: expected a whole number, got '3'"),
        ("optimisation.learning_rate", "1e-4", r"recipe\.optimisation\.learning_rate: expected a finite number"),
        ("optimisation.weight_decay", float("inf"), r"recipe\.optimisation\.weight_decay: expected a finite number"),
        ("distillation.temperature", float("nan"), r"recipe\.distillation\.temperature: expected a finite number"),
        ("distillation.teachers.0.weight", float("inf"), r"teachers\[0\]\.weight: expected a finite number"),
        ("data.0.labelled", 1, r"recipe\.data\[0\]\.labelled: expected true or false, got 1"),
        ("data", "train.json", r"recipe\.data: expected a list, got 'train\.json'"),
        ("data.1", "train.json", r"recipe\.data\[1\]: expected an object, got 'train\.json'"),
        ("windows", [384], r"recipe\.windows: expected an object, got \[384\]"),
        ("optimisation.freeze", "embeddings", r"recipe\.optimisation\.freeze: expected a list"),
        ("optimisation.freeze.1", 3, r"recipe\.optimisation\.freeze\[1\]: expected a text, got 3"),
        ("precision", "float16", r"recipe\.precision: expected one of float32, bfloat16, got 'float16'"),
        ("optimisation.schedule", ["linear"], r"recipe\.optimisation\.schedule: expected one of linear, constant"),
        ("distillation.loss", "KL", r"recipe\.distillation\.loss: expected one of kl, mse, haystack1, none, got 'KL'"),
        ("batch.windows", "many", r"recipe\.batch\.windows: expected a whole number, got 'many'"),
        ("data", [], r"recipe: a recipe needs at least one data file"),
        ("epochs", 0, r"recipe: epochs and gradient_accumulation must be at least 1.*, not 0, 4, 1 and 42"),
        ("gradient_accumulation", 0, r"recipe: epochs and gradient_accumulation must"),
        ("patience", -1, r"patience .* at least 0, not 3, 4, -1 and 42"),
        ("seed", -1, r"seed at least 0, not 3, 4, 1 and -1"),
        ("dev", [], r"recipe: patience needs a dev file"),
        ("data.0.weight", -1, r"recipe\.data\[0\]: the weights of a\.json must lie between 0 and 100, not \(-1\.0, 1"),
        ("data.0.unanswerable_weight", 101, r"the weights of a\.json must lie between 0 and 100, not \(2\.0, 101"),
        ("data.1.unanswerable_weight", 2, r"unanswerable_weight: b\.json\.gz is not labelled"),
        ("data.0.weight", 101, r"recipe\.data\[0\]: the weights of a\.json must lie between 0 and 100"),
        ("windows.doc_stride", -1, r"recipe\.windows: max_question_len and step must be .* doc_stride at least 0"),
        ("batch.tokens", 0, r"recipe\.batch: a batch must hold at least one token"),
        ("unanswerable.other_paragraph", 2, r"recipe\.unanswerable: shares .*other_paragraph=2"),
        ("optimisation.learning_rate", 0, r"recipe\.optimisation: learning_rate and .*, not 0\.0"),
        ("optimisation.max_grad_norm", 0, r"recipe\.optimisation: learning_rate and max_grad_norm must be above 0"),
        ("optimisation.warmup", 1.5, r"recipe\.optimisation: .*warmup, decay and embeds_dropout_prob between 0 and 1"),
        ("optimisation.decay", -0.1, r"recipe\.optimisation: .*decay"),
        ("optimisation.embeds_dropout_prob", 2, r"recipe\.optimisation: .*embeds_dropout_prob"),
        ("optimisation.layer_decay", 0, r"recipe\.optimisation: layer_decay must be above 0"),
        ("optimisation.head_rate", 0, r"recipe\.optimisation: .*head_rate above 0"),
        ("optimisation.weight_decay", -1, r"recipe\.optimisation: .*weight_decay at least 0"),
        ("distillation.teachers", [], r"recipe\.distillation: distillation needs at least one teacher"),
        ("distillation.teachers.0.weight", 0, r"recipe\.distillation: .*weight above 0"),
        ("distillation.temperature", 0, r"recipe\.distillation: temperature must be above 0"),
        ("distillation.distillation_loss_weight", 1.1, r"recipe\.distillation: .*distillation_loss_weight between 0"),
        ("distillation.loss", "haystack1", r"recipe\.distillation: loss haystack1 knows a single teacher"),
        ("distillation.teachers.1.languages", ["fr"], r"teacher other speaks about fr, and no data file"),
        ("distillation", None, r"recipe: data: b\.json\.gz is not labelled"),
    ],
)
def test_recipe_refusals_name_the_field(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_recipe(altered(path, value))
    assert "\n" not in str(caught.value)


def test_recipe_refuses_haystack1_of_unlabelled_files_and_of_languages() -> None:
    content = altered("distillation", {"teachers": [{"model": "one"}], "loss": "haystack1"})
    with pytest.raises(InputError, match=r"b\.json\.gz is not labelled"):
        parse_recipe(content)
    content["data"].pop()
    assert parse_recipe(content).distillation is not None
    with pytest.raises(InputError, match="haystack1 is one of whole batches; leave unanswerable true"):
        parse_recipe(altered("distillation.unanswerable", value=False, content=content))
    content["distillation"]["teachers"][0]["languages"] = ["de"]
    with pytest.raises(InputError, match="haystack1 knows a single teacher, without languages"):
        parse_recipe(content)


@pytest.mark.parametrize("content", [None, [], "model", 3])
def test_recipe_refuses_what_is_no_object(content: Any) -> None:
    with pytest.raises(InputError, match="recipe: expected an object"):
        parse_recipe(content)


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner))


PLACES = (
    "model",
    "data",
    "data.0",
    "data.0.weight",
    "precision",
    "epochs",
    "batch.windows",
    "windows",
    "optimisation",
    "optimisation.freeze",
    "distillation",
    "distillation.teachers",
)


@given(path=st.sampled_from(PLACES), value=values)
def test_recipe_of_nonsense_is_read_or_refused(path: str, value: Any) -> None:
    recipe = None
    with suppress(InputError):
        recipe = parse_recipe(altered(path, value))
    assert recipe is None or parse_recipe(as_mapping(recipe)) == recipe


def test_recipe_variables_are_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("model: ${BASE}\ndata:\n  - {path: '${DATA}/${KIND}.json', weight: 2.0}\nepochs: 3\n")
    monkeypatch.setenv("BASE", "org/base")
    monkeypatch.setenv("KIND", "from the environment")
    content = read_recipe(path, {"DATA": "/data", "KIND": "train"})
    assert content == {"model": "org/base", "data": [{"path": "/data/train.json", "weight": 2.0}], "epochs": 3}


def test_recipe_variables_without_a_value_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("model: a\ndata: [{path: a.json}, {path: '${NOWHERE}/b.json'}]\n")
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(InputError, match=r"recipe\.yaml: data\[1\]\.path: \$\{NOWHERE\} has no value; give --define"):
        read_recipe(path, {})
    assert "NOWHERE" not in os.environ
    assert read_recipe(path, {"NOWHERE": ""})["data"][1] == {"path": "/b.json"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model: [", r"recipe\.yaml: not a readable recipe: .*; expected YAML"),
        (b"\xff\xfe\x00", r"not a readable recipe"),
        (b"day: 2024-99-99", r"not a readable recipe: month must be in 1"),
        (b"!!python/object:os.system {}", r"not a readable recipe: could not determine a constructor"),
        (b"- model", r"expected a YAML object with model and data, got list"),
        (b"", r"expected a YAML object with model and data, got NoneType"),
        (None, r"not a readable recipe: .*No such file"),
    ],
)
def test_recipe_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_recipe(path, {})
    assert "\n" not in str(caught.value)
