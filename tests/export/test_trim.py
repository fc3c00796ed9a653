import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import tiny
from onnx_graphs import silent
from polyspan import InputError, ModelError, Reader, ReadOptions
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.datasets import write_squad
from polyspan.decoding import Calibration
from polyspan.evaluation import read_questions
from polyspan.types import GoldAnswer, QAExample
from tiny import SENTENCES, make_reader_folder

pytest.importorskip("torch")
pytest.importorskip("onnx")
ENGLISH = SENTENCES[1:3]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "english.txt"
    file.write_text("\n".join(ENGLISH * 3), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("questions") / "few.json"
    examples = [
        QAExample(str(number), ENGLISH[0], ENGLISH[1], (GoldAnswer(ENGLISH[1][start : start + 10], start),))
        for number, start in enumerate((4, 20, 30))
    ]
    write_squad(file, examples)
    return file


def folder_of(tmp_path: Path, architecture: str, runtime: str = "torch") -> Path:
    folder = make_reader_folder(tmp_path / "whole", architecture, positions=64)
    if runtime == "onnx":
        tiny.export_onnx(folder)
    return folder


@pytest.mark.parametrize(
    ("architecture", "runtime"),
    [
        *(
            (name, "torch")
            for name in ("bert", "roberta", "xlm-roberta", "electra", "mpnet", "deberta-v2", "modernbert")
        ),
        *((name, "onnx") for name in ("bert", "roberta", "xlm-roberta")),
    ],
)
def test_trim_reads_kept_pieces_with_equal_logits(
    architecture: str, runtime: str, corpus: Path, tmp_path: Path
) -> None:
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, architecture, runtime)
    report = trim(ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    assert report.pieces[1] < report.pieces[0] == json.loads((folder / "config.json").read_text())["vocab_size"]
    assert report.size[1] < report.size[0]
    assert report.proof.largest == 0
    assert report.proof.windows >= 1
    assert report.kept_share == {corpus.name: pytest.approx(1)}
    before, after = Reader.from_pretrained(folder), Reader.from_pretrained(tmp_path / "small")
    options = ReadOptions(return_no_answer=False, max_seq_len=40, doc_stride=8, max_question_len=16)
    one, other = (reader.read(ENGLISH[0], [ENGLISH[1]], options) for reader in (before, after))
    assert one == other
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    assert config["vocab_size"] == report.pieces[1]
    assert json.loads((tmp_path / "small" / "tokenizer_config.json").read_text())
    assert config["pad_token_id"] == before.scorer.tokenizer.pad_id == after.scorer.tokenizer.pad_id


@pytest.mark.parametrize(
    ("precision", "embeddings"), [("float16", "float"), ("int8", "8"), ("weights8", "8"), ("weights4", "4")]
)
def test_trim_takes_what_export_wrote(
    precision: str,
    embeddings: Literal["float", "8", "4"],
    reader_folder: Path,
    graph: Any,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from polyspan.export import ExportSettings, export_reader
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    monkeypatch.setattr("polyspan.export.run.export_onnx", lambda _: graph)
    export_reader(ModelFolder(reader_folder), tmp_path / "whole", ExportSettings(precision, embeddings), silent)
    report = trim(ModelFolder(tmp_path / "whole"), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    assert report.proof.largest == 0
    assert report.pieces[1] < report.pieces[0]
    assert report.size[1] < report.size[0]
    assert {path.name for path in (tmp_path / "small" / "onnx").iterdir()} == {
        path.name for path in (tmp_path / "whole" / "onnx").iterdir()
    }


def test_trim_opens_in_transformers(corpus: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, "roberta")
    trim(ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    logits = []
    for path in (folder, tmp_path / "small"):
        given = AutoTokenizer.from_pretrained(path)(ENGLISH[0], ENGLISH[1], return_tensors="pt")
        logits.append(AutoModelForQuestionAnswering.from_pretrained(path)(**given).start_logits.detach().numpy())
    assert (logits[0] == logits[1]).all()


def test_trim_carries_settings_card_and_other_files(corpus: Path, questions: Path, tmp_path: Path) -> None:
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, "bert")
    settings = NativeSettings("tiny", no_answer=False, calibration=Calibration(span_temperature=2.0))
    ModelFolder(folder).write_settings(settings)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# tiny\n\n## Scores\n\nNone.\n", encoding="utf-8")
    (folder / "LICENSE").write_text("MIT", encoding="utf-8")
    (folder / "added_tokens.json").write_text('{"[MASK]": 4, "gone": 999}', encoding="utf-8")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    decoder = {"added_tokens_decoder": {"4": {"content": "[MASK]"}}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | decoder), encoding="utf-8")
    report = trim(
        ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus,)), [read_questions(questions)], "squad1"
    )
    small = tmp_path / "small"
    assert ModelFolder(small).settings == settings
    assert (small / "LICENSE").read_text() == "MIT"
    assert json.loads((small / "added_tokens.json").read_text()) == {"[MASK]": 4}
    assert (
        json.loads((small / "tokenizer_config.json").read_text())["added_tokens_decoder"]
        == decoder["added_tokens_decoder"]
    )
    card = (small / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: mit\n---\n\n# tiny\n\n## Scores\n\nNone.\n\n## Trimmed vocabulary\n")
    assert f"{report.pieces[0]:,} to {report.pieces[1]:,} pieces, those for english.txt" in card
    comparison = report.scores["few.json"]
    assert comparison.signature["n"] == 3
    assert comparison.difference["f1"].difference == 0
    assert f"| few.json | 3 | {comparison.a['f1']:.2f} | {comparison.b['f1']:.2f} | +0.00 (+0.00 to +0.00) |" in card
    again = trim(ModelFolder(small), tmp_path / "smaller", TrimSettings(corpus=(corpus,)))
    assert again.pieces[0] == again.pieces[1]
    assert (tmp_path / "smaller" / "README.md").read_text(encoding="utf-8").count("## Trimmed vocabulary") == 1


def test_trim_writes_a_card_where_there_is_none(corpus: Path, tmp_path: Path) -> None:
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    trim(ModelFolder(folder_of(tmp_path, "bert")), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    assert "\n# small\n" in (tmp_path / "small" / "README.md").read_text(encoding="utf-8")


def test_trim_keeps_half_precision(corpus: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, "bert")
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    trim(ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    small = load_file(tmp_path / "small" / "model.safetensors")
    assert small.keys() == weights.keys()
    assert {str(tensor.dtype) for tensor in small.values()} == {"torch.float16"}


def test_trim_takes_a_vocabulary_without_tokenizer_json(corpus: Path, tmp_path: Path) -> None:
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, "bert")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    report = trim(ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    assert report.pieces[1] < report.pieces[0]
    assert (tmp_path / "small" / "tokenizer.json").is_file()
    assert not (tmp_path / "small" / "vocab.txt").exists()


def test_trim_writes_nothing_where_the_proof_fails(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyspan.export.tables import cut_onnx
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings
    from polyspan.export.vocabulary import cut_tokenizer

    folder = ModelFolder(folder_of(tmp_path, "bert", "onnx"))
    with monkeypatch.context() as patch:
        patch.setattr(
            "polyspan.export.trim.cut_onnx", lambda whole, rows, out: cut_onnx(whole, [*rows[:2], 0, *rows[3:]], out)
        )
        with pytest.raises(ModelError, match=r"logits differ by up to .* nothing is written"):
            trim(folder, tmp_path / "small", TrimSettings(corpus=(corpus,)))
    with monkeypatch.context() as patch:
        patch.setattr(
            "polyspan.export.trim.cut_tokenizer",
            lambda content, kept: cut_tokenizer(content, [*kept[:-2], kept[-1], kept[-2]]),
        )
        with pytest.raises(ModelError, match="the trimmed tokenizer cuts"):
            trim(folder, tmp_path / "small", TrimSettings(corpus=(corpus,)))
    assert {path.name for path in tmp_path.iterdir()} == {"whole"}


def test_trim_refuses_what_it_cannot_do(corpus: Path, tmp_path: Path) -> None:
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, "bert")
    with pytest.raises(InputError, match="give --languages de,fr or --corpus FILE"):
        TrimSettings()
    with pytest.raises(InputError, match="exists already"):
        trim(ModelFolder(folder), tmp_path, TrimSettings(corpus=(corpus,)))
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] |= {f"extra{number}": len(content["model"]["vocab"]) + number for number in range(3)}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    corpus_of_extra = tmp_path / "extra.txt"
    corpus_of_extra.write_text("extra0 extra0 extra0", encoding="utf-8")
    with pytest.raises(ModelError, match=r"its embeddings have \d+ rows, and its tokenizer"):
        trim(ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus_of_extra,)))
    assert not (tmp_path / "small").exists()


def test_trim_changes_texts_of_other_languages(corpus: Path, tmp_path: Path) -> None:
    from polyspan.export.trim import trim
    from polyspan.export.trim_report import TrimSettings

    folder = folder_of(tmp_path, "xlm-roberta")
    trim(ModelFolder(folder), tmp_path / "small", TrimSettings(corpus=(corpus,)))
    before, after = (Reader.from_pretrained(path).scorer.tokenizer for path in (folder, tmp_path / "small"))
    assert len(after.encode(SENTENCES[3])) > len(before.encode(SENTENCES[3]))
    assert np.array_equal(after.encode(SENTENCES[1]).offsets, before.encode(SENTENCES[1]).offsets)
