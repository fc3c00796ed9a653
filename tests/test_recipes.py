"""Every recipe is read, and run on tiny models in the place of large ones."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan import Reader

pytest.importorskip("torch")
pytest.importorskip("accelerate")

RETRIEVER = Path(__file__).parent.parent / "recipes" / "retriever.yaml"
RECIPES = sorted(path for path in RETRIEVER.parent.glob("*.yaml") if path != RETRIEVER)
QUESTIONS = sorted((RETRIEVER.parent / "questions").glob("*.jsonl"))
VARIABLES = {
    "SQUAD": "squad",
    "AUGMENTED": "more.json",
    "STAGE1": "stage1",
    "TRAIN": "train",
    "DEV": "dev",
    "MPNET": "mpnet",
    "BASE": "base",
    "TEACHER": "teacher",
}
CONTEXT = "The bridge was opened in 1874. The letter was written by Ada Lovelace."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    questions = [
        {"id": "1", "question": "When was the bridge opened?", "answers": [{"text": "1874", "answer_start": 25}]},
        {"id": "2", "question": "Who wrote the option?", "answers": []},
    ]
    content = {"data": [{"paragraphs": [{"context": CONTEXT, "qas": questions}]}]}
    (folder / "data.json").write_text(json.dumps(content))
    names = {"student": "xlm-roberta", "teacher": "xlm-roberta"}
    made = {name: tiny.make_reader_folder(folder / name, kind, positions=384) for name, kind in names.items()}
    return {**made, "data": folder / "data.json"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_runs(path: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    from polyspan.training import parse_recipe, read_recipe, train

    recipe = parse_recipe(read_recipe(path, VARIABLES))
    assert all(one.source and one.licence for one in recipe.data)
    # Whole files, for these are tiny.
    tiny_file = str(folders["data"])
    data = tuple(
        replace(one, path=tiny_file, weight=1.0, questions_from=tiny_file if one.questions_from else "")
        for one in recipe.data
    )
    dev = tuple(replace(one, path=str(folders["data"])) for one in recipe.dev)
    small = replace(recipe, model=str(folders["student"]), data=data, dev=dev, epochs=1)
    if recipe.distillation is not None:
        teachers = tuple(replace(one, model=str(folders["teacher"])) for one in recipe.distillation.teachers)
        small = replace(small, distillation=replace(recipe.distillation, teachers=teachers))
    report = train(small, tmp_path / "out")
    assert report.finished
    assert report.losses
    assert Reader.from_pretrained(tmp_path / "out").settings.name == recipe.name


def test_retriever_recipe_runs(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("onnxscript")
    from polyspan.backends import open_encoder
    from polyspan.training import read_recipe
    from polyspan.training.retriever import train_retriever
    from polyspan.training.retriever_recipe import parse_retriever_recipe

    recipe = parse_retriever_recipe(read_recipe(RETRIEVER, VARIABLES))
    assert all(one.source and one.licence for one in recipe.data)
    paragraphs = [
        {
            "context": f"Bridge {number}: 1874.",
            "qas": [{"id": str(number), "question": f"Bridge {number}?", "answers": [answer]}],
        }
        for number in range(100, 112)
        for answer in [{"text": str(number), "answer_start": 7}]
    ]
    (tmp_path / "data.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    base = tiny.make_encoder_folder(tmp_path / "base", "xlm-roberta")
    data = tuple(replace(one, path=str(tmp_path / "data.json"), weight=1.0) for one in recipe.data[:2])
    report = train_retriever(replace(recipe, model=str(base), data=data, dev=data[:1]), tmp_path / "out")
    assert report.finished
    assert report.onnx
    assert open_encoder(tmp_path / "out").encode_questions(["Bridge 100?"]).shape == (1, tiny.HIDDEN)


def test_recipes_are_there() -> None:
    assert {path.stem for path in QUESTIONS} == {"same-language", "other-language", "held-out"}
    assert {path.stem for path in RECIPES} >= {
        "xlm-roberta-base-squad2-distilled",
        "english-teacher",
        "multilingual-reader",
        "two-stage-1-layers",
        "two-stage-2-prediction",
    }


def question_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path.stem)
def test_written_questions_are_well_formed_and_about_half_unanswerable(path: Path) -> None:
    lines = question_lines(path)
    for one in lines:
        assert set(one) == {"context", "question", "answers"}
        assert re.fullmatch("[0-9a-f]{16}", one["context"])
        assert one["question"] == one["question"].strip() != ""
        assert all(0 <= start < end for start, end in one["answers"])
    asked = [(one["context"], one["question"]) for one in lines]
    assert len(set(asked)) == len(asked)
    assert 0.4 < sum(not one["answers"] for one in lines) / len(lines) < 0.65


def test_held_out_questions_are_about_other_texts() -> None:
    contexts = {path.stem: {one["context"] for one in question_lines(path)} for path in QUESTIONS}
    held_out = contexts.pop("held-out")
    assert all(held_out.isdisjoint(learnt_from) for learnt_from in contexts.values())


@pytest.mark.parametrize("name", ["same-language", "other-language"])
def test_written_questions_are_all_about_texts_that_the_recipe_reads(name: str, shared: Path) -> None:
    from polyspan.datasets import read_squad
    from polyspan.datasets.detached import read_detached
    from polyspan.training import parse_recipe, read_recipe

    path = RETRIEVER.parent / "questions" / f"{name}.jsonl"
    folder = shared / "data" / "train" / "clear"
    recipe = parse_recipe(
        read_recipe(RETRIEVER.parent / "multilingual-reader.yaml", {**VARIABLES, "TRAIN": str(folder)})
    )
    files = [Path(one.path) for one in recipe.data if Path(one.questions_from).name == path.name]
    contexts = {one.context for file in files for one in read_squad(file)}
    assert len(read_detached(path, contexts)) == len(question_lines(path))
