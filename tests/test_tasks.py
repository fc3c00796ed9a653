import pytest

from fake_scorer import FakeScorer
from polyspan import Document, Reader
from polyspan.backends import NativeSettings
from polyspan.features import PairTokenizer, Tokens
from polyspan.tasks import CACHED_CHARS


class Counting(PairTokenizer):
    """Counts how often it encodes each text."""

    def __init__(self, scorer: FakeScorer) -> None:
        self._wrapped = scorer.tokenizer
        self.template, self.pad_id = self._wrapped.template, self._wrapped.pad_id
        self.encoded: dict[str, int] = {}

    def encode(self, text: str) -> Tokens:
        self.encoded[text] = self.encoded.get(text, 0) + 1
        return self._wrapped.encode(text)


@pytest.mark.parametrize("cached", [CACHED_CHARS, 100])
def test_tasks_tokenise_a_document_once_for_many_questions(cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyspan.tasks.CACHED_CHARS", cached)
    scorer = FakeScorer("rome oslo")
    scorer.tokenizer = counting = Counting(scorer)
    reader = Reader(scorer, NativeSettings(no_answer=True))
    text = "Anna lives in Rome . " * 50
    questions = ["find rome", "find oslo"] * 25
    readings = reader.read_batch(questions, [Document(text, id="a")])
    assert [reading.no_answer.chosen for reading in readings] == [False, True] * 25
    assert counting.encoded[text] == 1
