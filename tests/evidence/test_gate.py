import json

import pytest

from fake_scorer import FakeScorer
from polyspan import InputError, Reader
from polyspan.backends import NativeSettings
from polyspan.evidence import HighlightOptions, supports

WORDS = "rome oslo lima in and . one two three"
TEXT = "One two in Rome. Three in Rome and Lima."


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(FakeScorer(WORDS), NativeSettings(no_answer=True))


def test_supports_what_a_quote_says(reader: Reader) -> None:
    verdict = supports("find rome", "in Rome", TEXT, reader)
    assert verdict.verdict == "supported"
    assert verdict.quote is not None
    assert TEXT[verdict.quote.start : verdict.quote.end] == "Rome"
    assert [one.start for one in verdict.others] == [TEXT.rindex("Rome")]
    assert verdict.probability > 0.99
    assert json.loads(json.dumps(verdict.to_json()))["quote"]["text"] == "Rome"


def test_supports_contradicts_what_a_confident_quote_does_not_say(reader: Reader) -> None:
    verdict = supports("find lima", "It was Oslo", TEXT, reader)
    assert (verdict.verdict, verdict.quote and verdict.quote.text) == ("contradicted", "Lima")


def test_supports_says_insufficient_without_a_quote(reader: Reader) -> None:
    verdict = supports("find oslo", "Oslo", TEXT, reader)
    assert (verdict.verdict, verdict.probability, verdict.quote, verdict.others) == ("insufficient", 1.0, None, ())


def test_supports_says_insufficient_where_the_claim_says_more(reader: Reader) -> None:
    verdict = supports("find lima", "It was Lima, and Oslo", TEXT, reader)
    assert verdict.verdict == "insufficient"
    assert verdict.quote is not None
    assert supports("find lima", "It was Lima, and Rome", TEXT, reader).verdict == "supported"


def test_supports_joins_what_several_quotes_say(reader: Reader) -> None:
    both = "Rome is one. Two is Rome in Oslo."
    assert supports("find rome", "They are Rome, Oslo", both, reader).verdict == "supported"


def test_supports_weak_quotes_do_not_contradict(reader: Reader) -> None:
    verdict = supports("find lima", "Oslo", "One two three.", reader, HighlightOptions(min_probability=0.0, places=1))
    assert verdict.verdict == "insufficient"
    assert verdict.quote is not None
    assert verdict.quote.probability < 0.5


def test_supports_refuses_nonsense(reader: Reader) -> None:
    for bad in ("", " … ", None):
        with pytest.raises(InputError, match="answer_text must be a text"):
            supports("find rome", bad, TEXT, reader)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a question must be a text"):
        supports("", "Rome", TEXT, reader)
