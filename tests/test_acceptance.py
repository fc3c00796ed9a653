"""What predecessors got wrong, asked of the shipped reader."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyspan import Document, Reader, Reading, ReadOptions
from polyspan.backends import ModelFolder, NativeSettings
from polyspan.backends.onnx import OnnxScorer
from polyspan.features import Batch, PairTokenizer, Tokens
from polyspan.types import FloatArray

CARD_QUESTION = "Why is model conversion important?"
CARD_CONTEXT = (
    "The option to convert models between FARM and transformers gives freedom to the user and let people easily "
    "switch between frameworks."
)
HARBOUR = "The harbour of Tessin was built in 1888. "
FILLER = "Bees dance to tell each other where flowers grow, and the whole hive listens to them in the dark. "
ANYWAY = ReadOptions(return_no_answer=False)


def best(reading: Reading) -> str:
    return (reading.answers or reading.candidates)[0].text


def test_acceptance_card_sentence(shipped: Reader) -> None:
    reading = shipped.read(CARD_QUESTION, CARD_CONTEXT)
    assert not reading.no_answer.chosen
    assert reading.answers[0].text.startswith("gives freedom to the user")


def test_acceptance_saved_and_hub_layouts_answer_alike(
    shipped: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = shipped.read("When was the harbour built?", HARBOUR)
    shipped.save_pretrained(tmp_path / "saved")
    assert Reader.from_pretrained(tmp_path / "saved").read("When was the harbour built?", HARBOUR) == expected
    snapshot = tmp_path / "hub" / "models--some--reader" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "saved").rename(snapshot)
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    from_hub = Reader.from_pretrained("some/reader", local_files_only=True)
    assert from_hub.read("When was the harbour built?", HARBOUR) == expected


@pytest.mark.parametrize("copies", [1, 60])
def test_acceptance_no_answer_over_one_window_and_over_twenty(shipped: Reader, copies: int) -> None:
    question = "Which composer wrote the opera about the miller's daughter?"
    text = (HARBOUR + FILLER) * copies
    assert shipped.read(question, text, ReadOptions(max_seq_len=128, doc_stride=32)).no_answer.chosen


def test_acceptance_answer_in_the_overlap_of_two_windows(shipped: Reader) -> None:
    for before in (4, 6, 8):
        text = FILLER * before + HARBOUR + FILLER * 6
        reading = shipped.read("When was the harbour built?", text, ReadOptions(max_seq_len=256, doc_stride=128))
        assert [answer.text for answer in reading.answers].count("1888") == 1
        assert sum(answer.score for answer in reading.answers) <= 1


def test_acceptance_long_answers_are_whole(shipped: Reader) -> None:
    promise = (
        "every child in the town would be taught to swim free of charge before the end of the fourth year of school"
    )
    text = f"The mayor promised that {promise}. The council agreed. {FILLER}"
    answer = best(shipped.read("What did the mayor promise?", text, ANYWAY))
    assert len(shipped.scorer.tokenizer.encode(answer)) > 15
    assert promise in answer


def test_acceptance_question_longer_than_the_window(shipped: Reader) -> None:
    reading = shipped.read("When was the harbour of Tessin built? " + FILLER * 40, HARBOUR)
    assert "only the first 64 were read" in reading.notices[0]


def test_acceptance_empty_documents_are_skipped_and_ids_stay(shipped: Reader) -> None:
    documents = [None, "", " \n\t", Document(HARBOUR, id="harbour"), {"id": "x", "text": None}, HARBOUR]
    reading = shipped.read("When was the harbour built?", documents)
    assert {answer.document for answer in reading.answers} == {"harbour", "5"}


class NeverTrained(OnnxScorer):
    """The shipped model as one that never saw an unanswerable question: its null logits lie far below."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = super().score(batch)
        start[:, 0] -= 30
        end[:, 0] -= 30
        return start, end


def test_acceptance_squad1_models_never_abstain_and_say_so() -> None:
    reader = Reader(NeverTrained(ModelFolder.shipped()))
    reading = reader.read("Which composer wrote the opera?", [FILLER, HARBOUR])
    assert reading.answers
    assert "never trained to give no answer" in reading.notices[0]
    assert best(reader.read("When was the harbour built?", [FILLER, HARBOUR])) == "1888"


def test_acceptance_the_shipped_model_is_known_to_abstain() -> None:
    assert Reader(OnnxScorer(ModelFolder.shipped())).settings.no_answer is True


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("東京タワーはいつ完成しましたか。", "東京タワーは1958年に完成した電波塔で、赤と白に塗られている。", "1958年"),
        ("这座桥有多少个桥孔?", "这座石桥建于明代,长一百二十米,有七个桥孔。每年春天都有许多游客来这里拍照。", "七"),
        ("ตลาดแห่งนี้มีร้านค้ากี่ร้าน", "ตลาดน้ำแห่งนี้เปิดทุกวันเสาร์และมีร้านค้ามากกว่าหนึ่งร้อยร้านตลอดทั้งปี", "หนึ่งร้อย"),
    ],
)
def test_acceptance_scripts_without_spaces_get_a_span_not_a_sentence(
    shipped: Reader, question: str, text: str, answer: str
) -> None:
    said = best(shipped.read(question, text, ANYWAY))
    assert answer in said
    assert len(said) < len(text) / 2


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Intro.\r\n\r\nThe harbour was built in 1888.\r\nIt is old.", "1888"),
        ("The\u00a0harbour was built in\u00a01888\u00a0by hand.", "1888"),
        ("👩‍👩‍👧🏁🇵🇪 The harbour 🏗️ was built in 1888 🎉.", "1888"),
        ("Le vieux port de Tessin\u0301 : the harbour was built in 1888, cafe\u0301.", "1888"),
        ("بُني الميناء في عام 1888 على يد الصيادين.", "1888"),
        ("ท่าเรือแห่งนี้สร้างขึ้นในปี 1888 โดยชาวประมง", "1888"),
    ],
)
def test_acceptance_offsets_in_any_script(shipped: Reader, text: str, answer: str) -> None:
    found = shipped.read("When was the harbour built?", text, ANYWAY).answers[0]
    assert answer in found.text
    assert text[found.start : found.end] == found.text


def test_acceptance_fifty_questions_share_one_tokenised_document(
    shipped: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [f"Boat number {number} is called {name}. " for number, name in enumerate(["Ada", "Bela", "Cora"] * 17)]
    text, questions = "".join(facts), [f"What is boat number {number} called?" for number in range(50)]
    encoded: list[str] = []
    encode: Callable[[PairTokenizer, str], Tokens] = PairTokenizer.encode

    def counting(self: PairTokenizer, text: str) -> Tokens:
        encoded.append(text)
        return encode(self, text)

    monkeypatch.setattr(PairTokenizer, "encode", counting)
    together = shipped.read_batch(questions, [text])
    assert encoded.count(text) == 1
    alone = [shipped.read(question, [text]) for question in questions[::10]]
    for one, other in zip(alone, together[::10], strict=True):
        assert [(a.text, a.start) for a in one.answers] == [(a.text, a.start) for a in other.answers]


def test_acceptance_top_k_beyond_the_spans_there_are_gives_no_junk(shipped: Reader) -> None:
    options = ReadOptions(top_k=50, return_no_answer=False)
    reading = shipped.read("When was the harbour built?", "Built in 1888 !!! ...", options)
    assert 1 <= len(reading.answers) < 10
    assert all(any(character.isalnum() for character in answer.text) for answer in reading.answers)


def test_acceptance_hostile_texts_do_no_harm(shipped: Reader) -> None:
    texts = [
        "In BERT, [SEP] parts two texts, [CLS] comes first and </s> <s> <pad> <mask> are for others. " + HARBOUR,
        "\x00\x01\x07\x1b[31m" + HARBOUR + "\x00",
        "x" * 3_000 + " " + HARBOUR + "y" * 3_000,
        "\ud800 " + HARBOUR + "\udfff",
        HARBOUR.replace(" ", "\u200b "),
    ]
    for text in texts:
        found = shipped.read("When was the harbour built?", text, ANYWAY).answers[0]
        assert text[found.start : found.end] == found.text
        assert "1888" in found.text


def test_acceptance_answers_far_into_a_document_and_at_its_end(shipped: Reader) -> None:
    text = FILLER * 350 + "The harbour of Tessin was built in 1888"
    assert len(text) > 32_767
    found = shipped.read("When was the harbour of Tessin built?", text).answers[0]
    assert (found.text, found.end) == ("1888", len(text))


@settings(max_examples=25)
@given(text=st.text(max_size=400))
def test_acceptance_offsets_hold_for_any_text(shipped: Reader, text: str) -> None:
    for answer in shipped.read("What is this about?", text, ANYWAY).answers:
        assert text[answer.start : answer.end] == answer.text
        assert unicodedata.category(answer.text[0])[0] != "M" or answer.start == 0
        assert 0 <= answer.score <= 1


def test_acceptance_shipped_files_stay_small() -> None:
    assets = ModelFolder.shipped().path.parent
    sizes = {path.name: path.stat().st_size for path in assets.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 100e6
    assert {
        "model.onnx.gz",
        "embeddings.bin.gz",
        "tokenizer.json.gz",
        "config.json",
        "polyspan.json",
        "README.md",
    } <= set(sizes)


def test_acceptance_shipped_settings_are_calibrated(shipped: Reader) -> None:
    assert shipped.settings.no_answer is True
    assert shipped.settings != NativeSettings(name=shipped.settings.name, no_answer=True)
    assert np.isfinite(shipped.settings.calibration.no_answer_threshold)
    assert json.loads((ModelFolder.shipped().path / "polyspan.json").read_text())["name"] == shipped.scorer.name
