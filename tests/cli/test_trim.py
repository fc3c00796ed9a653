import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from polyspan import Reader
from tiny import SENTENCES, make_reader_folder

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("wordfreq")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_reader_folder(tmp_path_factory.mktemp("whole") / "reader", "xlm-roberta", positions=80)
    tiny.export_onnx(folder)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join([*SENTENCES[1:4] * 3, *["the bridge was opened"] * 5]), encoding="utf-8")
    return file


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.json"
    answer = {"text": "1874", "answer_start": SENTENCES[2].index("1874")}
    qas = [
        {"id": "a", "question": "When was the bridge opened?", "answers": [answer]},
        {"id": "b", "question": "Who sings?", "answers": [], "is_impossible": True},
    ]
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": SENTENCES[2], "qas": qas}]}]}), encoding="utf-8")
    return file


def test_trim_command_says_what_it_did(polyspan_here: Run, whole: Path, corpus: Path, questions: Path) -> None:
    out = corpus.with_name("new") / "small"
    result = polyspan_here(
        "trim", whole, out, "--languages", "en, de", "--corpus", corpus, "--words", 300, "--eval", f"{questions}:en"
    )
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("pieces ")
    assert lines[1].startswith("equal logits on ")
    assert [line.split()[-3] for line in lines[2:6]] == ["en", "de", "corpus.txt", "questions.json"]
    assert "2 questions of questions.json" in lines[6]
    assert lines[-1] == f"written: {out}"
    assert Reader.from_pretrained(out).read("When?", [SENTENCES[2]]).question == "When?"


def test_trim_command_prints_json(polyspan_here: Run, whole: Path, corpus: Path, questions: Path) -> None:
    out = corpus.with_name("small")
    result = polyspan_here(
        "trim", whole, out, "--corpus", corpus, "--pieces", 90, "--eval", questions, "--regime", "squad1", "--json"
    )
    report = json.loads(result.stdout)
    assert report["pieces"][1] == 90 == json.loads((out / "config.json").read_text())["vocab_size"]
    assert 0.5 < report["kept_share"]["corpus.txt"] < 1
    assert report["scores"]["questions.json"]["signature"]["n"] == 1
    assert report["proof"]["largest"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --languages de,fr or --corpus FILE"),
        (("--languages", "eu"), "there is no word list of it"),
        (("--corpus", "absent.txt"), "absent.txt"),
        (("--corpus", "CORPUS", "--pieces", "5"), "5 pieces are too few"),
        (("--corpus", "CORPUS", "--eval", "absent.json"), "absent.json"),
        (("--corpus", "CORPUS", "--eval", "QUESTIONS", "--eval", "QUESTIONS"), "two of questions.json, questions.json"),
        (("--corpus", "EMPTY"), "holds no text"),
    ],
)
def test_trim_command_refuses_bad_input(
    polyspan_here: Run, whole: Path, corpus: Path, questions: Path, arguments: tuple[str, ...], message: str
) -> None:
    empty = corpus.with_name("empty.json")
    empty.write_text(
        json.dumps({"data": [{"paragraphs": [{"context": " ", "qas": [{"id": "a", "question": " ", "answers": []}]}]}]})
    )
    names = {"CORPUS": str(corpus), "QUESTIONS": str(questions), "EMPTY": str(empty)}
    out = corpus.with_name("small")
    result = polyspan_here("trim", whole, out, *(names.get(one, one) for one in arguments))
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()


def test_trim_command_refuses_a_folder_that_exists(polyspan_here: Run, whole: Path, corpus: Path) -> None:
    result = polyspan_here("trim", whole, corpus.parent, "--corpus", corpus)
    assert result.returncode == 2
    assert "exists already" in result.stderr


def test_trim_command_names_the_extra(
    polyspan_here: Run, whole: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    result = polyspan_here("trim", whole, corpus.with_name("small"), "--languages", "de")
    assert result.returncode == 2
    assert 'pip install "polyspan[export]"' in result.stderr
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in [name for name in sys.modules if name.startswith(("polyspan.export", "polyspan.cli.trim"))]:
        monkeypatch.delitem(sys.modules, name)
    result = polyspan_here("trim", whole, corpus.with_name("small"), "--languages", "de")
    assert result.returncode == 2
    said = 'exporting, trimming and averaging models needs more packages: pip install "polyspan[export]"'
    assert said in result.stderr
