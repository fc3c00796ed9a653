import pytest

from polyspan.evaluation import Answered, Prediction, Questions
from polyspan.types import GoldAnswer, QAExample

CONTEXT = "Anna moved from Oslo to Rome in 1999. Bert stayed in Oslo, where he built two boats."


def _question(identifier: str, question: str, gold: str) -> QAExample:
    answers = (GoldAnswer(gold, CONTEXT.index(gold)),) if gold else ()
    return QAExample(identifier, question, CONTEXT, answers, is_impossible=not answers, title="Boats")


def _row(identifier: str, text: str, score: float, no_answer: float, margin: float) -> Prediction:
    start = CONTEXT.index(text)
    return Prediction(identifier, text, start, start + len(text), score, no_answer, margin > 0, margin)


@pytest.fixture
def answered() -> Answered:
    """Eight questions of one context, and what a reader with the threshold 0 says of them."""
    table: tuple[tuple[str, str, str, str, float, float, float], ...] = (
        ("right", "When did Anna move?", "1999", "1999", 0.9, 0.0, -9.0),
        ("sure", "Where did she move?", "Rome", "Oslo to Rome", 0.8, 0.1, -8.0),
        ("unsure", "Who built boats?", "Bert", "Anna", 0.4, 0.3, -1.0),
        ("silent", "Where did Bert stay?", "Oslo", "Oslo", 0.3, 0.6, 1.0),
        ("quiet", "How many boats?", "two boats", "two", 0.1, 0.7, 2.0),
        ("false", "Where did Carla stay?", "", "Rome", 0.6, 0.2, -4.0),
        ("no", "When did Bert move?", "", "1999", 0.2, 0.7, 3.0),
        ("never", "Who sold the boats?", "", "Bert", 0.05, 0.95, 6.0),
    )
    return Answered(
        Questions(
            [_question(identifier, question, gold) for identifier, question, gold, *_ in table],
            [""] * len(table),
            {"dataset": "boats.json", "dataset_sha256": "0a1b", "model": "fake"},
        ),
        {row[0]: _row(row[0], *row[3:]) for row in table},
        0.0,
    )
