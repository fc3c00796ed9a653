"""What a model folder says about itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, pre_tokenizers, processors

import tiny
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.decoding import Calibration, Confidence, LogisticMap, Term
from polyspan.errors import ModelError
from polyspan.features import PairTokenizer

TEMPERATURES = ("no_answer_threshold", "no_answer_temperature", "span_temperature")
CONFIDENCE = Confidence(
    unanswerable=LogisticMap(-2.0, {"null_margin": Term(0.5, -10, 10)}),
    exact=LogisticMap(1.0, {"agreement": Term(0.1, 0, 1)}),
)


def folder_with(path: Path, **config: Any) -> ModelFolder:
    (path / "config.json").write_text(json.dumps(config))
    return ModelFolder(path)


def opened(path: Path, tokenizer: Tokenizer) -> PairTokenizer:
    (path / "config.json").write_text("{}")
    tokenizer.save(str(path / "tokenizer.json"))
    found = ModelFolder(path).pair_tokenizer()
    assert found is not None
    return found


def test_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json there"):
        ModelFolder(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe{", b""])
def test_folder_with_broken_config_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json: (not readable as JSON|expected a JSON object)"):
        _ = ModelFolder(tmp_path).config


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 3}, 510),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512, "position_biased_input": False}, None),
        ({"model_type": "t5"}, None),
    ],
)
def test_folder_max_seq_len_counts_what_padding_takes(
    config: dict[str, Any], limit: int | None, tmp_path: Path
) -> None:
    assert folder_with(tmp_path, **config).max_seq_len == limit


@pytest.mark.parametrize("calibration", [Calibration(1.5, 2.0, 0.5), Calibration(1.5, 1, 1, {"de": -2}, CONFIDENCE)])
def test_folder_settings_come_back(calibration: Calibration, tmp_path: Path) -> None:
    settings = NativeSettings("reader", no_answer=True, calibration=calibration, options={"top_k": 3})
    folder_with(tmp_path).write_settings(settings)
    again = ModelFolder(tmp_path)
    assert again.settings == settings
    assert again.name == "reader"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_folder_settings_of_older_calibrations_stay_as_they_are() -> None:
    shipped = ModelFolder.shipped()
    content = json.loads((shipped.path / "polyspan.json").read_text(encoding="utf-8"))
    older = {**content, "calibration": {key: content["calibration"][key] for key in TEMPERATURES}}
    settings = NativeSettings.from_json(older, "polyspan.json")
    assert settings.calibration.confidence is None
    assert settings.to_json() == older


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"format_version": 2}',
        '{"format_version": 1, "calibration": {"unknown": 1}}',
        '{"format_version": 1, "calibration": []}',
        '{"format_version": 1, "calibration": {"span_temperature": 0}}',
        '{"format_version": 1, "calibration": {"span_temperature": "warm"}}',
        '{"format_version": 1, "calibration": {"thresholds": {"de": "low"}}}',
        '{"format_version": 1, "calibration": {"thresholds": ["de"]}}',
        '{"format_version": 1, "calibration": {"confidence": {}}}',
        '{"format_version": 1, "calibration": {"confidence": 5}}',
        '{"format_version": 1, "calibration": {"confidence": {"exact": {"bias": 0, "terms": {"mood": 1}}}}}',
        '{"format_version": 1, "calibration": {"confidence": {"exact": {"bias": "x"}, "unanswerable": {"bias": 0}}}}',
        '{"format_version": 1, "options": 5}',
        '{"format_version": 1, "name": 5}',
        '{"format_version": 1, "no_answer": "never"}',
    ],
)
def test_folder_with_broken_settings_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "polyspan.json").write_text(content)
    with pytest.raises(ModelError, match=r"polyspan\.json") as caught:
        folder_with(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_folder_truncation_and_padding_are_reset(kind: str, tmp_path: Path) -> None:
    text = "The letter was written by Ada Lovelace. " * 60
    expected = opened(tmp_path, tiny.make_tokenizer(kind)).encode(text)
    tokenizer = tiny.make_tokenizer(kind)
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    found = opened(tmp_path, tokenizer)
    assert len(found.encode(text)) == len(expected) > 128
    assert len(found.encode("Ada")) < 8
    assert found.template.size == (3 if kind == "wordpiece" else 4)


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("trim", [True, False])
def test_folder_byte_level_offsets_keep_the_first_letter(*, prefix: bool, trim: bool, tmp_path: Path) -> None:
    tokenizer = tiny.make_tokenizer("bpe")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=trim, add_prefix_space=not prefix
    )
    text = "De brief werd geschreven door\nAda Lovelace"
    found = opened(tmp_path, tokenizer)
    starts = {int(start) for start, end in found.encode(text).offsets if end > start}
    assert {text.index(word) for word in text.split()} <= starts
    covered = {i for start, end in found.encode(text).offsets for i in range(start, end)}
    assert covered == {i for i, character in enumerate(text) if not character.isspace()}


def test_folder_tokenizer_without_post_processor_is_refused(tmp_path: Path) -> None:
    tokenizer = tiny.make_tokenizer("wordpiece")
    tokenizer.post_processor = None
    with pytest.raises(ModelError, match="no special token before"):
        opened(tmp_path, tokenizer)
