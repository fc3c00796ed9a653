import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.cli import cross_lingual

Run = Callable[..., "subprocess.CompletedProcess[str]"]

CONTEXTS = {"de": "anna wohnt in oslo", "en": "anna lives in oslo"}
WORDS = {"de": {"who": "anna", "does": "wohnt"}, "en": {"who": "anna", "does": "lives"}}


def write(path: Path, context: str, words: Mapping[str, str], gold: Mapping[str, str]) -> Path:
    """Each question asks to find its word; the gold answer is that of the context's language."""
    qas = [
        {
            "id": key,
            "question": f"find {word}",
            "answers": [{"text": gold[key], "answer_start": context.index(gold[key])}],
        }
        for key, word in words.items()
    ]
    path.write_text(json.dumps({"version": "1.1", "data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


@pytest.fixture
def xquad(tmp_path: Path) -> Path:
    folder = tmp_path / "xquad"
    folder.mkdir()
    for language, context in CONTEXTS.items():
        write(folder / f"xquad.{language}.json", context, WORDS[language], WORDS[language])
    return folder


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeScorer:
    """What reads in place of every model: it finds words only in their own language."""
    fake = FakeScorer("anna lives wohnt in oslo")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    reader = Reader(fake, NativeSettings(no_answer=True))
    monkeypatch.setattr(Reader, "from_pretrained", lambda _: reader)
    monkeypatch.setattr(cross_lingual, "find_model", lambda _: ModelFolder(folder))
    return fake


@pytest.mark.usefixtures("scorer")
def test_cross_lingual_prints_matrices_and_averages(polyspan_here: Run, xquad: Path) -> None:
    result = polyspan_here("cross-lingual", "m", xquad)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "exact: rows are the languages of questions, columns those of contexts"
    assert [line.split() for line in lines[1:4]] == [["de", "en"], ["de", "100.00", "50.00"], ["en", "50.00", "100.00"]]
    assert lines[5].startswith("f1:")
    assert lines[10].split()[:3] == ["same_language", "exact", "100.00"]
    assert lines[11].split()[:3] == ["cross_language", "exact", "50.00"]
    assert lines[-1].startswith("metric:squad1|normaliser:squad-v1-official|dataset:4 pairs|")
    assert "no_answer:off|n:2" in lines[-1]


@pytest.mark.usefixtures("scorer")
def test_cross_lingual_json_holds_matrices_averages_and_every_report(polyspan_here: Run, xquad: Path) -> None:
    content = json.loads(polyspan_here("cross-lingual", "m", xquad, "--languages", "en, de", "--json").stdout)
    assert (content["layout"], content["regime"]) == ("xquad", "squad1")
    assert content["question_languages"] == content["context_languages"] == ["en", "de"]
    assert content["exact"] == [[100, 50], [50, 100]]
    assert {name: one["scores"]["exact"] for name, one in content["averages"].items()} == {
        "same_language": 100,
        "cross_language": 50,
        "all_pairs": 75,
    }
    pairs = content["pairs"]
    assert [(one["question_language"], one["context_language"], one["scores"]["exact"]) for one in pairs] == [
        ("en", "en", 100),
        ("en", "de", 50),
        ("de", "en", 50),
        ("de", "de", 100),
    ]
    assert pairs[0]["signature"]["dataset"] == "xquad.en.json"
    assert len(pairs[1]["intervals"]["f1"]) == 2


@pytest.mark.usefixtures("scorer")
def test_cross_lingual_mlqa_scores_as_mlqa_does_and_leaves_holes(polyspan_here: Run, tmp_path: Path) -> None:
    file = tmp_path / "dev-context-de-question-en.json"
    write(file, "anna wohnt in der oslo", {"q": "oslo"}, {"q": "der oslo"})
    write(tmp_path / "dev-context-en-question-en.json", CONTEXTS["en"], WORDS["en"], WORDS["en"])
    content = json.loads(polyspan_here("cross-lingual", "m", tmp_path, "--json").stdout)
    assert (content["layout"], content["regime"]) == ("mlqa", "mlqa")
    assert content["exact"] == [[100, 100]]
    assert content["pairs"][0]["signature"]["normaliser"] == "mlqa-v1-de"
    squad = json.loads(polyspan_here("cross-lingual", "m", file, "--regime", "squad1", "--json").stdout)
    assert (squad["exact"], squad["regime"]) == ([[0]], "squad1")
    write(tmp_path / "dev-context-de-question-de.json", CONTEXTS["de"], WORDS["de"], WORDS["de"])
    lines = polyspan_here("cross-lingual", "m", tmp_path).stdout.splitlines()
    assert [line.split() for line in lines[1:4]] == [["de", "en"], ["de", "100.00", "-"], ["en", "100.00", "100.00"]]


def test_cross_lingual_keeps_what_is_said_and_goes_on(
    polyspan_here: Run, scorer: FakeScorer, xquad: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("cross-lingual", "m", xquad, "--out", out)
    first = polyspan_here(*arguments)
    assert {path.name for path in out.iterdir()} == {
        "xquad.de.predictions.jsonl",
        "xquad.en.predictions.jsonl",
        "xquad-context-de-question-en.predictions.jsonl",
        "xquad-context-en-question-de.predictions.jsonl",
    }
    file = out / "xquad-context-en-question-de.predictions.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex(b'"does"') + 3])
    scorer.batches.clear()
    again = polyspan_here(*arguments)
    assert again.stdout == first.stdout
    assert "the predictions on 7 of 8 questions are kept already" in again.stderr
    assert file.read_bytes() == whole
    assert [rows for rows, _ in scorer.batches] == [1]
    other = polyspan_here(*arguments, "--regime", "mlqa")
    assert other.returncode == 0
    assert [rows for rows, _ in scorer.batches] == [1]
    score = polyspan_here("score", out / "xquad.de.predictions.jsonl", xquad / "xquad.de.json", "--regime", "squad1")
    assert "100.00" in score.stdout


@pytest.mark.usefixtures("scorer")
def test_cross_lingual_samples_and_missing_questions(polyspan_here: Run, xquad: Path) -> None:
    sampled = json.loads(polyspan_here("cross-lingual", "m", xquad, "--sample", "1", "--json").stdout)
    assert {one["scores"]["total"] for one in sampled["pairs"]} == {1}
    assert sampled["averages"]["all_pairs"]["signature"]["sample"] == 1
    write(xquad / "xquad.en.json", CONTEXTS["en"], {"who": "anna"}, {"who": "anna"})
    refused = polyspan_here("cross-lingual", "m", xquad)
    assert refused.returncode == 2
    assert "xquad.en.json: 1 of 2 question ids are missing, the first is 'does'" in refused.stderr
    common = json.loads(polyspan_here("cross-lingual", "m", xquad, "--allow-missing", "--json").stdout)
    assert common["exact"] == [[100, 100], [100, 100]]


@pytest.mark.usefixtures("scorer")
def test_cross_lingual_draws_a_heat_map(polyspan_here: Run, xquad: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "scores.png"
    assert polyspan_here("cross-lingual", "m", xquad, "--heatmap", picture).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")


def test_cross_lingual_refuses_bad_input_before_it_opens_a_model(
    polyspan_here: Run, xquad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Any) -> Reader:
        raise AssertionError("a model was opened")

    monkeypatch.setattr(Reader, "from_pretrained", never)
    mlqa = write(tmp_path / "dev-context-fr-question-en.json", CONTEXTS["en"], WORDS["en"], WORDS["en"])
    broken = tmp_path / "xquad.el.json"
    broken.write_text("{")
    for arguments, message in (
        ((), "PATH"),
        ((tmp_path / "nothing",), "nothing: no parallel data"),
        ((xquad / "xquad.en.json", mlqa), "two datasets"),
        ((broken,), "xquad.el.json: not JSON"),
        ((mlqa,), "language 'fr': MLQA's script knows only"),
        ((xquad, "--layout", "mlqa"), "test-context-de-question-en.json"),
        ((xquad, "--languages", "en,xx"), "no file is in xx"),
        ((xquad, "--sample", "0"), "--sample"),
        ((xquad, "--regime", "selective"), "--regime"),
        ((xquad, "--heatmap", tmp_path / "map.jpg"), "map.jpg: expected a name that ends in .png"),
        ((xquad, "--heatmap", tmp_path / "none" / "map.png"), "in a folder that there is"),
    ):
        result = polyspan_here("cross-lingual", "m", *arguments)
        assert result.returncode == 2
        assert message in result.stderr
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "polyspan[plots]" in polyspan_here("cross-lingual", "m", xquad, "--heatmap", tmp_path / "map.png").stderr
