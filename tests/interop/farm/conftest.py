"""A reader that finds words by rule, over five documents as in Haystack 1's own tests."""

import pytest

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.interop.farm import Document

TEXTS = [
    "My name is Carla and I live in Berlin",
    "My name is Christelle and I live in Paris",
    "My name is Camila and I live in Madrid",
    "My name is Matteo and I live in Rome",
    "My name is Paul and I live in New York",
]


@pytest.fixture
def docs() -> list[Document]:
    return [Document(text, meta={"name": f"{number}.txt"}) for number, text in enumerate(TEXTS)]


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(" ".join([*TEXTS, ". x"]))


@pytest.fixture
def words(scorer: FakeScorer) -> Reader:
    """Asked "find carla", it answers "Carla" wherever that stands."""
    return Reader(scorer, NativeSettings(no_answer=True))
