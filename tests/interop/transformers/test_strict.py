"""The decoding of transformers 4 on logits that are known, with scores worked out by hand."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from fake_scorer import SPECIAL, word_tokenizer
from polyspan import InputError, Reader
from polyspan.backends import NativeSettings
from polyspan.features import Batch, PairTokenizer
from polyspan.interop.transformers import SquadExample
from polyspan.interop.transformers.arguments import CallOptions
from polyspan.interop.transformers.strict import PairEncoder, strict_results
from polyspan.types import FloatArray


class WordScorer:
    """Start and end logits by the token's word; others have 0."""

    name = "words"
    max_seq_len: int | None = 512

    def __init__(self, tokenizer: Tokenizer, logits: dict[str, tuple[float, float]]) -> None:
        self.tokenizer = PairTokenizer(Tokenizer.from_str(tokenizer.to_str()))
        self._logits = {tokenizer.token_to_id(word): pair for word, pair in logits.items()}
        self.rows = 0

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        self.rows += len(batch.input_ids)
        pairs = np.array([[self._logits.get(number, (0.0, 0.0)) for number in row] for row in batch.input_ids.tolist()])
        return pairs[:, :, 0].astype(np.float32), pairs[:, :, 1].astype(np.float32)

    def save(self, folder: Path) -> None:
        raise AssertionError(folder)


def source(tokenizer: Tokenizer, **about: Any) -> Any:
    usual = {"cls_token": "[CLS]", "model_max_length": 512, "padding_side": "right"}
    return SimpleNamespace(backend_tokenizer=tokenizer, model_input_names=["input_ids"], **{**usual, **about})


def ask(
    context: str, logits: dict[str, tuple[float, float]], question: str = "who", tokenizer: Any = None, **options: Any
) -> list[dict[str, Any]]:
    tokenizer = word_tokenizer([*question.split(), *context.lower().split(), *".,"]) if tokenizer is None else tokenizer
    reader = Reader(WordScorer(tokenizer, logits), NativeSettings(no_answer=True))
    encoder = PairEncoder(source(tokenizer))
    (found,) = strict_results(reader, encoder, [SquadExample(None, question, context)], CallOptions().updated(options))
    return found


def softmax(*logits: float) -> list[float]:
    powers = [math.exp(one) for one in logits]
    return [power / sum(powers) for power in powers]


def test_strict_score_is_a_product_of_softmaxes_with_the_null_position() -> None:
    (found,) = ask("anna lives here", {"anna": (3, 1), "lives": (1, 2), "[CLS]": (1, 0)}, align_to_words=False)
    start, end = softmax(1, 3, 1, 0), softmax(0, 1, 2, 0)  # null, then the three words
    assert found == {"score": pytest.approx(start[1] * end[2], rel=1e-6), "start": 0, "end": 10, "answer": "anna lives"}


def test_strict_question_and_separators_count_nothing() -> None:
    plain = ask("anna lives here", {"anna": (3, 3)})
    loud = ask("anna lives here", {"anna": (3, 3), "who": (90, 90), "[SEP]": (90, 90)})
    assert plain == loud


def test_strict_sums_equal_texts_and_keeps_the_first_place() -> None:
    context = "anna and Anna"
    tokenizer = word_tokenizer(["who", "anna", "and"])
    (found,) = ask(context, {"anna": (4, 4)}, tokenizer=tokenizer, top_k=1)
    share = softmax(0, 4, 0, 4)[1]
    assert found["score"] == pytest.approx(2 * share * share, rel=1e-5)
    assert (found["start"], found["end"]) in {(0, 4), (9, 13)}
    assert found["answer"].lower() == "anna"


def test_strict_null_is_the_least_of_all_windows() -> None:
    filler = " ".join(f"w{number}" for number in range(12))
    context = f"anna {filler}"
    logits = {"anna": (9.0, 9.0), "[CLS]": (8.0, 8.0)}
    options: dict[str, Any] = {"max_seq_len": 12, "doc_stride": 0, "handle_impossible_answer": True, "top_k": 20}
    found = ask(context, logits, **options)
    (null,) = [one for one in found if one["answer"] == ""]
    with_answer = softmax(8, 9, *[0] * 7)[0] ** 2
    assert null == {"score": pytest.approx(with_answer, rel=1e-5), "start": 0, "end": 0, "answer": ""}


def test_strict_no_answer_is_chosen_by_its_score() -> None:
    logits = {"[CLS]": (9.0, 9.0), "anna": (1.0, 1.0)}
    (best,) = ask("anna lives here", logits, handle_impossible_answer=True)
    assert (best["answer"], best["start"], best["end"]) == ("", 0, 0)
    (best,) = ask("anna lives here", logits)
    assert best["answer"] == "anna"


@pytest.mark.parametrize(("most", "answer"), [(None, 15), (16, 16), (3, 3)])
def test_strict_answers_have_15_tokens_at_most(most: int | None, answer: int) -> None:
    words = [f"w{number}" for number in range(20)]
    logits: dict[str, tuple[float, float]] = dict.fromkeys(words, (1.0, 0.0))
    logits |= {words[0]: (9.0, 0.0), words[15]: (0.0, 9.0), words[14]: (0.0, 8.0), words[2]: (0.0, 7.0)}
    (found,) = ask(" ".join(words), logits, max_answer_len=most, align_to_words=False)
    assert len(found["answer"].split()) == answer


def test_strict_widens_to_what_the_tokenizer_takes_for_a_word() -> None:
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL, "who", "in", "oslo", "##,", "it"])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    logits = {"oslo": (9.0, 9.0)}
    (wide,) = ask("in oslo, it", logits, tokenizer=tokenizer)
    (exact,) = ask("in oslo, it", logits, tokenizer=tokenizer, align_to_words=False)
    assert (wide["answer"], exact["answer"]) == ("oslo,", "oslo")
    assert wide["score"] > exact["score"]  # that of "oslo," and of "," are added


def test_strict_large_logits_do_not_overflow() -> None:
    (found,) = ask("anna lives here", {"anna": (1e6, 1e6)})
    assert found == {"score": pytest.approx(1.0), "start": 0, "end": 4, "answer": "anna"}


def test_strict_more_answers_than_spans_as_transformers_had_them() -> None:
    found = ask("anna lives", {"anna": (2, 2)}, top_k=30)
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert {one["answer"] for one in found} >= {"anna", "lives", "anna lives"}
    assert len(found) <= 30


def test_strict_a_question_without_room_is_an_error() -> None:
    question = " ".join(["who"] * 20)
    with pytest.raises(InputError, match=r"room for 9 tokens"):
        ask("anna lives here " * 9, {}, question, max_seq_len=32, doc_stride=10)
    (found,) = ask("anna lives here", {"anna": (5, 5)}, question, max_seq_len=32, doc_stride=10)
    assert found["answer"] == "anna"


def test_strict_refuses_windows_that_the_model_cannot_see() -> None:
    with pytest.raises(InputError, match="sees 512 tokens at most"):
        ask("anna", {}, max_seq_len=513)
    with pytest.raises(InputError, match="cannot overlap by more than their length"):
        ask("anna", {}, doc_stride=400)


def test_strict_reads_special_tokens_in_a_text_as_special() -> None:
    (found,) = ask("[SEP] anna", {"[SEP]": (9, 9), "anna": (8, 8)})
    assert found["answer"] == "[SEP]"


def test_strict_refuses_tokenizers_that_pad_on_the_left() -> None:
    with pytest.raises(InputError, match="pads on the left"):
        PairEncoder(source(word_tokenizer(["a"]), padding_side="left"))
    with pytest.raises(InputError, match="expected a fast tokenizer"):
        PairEncoder(object())


def test_strict_window_length_is_the_tokenizers() -> None:
    assert PairEncoder(source(word_tokenizer(["a"]), model_max_length=128)).longest == 128
    assert PairEncoder(source(word_tokenizer(["a"]), model_max_length=int(1e30))).longest == 384
    assert PairEncoder(source(word_tokenizer(["a"]), model_max_length=None)).longest == 384
    assert not PairEncoder(source(word_tokenizer(["a"]))).takes_types
    assert PairEncoder(source(word_tokenizer(["a"]), cls_token=None)).null_id == 2
