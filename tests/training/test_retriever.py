"""Runs of tiny encoders by the library's trainer."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan.backends import BackendOptions, open_encoder
from polyspan.errors import InputError, ModelError
from polyspan.training import RunSettings

pytest.importorskip("sentence_transformers")
pytest.importorskip("onnxscript")

from accelerate import Accelerator
from accelerate.state import AcceleratorState

from polyspan.training.retriever import train_retriever
from polyspan.training.retriever_recipe import (
    Negatives,
    PairFile,
    RetrieverOptimisation,
    RetrieverRecipe,
)

PROMPTS = {"query": "Who ", "passage": "The "}
NAMES = ("bridge", "letter", "river", "option", "freedom", "user", "models", "written", "opened", "transformers")
AT_ONCE = RunSettings(stop_after_seconds=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions whose contexts share a name with them, and an encoder that does not know that."""
    folder = tmp_path_factory.mktemp("retriever")
    paragraphs = []
    for number in range(20):
        name, other = NAMES[number % 10], NAMES[3 * number % 10]
        context = f"The {name} was opened in {1800 + number}, sagte die {other}."
        answers = [{"text": str(1800 + number), "answer_start": context.index("18")}]
        half = "\ud800" if number == 3 else ""
        questions = [{"id": str(number), "question": f"When was the {name} opened?{half}", "answers": answers}]
        paragraphs.append({"context": context, "qas": questions})
    (folder / "facts.json").write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))
    tiny.make_encoder_folder(folder / "base", "bert", "mean", PROMPTS)
    return folder


@pytest.fixture(scope="module")
def recipe(folder: Path) -> RetrieverRecipe:
    files = (PairFile(str(folder / "facts.json"), "en"),)
    return RetrieverRecipe(
        str(folder / "base"),
        files,
        files,
        batch=5,
        micro_batch=3,
        epochs=8,
        max_seq_len=32,
        optimisation=RetrieverOptimisation(learning_rate=2e-3),
    )


@pytest.fixture(scope="module")
def trained(recipe: RetrieverRecipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("trained") / "out"
    return train_retriever(recipe, out), out


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_retriever_learns_and_opens_without_torch(recipe: RetrieverRecipe, trained: tuple[Any, Path]) -> None:
    report, out = trained
    assert (report.finished, report.pairs, report.left_out, report.onnx) == (True, 20, 0, True)
    assert report.steps >= 4 * recipe.epochs  # duplicates may make more
    assert report.losses[-1] < report.losses[0]
    ((before, after),) = [(report.before[path], scores) for path, scores in report.after.items()]
    assert after["gold_mrr_at_10"] > before["gold_mrr_at_10"] + 5
    assert after["total"] == 20
    encoder, library = open_encoder(out), open_encoder(out, BackendOptions("torch"))
    assert type(encoder).__name__ == "OnnxEncoder"
    for name in ("encode_questions", "encode_passages"):
        found, expected = (getattr(one, name)([*tiny.SENTENCES, "bridge " * 50]) for one in (encoder, library))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(encoder.encode_questions(["bridge"]) - encoder.encode_passages(["bridge"])).max() > 1e-2


def test_retriever_says_what_it_did(recipe: RetrieverRecipe, trained: tuple[Any, Path]) -> None:
    report, out = trained
    card = (out / "README.md").read_text()
    assert 'pipeline_tag: "sentence-similarity"' in card
    assert "## What training changed" in card
    (scores,) = report.after.values()
    assert f"→ {scores['gold_recall_at_10']:.1f}" in card
    assert "| facts.json | en | 20 | 1 |" in card
    assert "Texts are cut after 32 tokens." in card
    kept = json.loads((out / "training" / "report.json").read_text())
    assert kept["report"]["after"] == {path: dict(scores) for path, scores in report.after.items()}
    assert kept["recipe"]["batch"] == recipe.batch


def test_retriever_leaves_no_pickles(trained: tuple[Any, Path]) -> None:
    _, out = trained
    assert {path.suffix for path in out.rglob("*") if path.is_file()} == {
        ".json",
        ".safetensors",
        ".onnx",
        ".md",
        ".gz",
    }


def test_retriever_goes_on_to_the_same_weights(
    recipe: RetrieverRecipe, trained: tuple[Any, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for steps in (1, 2):
        report = train_retriever(recipe, out, AT_ONCE)
        assert (report.finished, report.steps, report.after) == (False, steps, {})
        assert not (out / "model.safetensors").exists()
    broken = out / "training" / "checkpoints" / "checkpoint-9"
    shutil.copytree(out / "training" / "checkpoints" / "checkpoint-2", broken)
    (broken / "trainer_state.json").unlink()
    (broken / "model.safetensors").write_bytes(b"half")
    report = train_retriever(recipe, out, RunSettings(checkpoint_seconds=0.0))
    assert report.finished
    assert report.before == trained[0].before
    assert weights(out) == weights(trained[1])


def test_retriever_does_nothing_twice(recipe: RetrieverRecipe, trained: tuple[Any, Path]) -> None:
    report, out = trained
    written = (out / "model.safetensors").stat().st_mtime_ns
    assert train_retriever(recipe, out) == report
    assert (out / "model.safetensors").stat().st_mtime_ns == written


def test_retriever_finishes_what_was_killed_at_the_end(
    recipe: RetrieverRecipe, trained: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("polyspan.training.retriever._write_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            train_retriever(recipe, out)
    report = train_retriever(recipe, out)
    assert (report.finished, report.steps) == (True, trained[0].steps)
    assert weights(out) == weights(trained[1])


def test_retriever_refuses_another_runs_folder(
    recipe: RetrieverRecipe, trained: tuple[Any, Path], folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="another recipe or other data"):
        train_retriever(replace(recipe, seed=1), trained[1])
    with pytest.raises(InputError, match=r"base: holds \S+ already and no training run"):
        train_retriever(recipe, folder / "base")
    with pytest.raises(InputError, match="the encoder that ships is in 8 bits"):
        train_retriever(replace(recipe, model="default"), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="cannot open it"):
        train_retriever(replace(recipe, model=str(tmp_path / "empty")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_retriever_is_trained_by_one_process(
    recipe: RetrieverRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="without torchrun"):
        train_retriever(recipe, tmp_path / "out")


def test_retriever_pools_a_plain_transformer_and_freezes_what_it_is_told(
    recipe: RetrieverRecipe, folder: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "base" / name, plain / name)
    changed = replace(
        recipe,
        model=str(plain),
        dev=(),
        epochs=1,
        question_prompt="Who ",
        negatives=Negatives(2, 5, ("bm25", "encoder")),
        optimisation=replace(recipe.optimisation, freeze=("word_embeddings",)),
    )
    report = train_retriever(changed, tmp_path / "out")
    assert (report.finished, report.before, report.after) == (True, {}, {})
    before, after = (load_file(one / "model.safetensors") for one in (plain, tmp_path / "out"))
    moved = {name for name in after if not np.array_equal(before[name], after[name])}
    assert "embeddings.word_embeddings.weight" not in moved
    assert "encoder.layer.0.output.dense.weight" in moved
    encoder = open_encoder(tmp_path / "out")
    assert type(encoder).__name__ == "OnnxEncoder"
    assert np.abs(encoder.encode_questions(["river"]) - encoder.encode_passages(["Who river"])).max() < 1e-5


def test_retriever_with_other_modules_has_no_onnx_file(recipe: RetrieverRecipe, folder: Path, tmp_path: Path) -> None:
    base = shutil.copytree(folder / "base", tmp_path / "base")
    pooling = {"embedding_dimension": tiny.HIDDEN, "pooling_mode": "max"}
    (base / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    report = train_retriever(replace(recipe, model=str(base), dev=(), epochs=1), tmp_path / "out")
    assert (report.finished, report.onnx) == (True, False)
    assert type(open_encoder(tmp_path / "out")).__name__ == "TorchEncoder"


def test_retriever_learns_without_wrong_passages(recipe: RetrieverRecipe, tmp_path: Path) -> None:
    alone = replace(recipe, dev=(), epochs=1, negatives=Negatives(0), precision="bfloat16")
    report = train_retriever(alone, tmp_path / "out")
    assert (report.finished, report.left_out) == (True, 0)
    assert np.isfinite(report.losses).all()


def test_retriever_shows_how_far_it_is(
    recipe: RetrieverRecipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for show in (False, True):
        settings = RunSettings(show_progress=show)
        train_retriever(
            replace(recipe, epochs=1, negatives=Negatives(1, 5, ("encoder",))), tmp_path / str(show), settings
        )
        shown = capfd.readouterr()
        assert shown.out == ""
        for bar in (
            "looking for wrong passages",
            "training",
            "encoding passages to learn from",
            "encoding questions of",
        ):
            assert (bar in shown.err) == show


def test_retriever_leaves_the_process_as_it_was(recipe: RetrieverRecipe, tmp_path: Path) -> None:
    before = dict(os.environ)
    train_retriever(replace(recipe, precision="bfloat16"), tmp_path / "out")
    assert dict(os.environ) == before
    assert Accelerator().mixed_precision == "no"
    AcceleratorState._reset_state()
