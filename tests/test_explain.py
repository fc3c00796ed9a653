from dataclasses import replace

import numpy as np
import pytest

from fake_scorer import FakeScorer
from polyspan import Document, InputError, Passage, Reader
from polyspan.backends import NativeSettings
from polyspan.explain import explain
from polyspan.types import Span

TEXT = "Anna lives in Rome and Bert lives in Oslo ."
WORDS = "anna bert and lives in oslo rome paris ."


def reader(no_answer: bool = True) -> Reader:
    return Reader(FakeScorer(WORDS), NativeSettings(no_answer=no_answer))


def total(found: object, side: str) -> float:
    tokens = found.tokens  # type: ignore[attr-defined]
    return float(sum(getattr(token, f"{side}_probability") for token in tokens) + getattr(found, f"null_{side}"))


@pytest.mark.parametrize("side", ["start", "end"])
def test_explain_gives_most_to_the_answer_and_all_sums_to_1(side: str) -> None:
    found = explain(reader(), "find rome", TEXT)
    best = max(found.tokens, key=lambda token: getattr(token, f"{side}_probability"))
    assert TEXT[best.start : best.end] == "Rome"
    assert getattr(best, f"{side}_probability") > 0.99
    assert total(found, side) == pytest.approx(1)
    assert "".join(TEXT[token.start : token.end] for token in found.tokens) == TEXT.replace(" ", "")


def test_explain_gives_most_to_no_answer_where_there_is_none() -> None:
    found = explain(reader(), "find paris", TEXT)
    assert found.null_start > 0.99
    assert total(found, "start") == pytest.approx(1)
    unable = explain(reader(no_answer=False), "find paris", TEXT)
    assert (unable.null_start, unable.null_end) == (0, 0)
    assert total(unable, "start") == pytest.approx(1)


def test_explain_counts_each_token_of_overlapping_windows_once() -> None:
    small = reader()
    options = replace(small.defaults, max_seq_len=14, doc_stride=4)
    assert len(list(small.window_logits("find oslo", TEXT, options))) > 1
    whole, pieces = explain(small, "find oslo", TEXT), explain(small, "find oslo", TEXT, options)
    assert [(one.start, one.end) for one in pieces.tokens] == [(one.start, one.end) for one in whole.tokens]
    for a, b in zip(whole.tokens, pieces.tokens, strict=True):
        assert a.start_probability == pytest.approx(b.start_probability)


def test_explain_takes_passages_with_offsets_of_the_whole() -> None:
    start = TEXT.index("Bert")
    passage = Passage(Document(TEXT), Span(start, len(TEXT)))
    found = explain(reader(), "find oslo", passage)
    best = max(found.tokens, key=lambda token: token.start_probability)
    assert TEXT[best.start : best.end] == "Oslo"


def test_explain_of_nothing() -> None:
    assert explain(reader(), "find rome", " ").tokens == ()
    with pytest.raises(InputError, match="a question must be a text"):
        explain(reader(), " ", TEXT)


def test_explain_is_the_softmax_of_the_logits(shipped: Reader) -> None:
    text = "The harbour of Tessin was built in 1888. It has two piers."
    question = "When was the harbour of Tessin built?"
    ((window, start, _),) = shipped.window_logits(question, text)
    inside = slice(window.context_start, window.context_start + len(window.offsets))
    scores = np.concatenate([start[:1], start[inside]]).astype(float) / shipped.settings.calibration.span_temperature
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    found = explain(shipped, question, text)
    assert found.null_start == pytest.approx(expected[0], rel=1e-5)
    assert [one.start_probability for one in found.tokens] == pytest.approx(expected[1:].tolist(), rel=1e-4)
    assert "1888".startswith(text[slice(*_best(found))])


def _best(found: object) -> tuple[int, int]:
    best = max(found.tokens, key=lambda token: token.start_probability)  # type: ignore[attr-defined]
    return best.start, best.end
