from collections.abc import Mapping

import pytest

from fake_scorer import FakeScorer
from polyspan import Document, InputError, Passage, Reader, ReadOptions, Span
from polyspan.backends import NativeSettings
from polyspan.decoding import Calibration, Confidence, LogisticMap, StopRule
from polyspan.microbatch import MicroBatcher
from polyspan.pipeline import PipelineOptions, QAPipeline

WORDS = "anna bert lives in oslo rome"
FILLER = "Bees dance to tell each other where flowers grow. " * 40


def pipeline(documents: list[Document], passages: int = 3) -> QAPipeline:
    return QAPipeline(Reader(FakeScorer(WORDS), NativeSettings(no_answer=True)), documents, PipelineOptions(passages))


def test_pipeline_reads_the_right_passage_and_reports_offsets_in_the_document() -> None:
    text = FILLER + "\n\nBert lives in Rome.\n\n" + FILLER
    documents = [Document(FILLER, id="a"), Document(text, id="b", page_starts=(0, len(FILLER)))]
    (answer,) = pipeline(documents).ask("find rome").answers
    assert (answer.document, answer.start, answer.page) == ("b", text.index("Rome"), 2)
    assert text[answer.start : answer.end] == answer.text == "Rome"


def test_pipeline_reads_no_more_passages_than_asked() -> None:
    documents = [Document(f"Rome {number}", id=str(number)) for number in range(9)]
    (answer,) = pipeline(documents, passages=4).ask("find rome", ReadOptions(top_k=20)).answers
    assert len({answer.document, *(one.document for one in answer.also)}) == 4


def test_pipeline_with_a_batcher_says_the_same() -> None:
    documents = [Document(f"Rome {number}", id=str(number)) for number in range(9)]
    one = pipeline(documents, passages=4)
    with MicroBatcher(one.reader) as batcher:
        options = ReadOptions(top_k=2)
        assert one.ask("find rome", options, batcher) == one.ask("find rome", options)
        assert one.ask("find oslo", batcher=batcher) == one.ask("find oslo")
        rule = StopRule(6, (1, 2, 4), ((0.01, 1.0), (0.05, 0.9)))
        settings = NativeSettings(no_answer=True, calibration=Calibration(stop=rule))
        stopping = QAPipeline(Reader(FakeScorer(WORDS), settings), documents, PipelineOptions(3, 0.05))
        with pytest.raises(InputError, match="set stop_risk to 0"):
            stopping.ask("find rome", batcher=batcher)


def test_pipeline_without_documents_gives_no_answer() -> None:
    assert pipeline([]).ask("find rome").no_answer.chosen
    assert pipeline([Document(" \n", id="a")]).ask("find rome").no_answer.chosen


def test_pipeline_refuses_to_read_nothing() -> None:
    with pytest.raises(InputError, match="passages_read must be at least 1"):
        PipelineOptions(0)


class Reversed:
    """Ranks the last passage first."""

    def __init__(self, documents: list[Document]) -> None:
        self._passages = [Passage(document, Span(0, len(document.text))) for document in documents]

    def best(self, question: str, count: int) -> list[Passage]:
        assert question
        return self._passages[::-1][:count]


def test_pipeline_takes_what_ranks_passages_in_the_place_of_documents() -> None:
    documents = [Document(f"Rome {number}", id=str(number)) for number in range(9)]
    ranker = Reversed(documents)
    reader = Reader(FakeScorer(WORDS), NativeSettings(no_answer=True))
    (answer,) = QAPipeline(reader, ranker, PipelineOptions(2)).ask("find rome").answers
    assert (answer.document, [one.document for one in answer.also]) == ("8", ["7"])


def test_pipeline_stream_tells_what_was_ranked_and_equals_single_questions() -> None:
    documents = [Document(f"Rome {number}", id=str(number)) for number in range(9)]
    several = pipeline(documents, passages=2)
    questions = ["find rome", "find oslo"] * 3
    found = list(several.ask_stream(questions, ranked=5))
    assert [len(ranked) for ranked, _ in found] == [5] * 6
    assert [reading for _, reading in found] == [several.ask(question) for question in questions]
    assert [len(ranked) for ranked, _ in several.ask_stream(questions, ranked=1)] == [2] * 6


def stopping(
    documents: list[Document], passages: int = 6, risk: float = 0.05, languages: Mapping[str, Confidence] | None = None
) -> QAPipeline:
    rule = StopRule(6, (1, 2, 4), ((0.01, 1.0), (0.05, 0.9)))
    settings = NativeSettings(no_answer=True, calibration=Calibration(stop=rule, confidences=languages or {}))
    return QAPipeline(Reader(FakeScorer(WORDS), settings), documents, PipelineOptions(passages, risk))


def test_pipeline_stops_where_the_best_answer_is_sure_enough() -> None:
    documents = [Document(f"Rome {number}", id=str(number)) for number in range(9)]
    early, never = stopping(documents), stopping(documents, risk=0.0)
    assert (early.ask("find rome").passages_read, never.ask("find rome").passages_read) == (1, 6)
    assert stopping(documents, risk=0.01).ask("find rome").passages_read == 6  # no answer is surer than 1
    assert early.ask("find rome") == stopping(documents, passages=1, risk=0.0).ask("find rome")
    sure = early.ask("find oslo")
    assert (sure.passages_read, sure.no_answer.chosen) == (6, True)  # what is not there may still come
    assert [one.passages_read for _, one in early.ask_stream(["find rome", "find oslo"] * 3)] == [1, 6] * 3


def test_pipeline_refuses_to_stop_without_a_rule_for_it() -> None:
    documents = [Document("Rome", id="a")]
    with pytest.raises(InputError, match="fake has no stop rule; fit one with polyspan calibrate --early-stop"):
        QAPipeline(Reader(FakeScorer(WORDS), NativeSettings(no_answer=True)), documents, PipelineOptions(3, 0.05))
    with pytest.raises(InputError, match="passages_read 7: the stop rule of fake was fitted for at most 6"):
        stopping(documents, passages=7)
    with pytest.raises(InputError, match=r"stop_risk 0\.001: the model has limits for a risk of 0\.01, 0\.05"):
        stopping(documents, risk=0.001)
    for risk in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="stop_risk must be a probability"):
            PipelineOptions(3, risk)


def test_pipeline_refuses_to_stop_by_probabilities_of_a_language() -> None:
    level = LogisticMap(0.0, {})
    early = stopping([Document("Rome", id="a")], languages={"de": Confidence(level, level)})
    assert early.ask("find rome").answers
    assert early.ask("find rome", ReadOptions(language="fr")) == early.ask("find rome")
    for language in ("de", "auto"):
        with pytest.raises(InputError, match="leave the language out, or set stop_risk to 0"):
            early.ask("find rome", ReadOptions(language=language))
