import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan import Reader, ReadOptions
from polyspan.backends import NativeSettings
from polyspan.cli.calibrate import calibrate
from polyspan.errors import PolyspanError

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def write_dataset(path: Path, questions: list[tuple[str, str, str]]) -> Path:
    """Questions with their contexts and answers, unanswerable where there is none."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(number),
                    "question": question,
                    "answers": [{"text": answer, "answer_start": context.index(answer)}] if answer else [],
                }
            ],
        }
        for number, (question, context, answer) in enumerate(questions)
    ]
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights that is said to have learnt to abstain."""
    pytest.importorskip("torch")
    folder = tiny.make_reader_folder(tmp_path_factory.mktemp("tiny") / "model")
    reader = Reader.from_pretrained(folder)
    Reader(reader.scorer, NativeSettings(name="tiny", no_answer=True)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(model: Path) -> Path:
    """One question in three is unanswerable, of the others the model is right about every second one."""
    never = ReadOptions(top_k=1, return_no_answer=False)
    pairs = [(f"Who wrote letter {n}?", f"{n}. {tiny.SENTENCES[n % 6]} {tiny.SENTENCES[n % 5]}") for n in range(120)]
    readings = Reader.from_pretrained(model).read_stream(((question, [text]) for question, text in pairs), never)
    answers = [reading.answers[0].text for reading in readings]
    golds = ["" if n % 3 == 0 else answers[n] if n % 3 == 1 else pairs[n][1][-9:] for n in range(120)]
    questions = [(*pair, gold) for pair, gold in zip(pairs, golds, strict=True)]
    return write_dataset(model.parent / "data.json", questions)


def calibration(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "polyspan.json").read_text())["calibration"]
    return content


def test_calibrate_writes_a_copy_then_a_language_then_itself(
    polyspan: Run, model: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (model / "polyspan.json").read_bytes()
    copy = tmp_path / "copy"
    result = polyspan("calibrate", model, dataset, "--out", copy)
    assert result.returncode == 0, result.stderr
    assert "no-answer threshold" in result.stdout
    for line in ("aurc", "ece", "brier"):
        assert f"\n{line}" in f"\n{result.stdout}"
    assert f"  {dataset}\n" in result.stdout
    assert "  among other documents\n" in result.stdout
    assert "metric:calibration" in result.stdout
    assert (model / "polyspan.json").read_bytes() == before
    fitted = calibration(copy)
    assert sorted(fitted["confidence"]) == ["exact", "unanswerable"]

    again = [str(copy), str(dataset), "--language", "de", "--prior", "0.2", "--json"]
    calibrate.main(again, standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    assert calibration(copy) == printed["calibration"]
    own = {name: printed["calibration"].pop(name) for name in ("thresholds", "confidences")}
    assert printed["calibration"] == fitted
    assert [list(one) for one in own.values()] == [["de"], ["de"]]
    assert printed["report"]["signature"]["prior"] == 0.2
    assert printed["report"]["scores"]["total"] == 120
    assert printed["among_others"]["scores"]["total"] > 0
    assert [path.name for path in copy.glob("*.part")] == []

    reading = Reader.from_pretrained(copy).read("Who wrote letter 1?", f"1. {tiny.SENTENCES[1]}")
    assert 0 <= reading.no_answer.score <= 1


def test_calibrate_fits_when_to_stop_reading_ranked_passages(
    model: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    early = [str(dataset), "--early-stop", "--passages", "6", "--sample", "100"]
    calibrate.main([str(model), *early, "--out", str(copy)], standalone_mode=False)
    header, *rows, written = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["risk", "limit", "passages"]
    assert [row.split()[0] for row in rows] == ["0.05", "0.1"]
    assert written == f"written: {copy / 'polyspan.json'}"
    calibrate.main([str(copy), *early, "--json"], standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    assert calibration(copy) == {**calibration(model), "stop": printed["stop"]}
    assert (printed["stop"]["passages"], len(printed["reports"])) == (6, 2)
    assert printed["reports"][0]["signature"]["passages_read"] == 6
    assert printed["reports"][0]["scores"]["total"] == 100


def test_calibrate_refuses_before_any_work(model: Path, dataset: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    answerable = write_dataset(tmp_path / "answerable.json", [("Who?", f"Ada {n}", "Ada") for n in range(150)])
    for arguments, message in (
        ([model, dataset, "--out", full], "exists already; expected the name of a new folder"),
        ([model, dataset, dataset], "is given twice"),
        ([model, answerable], "0 unanswerable questions; expected at least 10"),
        ([model, dataset, "--language", "German"], "expected an ISO 639 code"),
        ([model, dataset, "--early-stop", "--language", "de"], "fits no language"),
        ([model, answerable, "--early-stop", "--passages", "200"], "the collection has 150 passages"),
        ([model, dataset, "--language", "de"], "calibrate it without a language first"),
        ([model, tmp_path / "nothing.json"], r"nothing\.json"),
    ):
        with pytest.raises(PolyspanError, match=message):
            calibrate.main([str(argument) for argument in arguments], standalone_mode=False)
    assert "confidence" not in calibration(model)


def test_calibrate_exits_with_2_where_it_refuses(polyspan: Run, dataset: Path) -> None:
    for arguments, message in (
        (["default", dataset], "polyspan: default: not a folder that can be written to; give --out FOLDER"),
        (["default", dataset, "--out", "x", "--early-stop", "--passages", "1"], "1 is not in the range x>=2"),
        (["default", dataset, "--prior", "1"], "1.0 is not in the range 0"),
    ):
        result = polyspan("calibrate", *arguments)
        assert result.returncode == 2
        assert message in result.stderr
        assert result.stdout == ""
