from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from onnx_graphs import silent
from polyspan import Reader
from polyspan.backends import SpanScorer
from polyspan.evaluation import Questions
from polyspan.features import Batch
from polyspan.types import FloatArray

pytest.importorskip("torch")
pytest.importorskip("onnx")


class Shifted:
    """A scorer whose start logits are another's, a token late, for windows that hold a piece."""

    def __init__(self, scorer: SpanScorer, piece: int) -> None:
        self.scorer, self.piece = scorer, piece
        self.name, self.tokenizer, self.max_seq_len = scorer.name, scorer.tokenizer, scorer.max_seq_len

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = self.scorer.score(batch)
        rows = (batch.input_ids == self.piece).any(axis=1)
        start[rows, 1:], end[rows, 1:] = start[rows, :-1], end[rows, :-1]
        return start, end

    def save(self, folder: Path) -> None:
        self.scorer.save(folder)


@pytest.fixture(scope="module")
def reader(reader_folder: Path) -> Reader:
    return Reader.from_pretrained(reader_folder)


def unanswerable(questions: Questions) -> Questions:
    examples = [replace(one, answers=(), is_impossible=True) for one in questions.examples]
    return replace(questions, examples=examples)


def test_gate_finds_no_loss_in_the_model_itself(reader: Reader, questions: Sequence[Questions]) -> None:
    from polyspan.export import Gate

    gate = Gate(reader, questions, silent)
    report = gate.measure(reader)
    assert [one.language for one in report.languages] == ["en", "two"]
    for one in (*report.languages, report.whole):
        assert (one.f1_float, one.f1, one.loss.difference) == (100, 100, 0)
        assert (one.same_span, one.largest_difference) == (1, 0)
        assert one.correlation == pytest.approx(1)
    assert report.whole.questions == 48
    assert report.failures(0) == []
    assert 20 < len(gate.windows) <= 48  # unknown characters make equal windows
    rows = report.table().splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| en", "| two", "| all"]


def test_gate_names_the_language_that_loses(reader: Reader, questions: Sequence[Questions]) -> None:
    from polyspan.export import Gate

    piece = int(reader.scorer.tokenizer.encode("橋").ids[0])
    assert piece != int(reader.scorer.tokenizer.encode("□").ids[0])
    english, other = questions
    english = english.those(lambda example: "橋" not in example.context)
    bad = Reader(Shifted(reader.scorer, piece), reader.settings)
    only = other.those(lambda example: "橋" in example.context)
    report = Gate(reader, [english, only], silent).measure(bad)
    clean, ruined = report.languages
    assert (clean.loss.difference, clean.same_span) == (0, 1)
    assert ruined.loss.low > 0.5
    assert ruined.same_span < 1
    assert ruined.largest_difference > 0.1
    assert ruined.correlation < 0.99
    over_all, in_two = report.failures(0.5)
    assert over_all.startswith(f"over all it loses {report.whole.loss.difference:.2f} points of F1, more than 0.5")
    assert in_two.startswith(f"in two it loses {ruined.loss.difference:.2f} points of F1 ({ruined.loss.low:.2f} to ")
    assert report.failures(100) == []


def test_gate_does_not_refuse_what_a_language_may_lose_by_chance(
    reader: Reader, questions: Sequence[Questions]
) -> None:
    from polyspan.export import Gate

    report = Gate(reader, questions, silent).measure(reader)
    one = report.languages[0]
    lucky = replace(one, loss=replace(one.loss, difference=3.0, low=0.4, high=6.0))
    assert replace(report, languages=(lucky,)).failures(0.5) == []
    few = replace(report, whole=lucky)
    assert few.doubt(0.5).startswith("on 24 questions a loss of up to 6.00 points of F1 cannot be ruled out")
    assert few.doubt(6) == report.doubt(0) == ""
    unlucky = replace(one, loss=replace(one.loss, difference=3.0, low=0.6, high=6.0))
    assert len(replace(report, languages=(unlucky,)).failures(0.5)) == 1


def test_gate_counts_unanswerable_questions(reader: Reader, questions: Sequence[Questions]) -> None:
    from polyspan.export import Gate

    absent = [unanswerable(questions[0])]
    settings = replace(reader.settings, no_answer=True)

    def abstaining(threshold: float) -> Reader:
        calibration = replace(settings.calibration, no_answer_threshold=threshold)
        return Reader(reader.scorer, replace(settings, calibration=calibration))

    report = Gate(abstaining(-1e4), absent, silent).measure(abstaining(1e4))
    assert report.whole.f1_float == 100
    assert report.whole.f1 < 20  # SQuAD's rules take punctuation alone for no answer
    assert report.whole.loss.difference == pytest.approx(100 - report.whole.f1)
    assert report.whole.same_span == 1
