import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan.errors import MissingExtraError

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CONTEXT = "The bridge was opened in 1874. The letter was written by Ada Lovelace."
SMALL = (
    "--set=windows.max_seq_len=64",
    "--set=windows.max_question_len=16",
    "--set=batch.windows=1",
    "--set=epochs=1",
    "--set=optimisation.learning_rate=1e-3",
)
RECIPE = """
model: ${STUDENT}
data:
  - {path: "${DATA}", weight: 2.0}
epochs: 1
windows: {max_seq_len: 64, max_question_len: 16}
batch: {windows: 1}
"""


RETRIEVER = ("--set=batch=4", "--set=max_seq_len=32", "--set=dev_questions=0")
RETRIEVER_RECIPE = """
model: ${BASE}
data: [{path: pairs.json}]
dev: [{path: pairs.json}]
batch: 4
max_seq_len: 32
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a student, a teacher of another tokenizer, an encoder without a head, and recipes."""
    from transformers import AutoModel

    folder = tmp_path_factory.mktemp("train")
    questions = [
        {"id": "1", "question": "When was the bridge opened?", "answers": [{"text": "1874", "answer_start": 25}]},
        {"id": "2", "question": "Who wrote the option?", "answers": []},
    ]
    content = {"data": [{"title": "", "paragraphs": [{"context": CONTEXT, "qas": questions}]}]}
    (folder / "data.json").write_text(json.dumps(content))
    paragraphs = [
        {
            "context": f"The bridge over river {number} was opened in {1800 + number}.",
            "qas": [
                {
                    "id": str(number),
                    "question": f"When was the bridge over river {number} opened?",
                    "answers": [{"text": str(1800 + number), "answer_start": 38 + len(str(number))}],
                }
            ],
        }
        for number in range(12)
    ]
    (folder / "pairs.json").write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))
    tiny.make_reader_folder(folder / "student", "bert", positions=64)
    tiny.make_reader_folder(folder / "teacher", "roberta", positions=128)
    AutoModel.from_pretrained(folder / "student").save_pretrained(folder / "encoder")
    (folder / "encoder" / "tokenizer.json").write_bytes((folder / "student" / "tokenizer.json").read_bytes())
    (folder / "train.yaml").write_text(RECIPE)
    (folder / "retriever.yaml").write_text(RETRIEVER_RECIPE)
    (folder / "distil.yaml").write_text(f"{RECIPE}distillation:\n  teachers: [{{model: '${{TEACHER}}'}}]\n")
    (folder / "broken.yaml").write_text("model: [")
    (folder / "list.yaml").write_text("- model")
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is the current one, so that commands are as short as a user's."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs the command line in this process, where torch is at hand already; tiny models gain nothing from threads."""
    import torch

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        from polyspan.cli import main

        command = ["polyspan", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(command, ended.value.code, *capfd.readouterr())

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run
    torch.set_num_threads(threads)


def report_of(result: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_train_from_a_model(polyspan: Run, tmp_path: Path) -> None:
    more = "--data=data.json", "--data=data.json:3", "--dev=data.json", "--json"
    report = report_of(polyspan("train", "student", *more, *SMALL, "--out", tmp_path / "out"))
    assert report["finished"] is True
    assert report["windows"] == 4
    assert [entry["epoch"] for entry in report["dev"]] == [1]
    assert list(report["dev"][0]["files"]) == ["data.json"]
    kept = json.loads((tmp_path / "out" / "training" / "report.json").read_text())
    assert [one["weight"] for one in kept["recipe"]["data"]] == [1.0, 3.0]
    assert kept["recipe"]["optimisation"]["learning_rate"] == 1e-3
    assert kept["losses"] == report["losses"]
    text = tmp_path / "text.txt"
    text.write_text(CONTEXT)
    assert polyspan("ask", "When?", text, "--model", tmp_path / "out").returncode == 0


def test_train_by_a_recipe_says_what_came_of_it(here: Run, tmp_path: Path) -> None:
    given = "--define=STUDENT=student", "--define=DATA=data.json", "--dev=data.json", "--set=name=small"
    result = here("train", "train.yaml", *given, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'out'}: finished, ")
    assert second.startswith("epoch 1: mean F1 ")
    assert second.endswith(", kept")
    assert json.loads((tmp_path / "out" / "polyspan.json").read_text())["name"] == "small"


def test_train_stops_after_its_minutes_and_goes_on(here: Run, tmp_path: Path) -> None:
    command = "train", "student", "--data=data.json", *SMALL, "--set=epochs=2", "--out", tmp_path / "out"
    stopped = here(*command, "--minutes=0")
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped for now; the same command goes on" in stopped.stdout
    finished = here(*command)
    assert "finished" in finished.stdout
    again = report_of(here(*command, "--json"))
    assert again["finished"] is True
    other = here(*command, "--set=seed=1")
    assert other.returncode == 2
    assert "of another recipe or other data" in other.stderr


def test_train_a_retriever_from_a_model(polyspan: Run, tmp_path: Path) -> None:
    command = "train", "encoder", "--task=retriever", "--data=pairs.json", "--dev=pairs.json", *RETRIEVER
    report = report_of(polyspan(*command, "--json", "--out", tmp_path / "out"))
    assert (report["finished"], report["pairs"], report["onnx"]) == (True, 12, True)
    assert report["after"]["pairs.json"]["total"] == report["before"]["pairs.json"]["total"] == 12
    assert {"README.md", "modules.json", "onnx"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_train_a_retriever_by_a_recipe_stops_and_goes_on(here: Run, tmp_path: Path) -> None:
    command = "train", "retriever.yaml", "--task=retriever", "--define=BASE=encoder", "--out", tmp_path / "out"
    stopped = here(*command, "--minutes=0")
    assert stopped.returncode == 0, stopped.stderr
    said = f"{tmp_path / 'out'}: stopped for now; the same command goes on, 1 steps in "
    assert re.fullmatch(rf"{re.escape(said)}\d+\.\d minutes\n", stopped.stdout)
    finished = here(*command)
    first, second = finished.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'out'}: finished, ")
    number = r"\d+\.\d → \d+\.\d"
    assert re.fullmatch(rf"pairs\.json: recall at 1 {number}, at 10 {number}, reciprocal rank {number}", second)
    assert finished.stderr == ""
    other = here(*command, "--set=seed=1")
    assert other.returncode == 2


def test_distill_from_a_student_with_a_shared_cache(polyspan: Run, here: Run, tmp_path: Path) -> None:
    given = "student", "--teacher=teacher", "--data=data.json", *SMALL, "--cache", tmp_path / "cache", "--json"
    report = report_of(polyspan("distill", *given, "--set=distillation.temperature=2", "--out", tmp_path / "one"))
    assert report["finished"] is True
    (shard,) = tmp_path.glob("cache/*/shard-*")
    before = shard.stat().st_mtime_ns
    recipe = json.loads((tmp_path / "one" / "training" / "report.json").read_text())["recipe"]
    assert recipe["distillation"]["teachers"][0]["model"] == "teacher"
    assert recipe["distillation"]["temperature"] == 2.0
    report_of(here("distill", *given, "--set=seed=3", "--out", tmp_path / "two"))
    assert [one.stat().st_mtime_ns for one in tmp_path.glob("cache/*/shard-*")] == [before]


def test_distill_by_a_recipe_and_a_teacher_more(here: Run, tmp_path: Path) -> None:
    names = "--define=STUDENT=student", "--define=DATA=data.json", "--define=TEACHER=teacher"
    report_of(here("distill", "distil.yaml", *names, "--teacher=student", "--json", "--out", tmp_path / "out"))
    recipe = json.loads((tmp_path / "out" / "training" / "report.json").read_text())["recipe"]
    assert [one["model"] for one in recipe["distillation"]["teachers"]] == ["teacher", "student"]
    assert len(list((tmp_path / "out" / "training" / "teachers").iterdir())) == 2


DATA = "--data=data.json"
NAMES = ("--define=STUDENT=student", "--define=DATA=data.json")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("train", "student"), "recipe.data: expected a list|missing .*'data'"),
        (("train", "student", DATA, "--set=epoch=1"), "recipe: unknown field 'epoch'"),
        (("train", "student", DATA, "--set=batch.size=1"), "recipe.batch: unknown field 'size'"),
        (("train", "student", DATA, "--set=epochs"), "--set epochs: expected NAME=VALUE"),
        (("train", "student", DATA, "--set=epochs=[1"), r"--set epochs=\[1: not a value"),
        (("train", "student", DATA, "--set=epochs=2024-99-99"), "--set epochs=2024-99-99: not a value"),
        (("train", "student", DATA, "--set=epochs=many"), "recipe.epochs: expected a whole number, got 'many'"),
        (("train", "student", DATA, "--set=model.name=x"), "--set model.name=x: model is no group of fields"),
        (("train", "student", DATA, "--set=optimisation.learning_rate=nan"), "learning_rate: expected a finite number"),
        (("train", "student", "--data=data.json:-1"), "the weights of data.json must lie between 0 and 100"),
        (("train", "student", DATA, "--set=dev=3", "--dev=data.json"), "recipe.dev: expected a list, got 3"),
        (("train", "student", "--data=nowhere.json"), "nowhere.json: No such file"),
        (("train", "student", *SMALL, "--data=broken.yaml"), "broken.yaml: not JSON"),
        (("train", "student", DATA, "--dev=nowhere.json"), "nowhere.json: No such file"),
        (("train", "./nowhere", DATA), "./nowhere: no such folder"),
        (("train", "student", DATA, "--set=windows.max_seq_len=384"), "max_seq_len 384 is more than student can see"),
        (("train", "nowhere.yaml"), "nowhere.yaml: not a readable recipe"),
        (("train", "broken.yaml"), "broken.yaml: not a readable recipe"),
        (("train", "list.yaml"), "expected a YAML object"),
        (
            ("train", "train.yaml", "--define=STUDENT=student"),
            r"data\[0\].path: \$\{DATA\} has no value; give --define",
        ),
        (("train", "train.yaml", "--define=STUDENT"), "--define STUDENT: expected NAME=VALUE"),
        (("distill", "student", DATA), "distilling needs a teacher; give --teacher MODEL"),
        (("distill", "train.yaml", *NAMES), "distilling needs a teacher"),
        (("distill", "distil.yaml", *NAMES), r"distillation.teachers\[0\].model: \$\{TEACHER\} has no value"),
        (("distill", "student", DATA, *SMALL, "--teacher=./nowhere"), "./nowhere: no such folder"),
        (("distill", "student", DATA, *SMALL, "--teacher=encoder"), "has no weights for qa_outputs"),
        (("distill", "student", DATA, "--set=distillation=3", "--teacher=teacher"), "recipe.distillation: expected an"),
        (
            ("distill", "student", DATA, *SMALL, "--teacher=teacher", "--set=distillation.loss=mse"),
            "loss mse needs a teacher with the student's own tokenizer",
        ),
    ],
)
def test_train_bad_input_is_one_line_and_exit_2(
    here: Run, tmp_path: Path, command: tuple[str, ...], message: str
) -> None:
    result = here(*command, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("polyspan: ")
    assert re.search(message, result.stderr)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["torch", "transformers", "accelerate", "yaml"])
@pytest.mark.parametrize("command", ["train", "distill"])
def test_train_without_its_extra_names_it(command: str, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from polyspan.cli import main; main()"
    arguments = [command, "student", "--teacher=teacher", DATA, "--out=out"]
    arguments = [one for one in arguments if command == "distill" or "teacher" not in one]
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert (
        result.stderr == f'polyspan: training (without {missing}) needs more packages: pip install "polyspan[train]"\n'
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["retriever.yaml", "--define=BASE=default"], "the encoder that ships is in 8 bits"),
        (["retriever.yaml", "--define=BASE=encoder", "--set=negatives.by=[words]"], "expected one of bm25, encoder"),
        (["retriever.yaml", "--define=BASE=encoder", "--data=nowhere.json"], "nowhere.json: No such file"),
        (["encoder", "--data=data.json"], "give 1 answerable questions"),
        (["encoder", "--data=data.json", "--keep-epochs"], "--keep-epochs is for readers"),
        (["encoder"], "missing 1 required positional argument: 'data'"),
    ],
)
def test_train_a_retriever_bad_input_is_one_line_and_exit_2(
    here: Run, tmp_path: Path, changes: list[str], message: str
) -> None:
    result = here("train", "--task=retriever", *changes, "--out", tmp_path / "out")
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["sentence_transformers", "onnxscript"])
def test_train_a_retriever_without_its_extra_names_it(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from polyspan.cli import main; main()"
    arguments = ["train", "encoder", "--task=retriever", "--data=pairs.json", "--out=out"]
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    expected = (
        f'polyspan: training a retriever (without {missing}) needs more packages: pip install "polyspan[retriever]"'
    )
    assert result.stderr.strip() == expected


@pytest.mark.parametrize("command", ["train", "distill"])
def test_train_help_needs_no_extra(command: str) -> None:
    code = "import sys; sys.modules['torch'] = None; from polyspan.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, check=True)
    assert "--minutes" in result.stdout
    assert ("--teacher" in result.stdout) == (command == "distill")
