"""Models of every family through torch, against transformers by hand."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import processors

import tiny
from polyspan import Reader
from polyspan.backends import BackendOptions, ModelFolder, SpanScorer, open_scorer
from polyspan.errors import InputError, ModelError
from polyspan.features import Batch, WindowSettings, collate, make_windows
from polyspan.reader import ReadOptions
from polyspan.types import FloatArray, Window

torch: Any = pytest.importorskip("torch")

FolderOf = Callable[[str], Path]
QUESTION = "Who wrote the letter?"
CONTEXT = "The letter was written by Ada Lovelace, sagte die Müllerin. The bridge was opened in 1874. " * 2
ROOM = 43
UNLIMITED = {"deberta-v2", "modernbert"}  # no position embeddings that could run out


def windows_of(scorer: SpanScorer, context: str = CONTEXT, room: int = ROOM) -> list[Window]:
    """The windows of the question over a context, without overlap."""
    ids, tokens = scorer.tokenizer.encode(QUESTION).ids, scorer.tokenizer.encode(context)
    return list(make_windows(ids, tokens, scorer.tokenizer.template, WindowSettings(room, 0, 24)))


def logits_of(scorer: SpanScorer) -> FloatArray:
    """Start and end logits of the first window, [2, tokens]."""
    return np.concatenate(scorer.score(collate(windows_of(scorer)[:1], scorer.tokenizer.pad_id)))


def torch_scorer(folder: Path, **options: Any) -> SpanScorer:
    return open_scorer(ModelFolder(folder), BackendOptions(backend="torch", **options))


def rewrite(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes them away."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def old_weights(folder: Path) -> None:
    """Replace model.safetensors by pytorch_model.bin."""
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def old_tokenizer(folder: Path) -> None:
    """Replace tokenizer.json by the vocabulary files of old times."""
    tokenizer = ModelFolder(folder).tokenizer_file
    assert tokenizer is not None
    model = json.loads(tokenizer.read_text())["model"]
    if model["type"] == "WordPiece":
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in model["vocab"]))
    else:
        (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
        merges = (" ".join(merge) for merge in model["merges"])
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    tokenizer.unlink()


@pytest.fixture
def bert(folder_of: FolderOf, tmp_path: Path) -> Path:
    """A BERT folder that a test may change."""
    return shutil.copytree(folder_of("bert"), tmp_path / "bert")


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_torch_gives_the_logits_of_transformers(architecture: str, folder_of: FolderOf) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    folder = folder_of(architecture)
    scorer = torch_scorer(folder)
    windows = windows_of(scorer)
    assert len(windows) > 1
    assert len(windows[-1].input_ids) < ROOM
    start, end = scorer.score(collate(windows, scorer.tokenizer.pad_id))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    encoded = tokenizer(
        QUESTION,
        CONTEXT,
        truncation="only_second",
        max_length=ROOM,
        return_overflowing_tokens=True,
        return_tensors="pt",
        padding=True,
    )
    encoded.pop("overflow_to_sample_mapping")
    with torch.no_grad():
        expected = model(**encoded)
    for row, window in enumerate(windows):
        size = len(window.input_ids)
        assert encoded["attention_mask"][row].sum() == size
        assert encoded["input_ids"][row, :size].tolist() == window.input_ids.tolist()
        np.testing.assert_allclose(start[row, :size], expected.start_logits[row, :size], atol=1e-5)
        np.testing.assert_allclose(end[row, :size], expected.end_logits[row, :size], atol=1e-5)
        assert start[row, :size].std() > 0.1


@pytest.mark.parametrize("architecture", ["bert", "electra"])
def test_torch_passes_type_ids(architecture: str, folder_of: FolderOf) -> None:
    scorer = torch_scorer(folder_of(architecture))
    batch = collate(windows_of(scorer)[:1], scorer.tokenizer.pad_id)
    without = scorer.score(Batch(batch.input_ids, batch.attention_mask, np.zeros_like(batch.type_ids)))[0]
    assert batch.type_ids.max() == 1
    assert np.abs(scorer.score(batch)[0] - without).max() > 0.01


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_torch_reads_the_pair_template(architecture: str, folder_of: FolderOf) -> None:
    template = torch_scorer(folder_of(architecture)).tokenizer.template
    special = tiny.ARCHITECTURES[architecture].special
    names = [tuple(special[i] for i in ids) for ids in (template.prefix, template.middle, template.suffix)]
    if special is tiny.BERT:
        assert names == [("[CLS]",), ("[SEP]",), ("[SEP]",)]
        assert (template.question_type, template.middle_types, template.context_type) == (0, (0,), 1)
    else:
        assert names == [("<s>",), ("</s>", "</s>"), ("</s>",)]
        assert (template.question_type, template.middle_types, template.context_type) == (0, (0, 0), 0)


@pytest.mark.parametrize(
    ("architecture", "silent"),
    [
        *((architecture, False) for architecture in tiny.ARCHITECTURES if architecture not in UNLIMITED),
        *((architecture, True) for architecture in ("roberta", "mpnet")),
    ],
)
def test_torch_reads_windows_up_to_the_last_position(
    architecture: str, silent: bool, folder_of: FolderOf, tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of(architecture), tmp_path / "model")
    if silent:
        rewrite(folder / "config.json", pad_token_id=None)
    scorer = torch_scorer(folder)
    limit = scorer.max_seq_len
    assert limit == 96
    full, over = (windows_of(scorer, CONTEXT * 3, room)[0] for room in (limit, limit + 1))
    start, _ = scorer.score(collate([full], scorer.tokenizer.pad_id))
    assert start.shape == (1, limit)
    with pytest.raises((IndexError, RuntimeError)):
        scorer.score(collate([over], scorer.tokenizer.pad_id))


def test_torch_reader_refuses_windows_over_the_limit(folder_of: FolderOf) -> None:
    reader = Reader.from_pretrained(folder_of("roberta"))
    assert reader.read(QUESTION, CONTEXT * 3, ReadOptions(max_seq_len=96, max_question_len=32)).question == QUESTION
    with pytest.raises(InputError, match=r"max_seq_len 97 .* 96 tokens"):
        reader.read(QUESTION, CONTEXT, ReadOptions(max_seq_len=97))


def test_torch_relative_positions_have_no_limit(folder_of: FolderOf) -> None:
    scorer = torch_scorer(folder_of("deberta-v2"))
    assert scorer.max_seq_len is None
    window = windows_of(scorer, CONTEXT * 6, 200)[0]
    assert scorer.score(collate([window], 0))[0].shape == (1, 200)


def test_torch_gives_a_model_of_one_type_no_second_type(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("xlm-roberta"), tmp_path / "model")
    expected = logits_of(torch_scorer(folder))
    tokenizer = tiny.make_tokenizer("unigram")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    scorer = torch_scorer(folder)
    assert windows_of(scorer)[0].type_ids.max() == 1
    np.testing.assert_array_equal(logits_of(scorer), expected)


def test_torch_opens_pickled_weights(bert: Path) -> None:
    expected = logits_of(torch_scorer(bert))
    old_weights(bert)
    np.testing.assert_array_equal(logits_of(torch_scorer(bert)), expected)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("architecture", ["bert", "distilbert", "electra", "mpnet", "roberta"])
def test_torch_opens_old_vocabularies(architecture: str, named: bool, folder_of: FolderOf, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of(architecture), tmp_path / "model")
    new = torch_scorer(folder)
    old_tokenizer(folder)
    if not named:
        (folder / "tokenizer_config.json").unlink()
    old = torch_scorer(folder)
    assert old.tokenizer.template == new.tokenizer.template
    text = "Who wrote the letter, sagte die Müllerin 1874?"
    np.testing.assert_array_equal(old.tokenizer.encode(text).ids, new.tokenizer.encode(text).ids)
    np.testing.assert_array_equal(old.tokenizer.encode(text).offsets, new.tokenizer.encode(text).offsets)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "camembert", "deberta-v2"])
def test_torch_opens_sentencepiece_models(architecture: str, folder_of: FolderOf, tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = shutil.copytree(folder_of(architecture), tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    name = "spm.model" if architecture == "deberta-v2" else "sentencepiece.bpe.model"
    with (folder / name).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(tiny.SENTENCES), model_writer=file, vocab_size=90, minloglevel=2
        )
    scorer = torch_scorer(folder)
    tokens = scorer.tokenizer.encode("Die Brücke was opened.")
    words = {"Die Brücke was opened."[start:end] for start, end in tokens.offsets}
    assert "D" in {word[:1] for word in words}
    assert len(scorer.tokenizer.template.middle) == (1 if architecture == "deberta-v2" else 2)
    assert np.isfinite(logits_of(scorer)).all()


def test_torch_never_runs_a_pickle(bert: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    (bert / "model.safetensors").unlink()
    torch.save({"weight": Malicious()}, bert / "pytorch_model.bin")
    with pytest.raises(ModelError, match="hold code, which is never run"):
        torch_scorer(bert)
    (bert / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(ModelError, match="hold code, which is never run"):
        torch_scorer(bert)
    assert not marker.exists()


@pytest.mark.parametrize("model_type", ["bert", "made-up"])
def test_torch_never_runs_the_code_of_a_folder(
    model_type: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "executed"
    (bert / "own.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    classes = {"AutoConfig": "own.Config", "AutoModelForQuestionAnswering": "own.Model"}
    rewrite(bert / "config.json", model_type=model_type, auto_map=classes)
    rewrite(bert / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", None]})
    if model_type == "bert":
        expected = logits_of(torch_scorer(bert))
        old_tokenizer(bert)
        np.testing.assert_array_equal(logits_of(torch_scorer(bert)), expected)
    else:
        with pytest.raises(ModelError, match="custom code"):
            torch_scorer(bert)
    assert not marker.exists()


def test_torch_refuses_a_model_without_a_head(bert: Path) -> None:
    from transformers import BertModel

    BertModel.from_pretrained(bert).save_pretrained(bert)
    with pytest.raises(ModelError, match=r"no weights for qa_outputs.bias, qa_outputs.weight"):
        torch_scorer(bert)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"model_type": "made-up"}'),
        ("config.json", '{"model_type": "bert", "hidden_size": "wide"}'),
        ("config.json", '{"model_type": "resnet"}'),
        ("tokenizer.json", "{"),
        ("tokenizer.json", "{}"),
        ("model.safetensors", "not tensors"),
        ("model.safetensors", ""),
    ],
)
def test_torch_names_the_broken_file(name: str, content: str, bert: Path) -> None:
    (bert / name).write_text(content)
    with pytest.raises(ModelError) as caught:
        torch_scorer(bert)
    assert str(bert) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_torch_names_the_missing_file(missing: str, bert: Path) -> None:
    (bert / missing).unlink()
    with pytest.raises(ModelError, match=f"no.*{re.escape(missing)}"):
        torch_scorer(bert)


def test_torch_refuses_a_tokenizer_without_offsets(bert: Path) -> None:
    old_tokenizer(bert)
    rewrite(bert / "tokenizer_config.json", tokenizer_class="ByT5Tokenizer")
    with pytest.raises(ModelError, match="no tokenizer that can be read"):
        torch_scorer(bert)


@pytest.mark.parametrize(
    ("architecture", "dtype", "tolerance"),
    [*((architecture, "float16", 0.1) for architecture in tiny.ARCHITECTURES), ("bert", "bfloat16", 0.5)],
)
def test_torch_half_precision_is_about_the_same(
    architecture: str, dtype: str, tolerance: float, folder_of: FolderOf
) -> None:
    full, half = (torch_scorer(folder_of(architecture), dtype=name) for name in ("float32", dtype))
    batch = collate(windows_of(full), full.tokenizer.pad_id)
    seen = batch.attention_mask == 1
    for exact, rough in zip(full.score(batch), half.score(batch), strict=True):
        assert rough.dtype == np.float32
        assert (rough != exact).any()
        np.testing.assert_allclose(rough[seen], exact[seen], atol=tolerance)


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"device": "abacus"}, {"device": "cuda:77"}, {"threads": 2}])
def test_torch_refuses_unknown_options(options: dict[str, Any], folder_of: FolderOf) -> None:
    with pytest.raises(InputError, match=f"({next(iter(options))}|{next(iter(options.values()))})"):
        torch_scorer(folder_of("bert"), **options)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_torch_saves_what_it_opens(architecture: str, old: bool, folder_of: FolderOf, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of(architecture), tmp_path / "model")
    if old:
        old_weights(folder)
        old_tokenizer(folder)
    scorer = torch_scorer(folder)
    expected = logits_of(scorer)
    copy = tmp_path / "copy"
    copy.mkdir()
    for target in (copy, folder):
        scorer.save(target)
        assert (target / "model.safetensors").is_file()
        assert (target / "tokenizer.json").is_file()
        np.testing.assert_array_equal(logits_of(torch_scorer(target)), expected)


def test_torch_reader_saves_and_opens(folder_of: FolderOf, tmp_path: Path) -> None:
    reader = Reader.from_pretrained(folder_of("xlm-roberta"))
    reader.save_pretrained(tmp_path / "saved")
    options = ReadOptions(max_seq_len=64, max_question_len=32)
    again = Reader.from_pretrained(tmp_path / "saved")
    assert again.settings == reader.settings
    assert again.read(QUESTION, CONTEXT, options) == reader.read(QUESTION, CONTEXT, options)


def test_torch_absent_names_the_extra(folder_of: FolderOf) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from polyspan import Reader\n"
        "from polyspan.errors import MissingExtraError\n"
        "try: Reader.from_pretrained(sys.argv[1])\n"
        "except MissingExtraError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, folder_of("bert")], capture_output=True, text=True, check=True)
    assert 'pip install "polyspan[torch]"' in ran.stdout
