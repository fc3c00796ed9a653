"""A reader that finds words by rule."""

import pytest

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings

WORDS = "angela merkel was the chancellor of germany olaf scholz is jerry head department . x carla"


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(WORDS)


@pytest.fixture
def words(scorer: FakeScorer) -> Reader:
    """Asked "find scholz", it answers "Scholz" wherever that stands."""
    return Reader(scorer, NativeSettings(no_answer=True))
