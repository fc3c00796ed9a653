from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_scorer import FOUND, FakeScorer
from polyspan import Document, InputError, MissingExtraError, ModelError, Passage, Reader, Reading, ReadOptions, Span
from polyspan.backends import NativeSettings
from polyspan.decoding import FEATURES, Calibration, Confidence, LogisticMap, Term
from polyspan.features import Batch
from polyspan.reader import EarlyStop
from polyspan.types import Answer, FloatArray

WORDS = "anna bert carl dora emil lives in oslo rome paris and works at the harbour"


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(WORDS)


@pytest.fixture
def reader(scorer: FakeScorer) -> Reader:
    return Reader(scorer, NativeSettings(no_answer=True))


def texts(reading: Reading) -> list[str]:
    return [answer.text for answer in reading.answers]


def places(reading: Reading) -> list[tuple[str, int]]:
    return [(answer.document, answer.start) for answer in reading.answers]


def test_reader_quotes_with_offsets(reader: Reader) -> None:
    text = "Anna lives in Oslo and works in Rome"
    (answer,) = reader.read("find oslo", text).answers
    assert (answer.text, answer.start, answer.end) == ("Oslo", 14, 18)
    assert text[answer.start : answer.end] == answer.text
    assert answer.raw_score == 16
    assert answer.null_margin == -16
    assert answer.context[answer.start - answer.context_start :].startswith("Oslo")


def test_reader_abstains_and_shows_candidates(reader: Reader) -> None:
    reading = reader.read("find paris", ["Anna lives in Oslo", "Bert lives in Rome"])
    assert reading.no_answer.chosen
    assert reading.no_answer.score > 0.99
    assert reading.answers == ()
    assert reading.candidates
    forced = reader.read("find paris", "Anna lives in Oslo", ReadOptions(return_no_answer=False))
    assert not forced.no_answer.chosen
    assert forced.answers


@pytest.mark.parametrize("copies", [1, 20])
def test_reader_abstains_over_any_number_of_windows(reader: Reader, copies: int) -> None:
    text = "Anna lives in Oslo and works at the harbour. " * 20 * copies
    options = ReadOptions(max_seq_len=200, max_question_len=16)
    assert reader.read("find paris", text, options).no_answer.chosen
    assert texts(reader.read("find paris", text + "Paris", options)) == ["Paris"]


def test_reader_ranks_over_documents_and_keeps_ids(reader: Reader) -> None:
    documents = [
        "Rome",
        None,
        "   ",
        {"text": "Rome !", "id": 7},
        {"text": None, "id": "empty"},
        Document("in Rome", id="d"),
        Document(""),
    ]
    reading = reader.read("find rome", documents)
    assert places(reading) == [("7", 0), ("0", 0), ("d", 3)]
    assert reading.answers[0].score > reading.answers[1].score


def test_reader_without_any_text_gives_no_answer(reader: Reader) -> None:
    for documents in ([], None, "", " \n", [None, ""]):
        reading = reader.read("find rome", documents)
        assert reading.no_answer.chosen
        assert reading.no_answer.score == 1
        assert not reading.answers


def test_reader_gives_one_answer_in_the_overlap_of_two_windows(reader: Reader) -> None:
    text = "Anna lives in " * 12 + "Oslo " + "and works in " * 12
    for position in range(20, 60, 5):
        options = ReadOptions(max_seq_len=position, doc_stride=position // 3, max_question_len=8)
        reading = reader.read("find oslo", text, options)
        assert texts(reading) == ["Oslo"]
        assert reading.answers[0].score <= 1


class FirstToLast(FakeScorer):
    """Asked "find WORD", it rather answers with all from the first WORD to the last."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = super().score(batch)
        for row in range(len(start)):
            hits = np.flatnonzero(start[row] >= FOUND)
            start[row, hits[1:]] -= 4
            end[row, hits[:-1]] -= 4
        return start, end


@pytest.mark.parametrize("seam", ["\n\n", "\t"])
def test_reader_quotes_across_no_paragraphs_and_no_cells(seam: str) -> None:
    reader = Reader(FirstToLast(WORDS), NativeSettings(no_answer=True))
    text = "Bert : Anna lives in Oslo{}works in Oslo"
    assert texts(reader.read("find oslo", text.format("\n"))) == ["Oslo\nworks in Oslo"]
    document = Document(text.format(seam), "d")
    found = reader.read("find oslo", [Passage(document, Span(7, len(document.text)))], ReadOptions(top_k=2))
    assert texts(found) == ["Oslo", "Oslo"]
    assert {place for _, place in places(found)} == {21, len(document.text) - 4}


def test_reader_keeps_equal_texts_at_different_places(reader: Reader) -> None:
    text = "Rome and Rome and Rome"
    assert places(reader.read("find rome", text)) == [("0", 0), ("0", 9), ("0", 18)]


def test_reader_reads_a_title_with_passages_that_do_not_tell_it(reader: Reader) -> None:
    text = "The ferry. It sails to oslo. It sails to rome."
    document = Document(text, meta={"title": "The ferry"})
    told, other = (Passage(document, Span(*span)) for span in ((0, 28), (29, len(text))))
    untitled = [replace(one, document=Document(text)) for one in (told, other)]
    begins, plain = (
        [window.context_start for window, _, _ in reader.window_logits("find rome", given)]
        for given in ([told, other], untitled)
    )
    assert (begins[0], begins[1]) == (plain[0], plain[1] + len(["the", "ferry", "."]))
    (answer,) = reader.read("find rome", [told, other]).answers
    assert (answer.text, answer.start) == ("rome", text.index("rome"))


@pytest.mark.parametrize("title", ["", " ", None, 7, "rome"])
def test_reader_finds_no_answer_in_a_title(reader: Reader, title: object) -> None:
    reading = reader.read("find rome", {"text": "It sails to oslo.", "title": title})
    assert reading.no_answer.chosen


def test_reader_merges_overlapping_passages_of_one_document(reader: Reader) -> None:
    document = Document("Anna lives in Oslo and works in Rome and Oslo", id="a")
    passages = [Passage(document, Span(0, 22)), Passage(document, Span(10, 45)), Passage(document, Span(5, 30))]
    assert sorted(places(reader.read("find oslo", passages))) == [("a", 14), ("a", 41)]


def test_reader_reports_pages(reader: Reader) -> None:
    document = Document("Anna lives.\n\nin Oslo", id="a", page_starts=(0, 13))
    assert reader.read("find oslo", document).answers[0].page == 2
    assert reader.read("find anna", document).answers[0].page == 1
    assert reader.read("find oslo", "Oslo").answers[0].page is None


def test_reader_top_k_options(reader: Reader) -> None:
    documents = ["Rome and Rome and Rome", "Rome in Rome", "Rome"]
    count = len(reader.read("find rome", documents, ReadOptions(top_k=4)).answers)
    assert count == 4
    capped = reader.read("find rome", documents, ReadOptions(top_k=10, top_k_per_document=1))
    assert places(capped) == [("0", 0), ("1", 0), ("2", 0)]
    in_window = reader.read("find rome", documents, ReadOptions(top_k=10, top_k_per_window=2))
    assert len(in_window.answers) == 5
    assert len(reader.read("find rome", documents, ReadOptions(top_k=50)).answers) == 6


def test_reader_scores_add_up_to_no_more_than_one(reader: Reader) -> None:
    reading = reader.read("find rome", ["Rome and Rome", "in Rome"], ReadOptions(max_answer_len=1))
    total = sum(answer.score for answer in reading.answers) + reading.no_answer.score
    assert 0.99 < total <= 1 + 1e-6


def test_reader_score_threshold_and_bias(reader: Reader) -> None:
    documents = ["Rome and Rome !"]
    everything = reader.read("find rome", documents)
    limit = everything.answers[0].score
    kept = reader.read("find rome", documents, ReadOptions(score_threshold=limit - 1e-9))
    assert len(kept.answers) == 1
    assert len(everything.answers) == 2
    assert reader.read("find rome", documents, ReadOptions(no_answer_bias=20)).no_answer.chosen
    assert reader.read("find rome", documents, ReadOptions(no_answer_threshold=-18)).no_answer.chosen is False
    assert reader.read("find rome", documents, ReadOptions(no_answer_threshold=-19)).no_answer.chosen is True


def test_reader_overlap_threshold(reader: Reader) -> None:
    options = ReadOptions(return_no_answer=False, overlap_threshold=1.0, top_k=3)
    reading = reader.read("find rome", "Rome Rome", options)
    assert texts(reading) == ["Rome", "Rome Rome", "Rome"]
    apart = reader.read("find rome", "Rome Rome", replace(options, overlap_threshold=0.0))
    assert texts(apart) == ["Rome", "Rome"]


def test_reader_cuts_long_questions_with_a_notice(reader: Reader) -> None:
    reading = reader.read("find " * 600 + "rome", "Anna lives in Rome")
    assert "only the first 64 were read" in reading.notices[0]
    assert "604 tokens" not in reading.notices[0]
    assert "601 tokens" in reading.notices[0]


def test_reader_batch_equals_single_calls(reader: Reader, scorer: FakeScorer) -> None:
    questions = [f"find {word}" for word in ("oslo", "rome", "paris", "anna", "bert")] * 10
    documents = ["Anna lives in Oslo", "Bert works in Rome and Anna works at the harbour"]
    single = [reader.read(question, documents) for question in questions]
    scorer.batches.clear()
    assert reader.read_batch(questions, documents) == single
    assert len(scorer.batches) < 10
    assert list(reader.read_stream((question, documents) for question in questions)) == single


def test_reader_batch_takes_a_list_of_documents_for_each_question(reader: Reader) -> None:
    readings = reader.read_batch(
        ["find oslo", "find rome", "find anna"], [["Oslo"], ["Oslo", "in Rome"], [None, "Anna"]]
    )
    assert [places(reading) for reading in readings] == [[("0", 0)], [("1", 3)], [("1", 0)]]
    with pytest.raises(InputError, match="one list for each question"):
        reader.read_batch(["find oslo"], [["Oslo"], ["Rome"]])
    with pytest.raises(InputError, match="one list for each question"):
        reader.read_batch(["find oslo", "find rome"], [["Oslo"], "Rome"])


def test_reader_stream_is_lazy(reader: Reader) -> None:
    asked = []

    def pairs() -> Iterator[tuple[str, str]]:
        for number in range(5_000):
            asked.append(number)
            yield "find oslo", f"Anna lives in Oslo {number}"

    first = next(reader.read_stream(pairs()))
    assert texts(first) == ["Oslo"]
    assert len(asked) < 1_000


def test_reader_stream_reads_documents_longer_than_a_block(reader: Reader) -> None:
    text = "Anna lives in Oslo. " * 3_000 + "Bert lives in Rome."
    options = ReadOptions(max_seq_len=24, doc_stride=8, max_question_len=8)
    reading = reader.read("find rome", text, options)
    assert places(reading) == [("0", len(text) - 5)]
    assert reading.answers[0].start > 32_767
    first, second = reader.read_batch(["find rome", "find bert"], [text], options)
    assert (texts(first), texts(second)) == (["Rome"], ["Bert"])


def test_reader_passages_that_differ_only_in_id_stay_apart(reader: Reader) -> None:
    reading = reader.read("find oslo", [Document("Oslo", id="a"), Document("Oslo", id="b"), "Oslo", "Oslo"])
    assert sorted(places(reading)) == [("2", 0), ("3", 0), ("a", 0), ("b", 0)]


@pytest.mark.parametrize("question", ["", "  ", None, 3, ["find oslo"]])
def test_reader_refuses_what_is_no_question(reader: Reader, question: object) -> None:
    with pytest.raises(InputError, match="a question must be a text"):
        reader.read(question, "Oslo")  # type: ignore[arg-type]


def test_reader_refuses_what_is_no_document(reader: Reader) -> None:
    with pytest.raises(InputError, match="document 1 is a int"):
        reader.read("find oslo", ["Oslo", 3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="document 0 is a bytes"):
        reader.read("find oslo", [b"Oslo"])  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["top_k", "top_k_per_document", "top_k_per_window", "batch_tokens", "step"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_reader_options_refuse_bad_counts(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number of at least 1"):
        ReadOptions(**{name: value})  # type: ignore[arg-type]


def test_reader_step_stands_in_place_of_the_overlap(reader: Reader, scorer: FakeScorer) -> None:
    room = 24 - 3 - 2
    for step in (5, room):
        scorer.batches.clear()
        reader.read("find oslo", "anna " * 60, ReadOptions(max_seq_len=24, step=step, max_question_len=8))
        assert sum(windows for windows, _ in scorer.batches) == 1 + -(-(60 - room) // step)


def test_reader_refuses_windows_that_the_model_cannot_see(reader: Reader) -> None:
    with pytest.raises(InputError, match="more than fake can see: 512"):
        reader.read("find oslo", "Oslo", ReadOptions(max_seq_len=513))


class NeverAbstains(FakeScorer):
    """A model whose null logits were never trained: always far below every span."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = super().score(batch)
        start[:, 0] = end[:, 0] = -50
        return start, end


def test_reader_tells_when_a_model_never_learnt_to_abstain() -> None:
    reader = Reader(NeverAbstains(WORDS))
    assert reader.settings.no_answer is False
    reading = reader.read("find paris", ["Anna lives in Oslo", "in Rome"])
    assert reading.answers
    assert not reading.no_answer.chosen
    assert "never trained to give no answer" in reading.notices[0]
    assert not reader.read("find paris", "Oslo", ReadOptions(return_no_answer=False)).notices
    assert texts(reader.read("find rome", ["Anna lives in Oslo", "in Rome"]))[0] == "Rome"
    assert Reader(FakeScorer(WORDS)).settings.no_answer is True


class Broken(FakeScorer):
    """Gives what half precision gives when it overflows."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = super().score(batch)
        return start * np.float32(np.nan), end


class Huge(FakeScorer):
    """Logits of a million."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, end = super().score(batch)
        return start * 1e6, end * 1e6


def test_reader_refuses_logits_that_are_not_finite() -> None:
    with pytest.raises(ModelError, match="not finite"):
        Reader(Broken(WORDS), NativeSettings(no_answer=True)).read("find oslo", "Oslo")


def test_reader_survives_huge_logits() -> None:
    reader = Reader(Huge(WORDS), NativeSettings(no_answer=True))
    assert texts(reader.read("find oslo", "Anna lives in Oslo")) == ["Oslo"]
    assert reader.read("find rome", "Anna lives in Oslo").no_answer.chosen


def test_reader_uses_the_stored_calibration_and_options(scorer: FakeScorer) -> None:
    strict = NativeSettings(no_answer=True, calibration=Calibration(no_answer_threshold=-17))
    assert Reader(scorer, strict).read("find oslo", "Oslo").no_answer.chosen
    few = NativeSettings(no_answer=True, options={"top_k": 1})
    assert len(Reader(scorer, few).read("find oslo", "Oslo and Oslo").answers) == 1
    with pytest.raises(ModelError, match="unknown reading option"):
        Reader(scorer, NativeSettings(no_answer=True, options={"top": 1}))


CONFIDENCE = Confidence(
    unanswerable=LogisticMap(
        1.0, {"null_margin": Term(0.2, -20, 20), "log_windows": Term(-0.3, 0, 3), "agreement": Term(-1.0, 0, 1)}
    ),
    exact=LogisticMap(
        0.5, {"null_margin": Term(-0.1, -20, 20), "runner_up_gap": Term(0.2, 0, 20), "log_share": Term(0.5, -5, 0)}
    ),
)


def calibrated(scorer: FakeScorer, **thresholds: float) -> Reader:
    calibration = Calibration(confidence=CONFIDENCE, thresholds=thresholds)
    return Reader(scorer, NativeSettings(no_answer=True, calibration=calibration))


def says(reading: Reading) -> tuple[float, float]:
    """The probabilities of no answer and of the best answer."""
    return reading.no_answer.score, next(iter(reading.answers or reading.candidates)).score


def test_reader_tells_the_features_of_its_best_answer(reader: Reader) -> None:
    features = reader.read("find rome", ["in Rome !", "Rome and Bert", "Anna lives in Oslo"]).features
    assert tuple(features) == FEATURES
    assert features["null_margin"] == -18
    assert features["runner_up_gap"] == 2
    assert features["log_length"] == pytest.approx(np.log(4))
    assert features["log_windows"] == pytest.approx(np.log(3))
    assert features["log_share"] == pytest.approx(np.log(1 / (1 + np.exp(-2))), abs=1e-5)
    assert features["agreement"] == pytest.approx(1, abs=1e-5)
    assert reader.read("find rome", "").features == {}


def test_reader_features_are_the_same_however_many_answers_are_asked_for(reader: Reader) -> None:
    documents = ["Rome and Rome and Oslo", "Anna in Rome !"]
    expected = reader.read("find rome", documents).features
    for options in (ReadOptions(top_k=1), ReadOptions(top_k_per_window=1), ReadOptions(top_k=9, top_k_per_document=3)):
        assert reader.read("find rome", documents, options).features == expected


@given(
    documents=st.lists(
        st.lists(st.sampled_from([*WORDS.split(), "!"])).map(lambda words: " ".join(["in", *words])), min_size=1
    ),
    irrelevant=st.lists(st.sampled_from(["anna", "lives", "in", "oslo", "."]), min_size=1).map(" ".join),
)
def test_reader_probabilities_come_from_the_features_alone(documents: list[str], irrelevant: str) -> None:
    reader = calibrated(FakeScorer(WORDS))
    options = ReadOptions(max_seq_len=24, doc_stride=4, max_question_len=8)
    before = reader.read("find rome", documents, options)
    after = reader.read("find rome", [*documents, irrelevant], options)
    ahead = reader.read("find rome", [irrelevant, *documents], options)
    for reading in (before, after, ahead):
        unanswerable = float(CONFIDENCE.unanswerable.probability(reading.features))
        right = (1 - unanswerable) * float(CONFIDENCE.exact.probability(reading.features))
        assert says(reading) == (unanswerable, right)
    assert after.features["null_margin"] <= before.features["null_margin"]
    if "rome" in " ".join(documents):
        assert ahead.features == pytest.approx(after.features)
        same = {name: before.features[name] for name in ("null_margin", "log_length")}
        assert {name: after.features[name] for name in same} == same
        assert after.features["log_share"] == pytest.approx(before.features["log_share"], abs=1e-4)


def test_reader_fitted_probabilities_are_the_same_in_batches(scorer: FakeScorer) -> None:
    reader = calibrated(scorer)
    questions = [f"find {word}" for word in ("oslo", "rome", "paris", "anna")] * 5
    documents = ["Anna lives in Oslo", "Bert works in Rome and Anna works at the harbour " * 20]
    options = ReadOptions(max_seq_len=32, doc_stride=8, max_question_len=8)
    single = [says(reader.read(question, documents, options)) for question in questions]
    together = [says(reading) for reading in reader.read_batch(questions, documents, options)]
    np.testing.assert_allclose(together, single, rtol=1e-9)


def test_reader_threshold_and_bias_move_the_choice_and_no_fitted_probability(scorer: FakeScorer) -> None:
    reader = calibrated(scorer)
    plain = reader.read("find rome", "Anna lives in Rome")
    for options in (ReadOptions(no_answer_bias=20), ReadOptions(no_answer_threshold=-20)):
        moved = reader.read("find rome", "Anna lives in Rome", options)
        assert (plain.no_answer.chosen, moved.no_answer.chosen) == (False, True)
        assert says(moved) == says(plain)


def test_reader_takes_the_threshold_of_the_language_that_it_is_told(scorer: FakeScorer) -> None:
    reader = calibrated(scorer, de=-20.0)
    for language, abstains in ((None, False), ("fr", False), ("de", True)):
        reading = reader.read("find rome", "Anna lives in Rome", ReadOptions(language=language))
        assert reading.no_answer.chosen == abstains
    own = ReadOptions(language="de", no_answer_threshold=0)
    assert not reader.read("find rome", "Anna lives in Rome", own).no_answer.chosen


def test_reader_takes_the_probabilities_of_the_language_that_it_is_told(scorer: FakeScorer) -> None:
    own = Confidence(CONFIDENCE.unanswerable.rescaled(1, -2), CONFIDENCE.exact.rescaled(1, 3))
    calibration = Calibration(confidence=CONFIDENCE, confidences={"de": own})
    reader = Reader(scorer, NativeSettings(no_answer=True, calibration=calibration))
    plain, french, german, told = (
        says(reader.read(GERMAN, "Anna lives in Rome", ReadOptions(language=language)))
        for language in (None, "fr", "de", "auto")
    )
    assert plain == french
    assert german == told
    assert german[0] < plain[0]
    assert german[1] > plain[1]


def test_reader_tells_its_threshold_unless_each_question_has_its_own(scorer: FakeScorer) -> None:
    reader = calibrated(scorer, de=-20.0)
    assert reader.threshold(ReadOptions()) == reader.settings.calibration.no_answer_threshold
    assert reader.threshold(ReadOptions(return_no_answer=False, language="de")) == -20
    assert reader.threshold(ReadOptions(language="auto", no_answer_threshold=0.5)) == 0.5
    assert reader.threshold(ReadOptions(language="auto")) is None
    assert reader.threshold(ReadOptions(language="auto"), GERMAN) == -20
    silent = Reader(scorer, NativeSettings(no_answer=False))
    assert silent.threshold(ReadOptions()) is None
    assert silent.threshold(ReadOptions(no_answer_threshold=0.5)) == 0.5


GERMAN, FRENCH = "Wie heißt die Stadt am Hafen? rome", "Comment s'appelle la ville au bord de la mer ? rome"


def test_reader_tells_the_language_of_each_question(scorer: FakeScorer) -> None:
    reader = calibrated(scorer, de=-20.0, pl=-20.0)
    questions = [FRENCH, GERMAN, "Jak nazywa się miasto nad morzem? rome", "rome"]
    told = reader.read_batch(questions, ["Anna lives in Rome"], ReadOptions(language="auto"))
    assert [reading.no_answer.chosen for reading in told] == [False, True, True, False]
    for question, language, reading in zip(questions, ("fr", "de", "pl", None), told, strict=True):
        assert reader.read(question, "Anna lives in Rome", ReadOptions(language=language)) == reading
    own = ReadOptions(language="auto", no_answer_threshold=0)
    assert not reader.read(GERMAN, "Anna lives in Rome", own).no_answer.chosen


def test_reader_needs_a_detector_only_where_the_model_has_thresholds_by_language(
    scorer: FakeScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(question: str) -> str:
        raise MissingExtraError(question, "language")

    monkeypatch.setattr("polyspan.reader.detect_language", missing)
    options = ReadOptions(language="auto")
    assert texts(calibrated(scorer).read(GERMAN, "Anna lives in Rome", options)) == ["Rome"]
    scorer.batches.clear()
    with pytest.raises(MissingExtraError):
        calibrated(scorer, de=-20.0).read(GERMAN, "Anna lives in Rome", options)
    assert not scorer.batches
    own = ReadOptions(language="auto", no_answer_threshold=0)
    assert texts(calibrated(scorer, de=-20.0).read(GERMAN, "Anna lives in Rome", own)) == ["Rome"]


@pytest.mark.parametrize("language", ["", "DE", "german", "de-AT", 3])
def test_reader_options_refuse_what_is_no_language(language: object) -> None:
    with pytest.raises(InputError, match="language must be an ISO 639 code such as 'de', or 'auto', not"):
        ReadOptions(language=language)  # type: ignore[arg-type] # 3, which it refuses


class Noisy(FakeScorer):
    """Logits by chance, the same for the same window, and mountains over padding, of which it adds columns."""

    def __init__(self, padding: int = 0) -> None:
        super().__init__(WORDS)
        self.padding = padding

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        self.batches.append(batch.input_ids.shape)
        rows, columns = batch.input_ids.shape
        logits = np.full((2, rows, columns + self.padding), 1e9, np.float32)
        for row, (ids, mask) in enumerate(zip(batch.input_ids, batch.attention_mask, strict=True)):
            window = ids[mask == 1]
            logits[:, row, : window.size] = np.random.default_rng(window).normal(0, 3, (2, window.size))
        return logits[0], logits[1]


@given(
    documents=st.lists(st.lists(st.sampled_from(WORDS.split()), max_size=60).map(" ".join), min_size=1, max_size=5),
    words=st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=8, unique=True),
    budget=st.sampled_from([1, 30, 200, 10_000]),
    block=st.sampled_from([1, 5, 512]),
    padding=st.sampled_from([0, 1, 40]),
    seed=st.integers(0, 100),
)
def test_reader_answers_the_same_whatever_the_batches(
    documents: list[str], words: list[str], budget: int, block: int, padding: int, seed: int
) -> None:
    options = ReadOptions(max_seq_len=24, doc_stride=6, max_question_len=8)
    questions = [f"find {word}" for word in words]
    alone = [calibrated(Noisy()).read(question, documents, options) for question in questions]
    order = np.random.default_rng(seed).permutation(len(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyspan.reader.BLOCK_WINDOWS", block)
        together = calibrated(Noisy(padding)).read_batch(
            [questions[i] for i in order], documents, replace(options, batch_tokens=budget)
        )
    assert together == [alone[i] for i in order]


@given(
    documents=st.lists(st.lists(st.sampled_from(WORDS.split()), max_size=60).map(" ".join), min_size=1, max_size=8),
    words=st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=8, unique=True),
    after=st.sets(st.integers(1, 9), min_size=1, max_size=4).map(sorted),
    block=st.sampled_from([1, 5, 512]),
    margin=st.sampled_from([-np.inf, -14.0, -10.0, np.inf]),
)
def test_reader_that_stops_early_says_what_the_documents_so_far_say(
    documents: list[str], words: list[str], after: list[int], block: int, margin: float
) -> None:
    """It never stops at a margin of -inf, which is as if nothing was said, and always at inf."""
    options = ReadOptions(max_seq_len=24, doc_stride=6, max_question_len=8)
    reader = calibrated(Noisy())

    def enough(reading: Reading) -> bool:
        return reading.no_answer.null_margin <= margin

    expected = []
    for word in words:
        until = [number for number in after if number < len(documents)]
        prefixes = (reader.read(f"find {word}", documents[:number], options) for number in until)
        whole = reader.read(f"find {word}", documents, options)
        expected.append(next((one for one in prefixes if enough(one)), whole))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyspan.reader.BLOCK_WINDOWS", block)
        pairs = ((f"find {word}", documents) for word in words)
        found = list(reader.read_stream(pairs, options, EarlyStop(after, enough)))
    assert found == expected
    read = [one.passages_read for one in found]
    texts_in = [sum(map(bool, documents[:number])) for number in (*after, len(documents))]
    assert set(read) <= {texts_in[0]} if margin == np.inf else set(read) <= set(texts_in)


def test_reader_scores_each_window_alone_where_a_batch_holds_one_token(reader: Reader, scorer: FakeScorer) -> None:
    documents = ["Anna lives in Oslo", "Bert works in Rome and Anna works at the harbour"]
    reader.read_batch(["find oslo", "find the harbour"], documents, ReadOptions(batch_tokens=1))
    assert sorted(scorer.batches) == [(1, 9), (1, 10), (1, 15), (1, 16)]


def test_reader_saves_its_settings(reader: Reader, tmp_path: Path) -> None:
    reader.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "polyspan.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "polyspan.json"]


def test_reader_save_that_fails_leaves_what_was_there(
    reader: Reader, scorer: FakeScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("old")

    def full_disk(folder: Path) -> None:
        (folder / "config.json").write_text("new")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scorer, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        reader.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_reader_is_safe_in_threads(reader: Reader) -> None:
    words = ["oslo", "rome", "anna", "bert"] * 25
    text = "Anna lives in Oslo and Bert works in Rome"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda word: texts(reader.read(f"find {word}", text)), words))
    assert [one[0].lower() for one in found] == words


@settings(max_examples=200)
@given(st.lists(st.text(), max_size=4), st.text(min_size=1).filter(str.strip))
def test_reader_offsets_hold_for_any_text(documents: list[str], question: str) -> None:
    reader = Reader(FakeScorer(WORDS), NativeSettings(no_answer=True))
    options = ReadOptions(return_no_answer=False, max_seq_len=48, doc_stride=8, max_question_len=16)

    def holds(answer: Answer) -> bool:
        text = documents[int(answer.document)]
        begin = answer.context_start
        return (
            text[answer.start : answer.end] == answer.text != ""
            and text[begin : begin + len(answer.context)] == answer.context
            and begin <= answer.start <= answer.end <= begin + len(answer.context)
        )

    assert all(holds(answer) for answer in reader.read(question, documents, options).answers)


def test_reader_of_a_short_model_reads_in_short_windows(scorer: FakeScorer) -> None:
    scorer.max_seq_len = 40
    reader = Reader(scorer)
    assert reader.defaults.max_seq_len == 40
    text = "Anna works at the harbour. " * 30 + "Bert lives in Oslo."
    assert texts(reader.read("find oslo", text)) == ["Oslo"]


def test_reader_prefers_what_has_no_handicap_and_keeps_offsets_of_parts() -> None:
    reader = Reader(FakeScorer("anna lives in rome oslo"), NativeSettings(no_answer=True))
    whole = "Anna lives in Rome . Anna lives in Oslo . Rome"
    parts = [
        Passage(Document(whole[:20], "a", part_start=0), Span(0, 20), handicap=3.0),
        Passage(Document(whole[42:], "a", part_start=42), Span(42, 46)),
    ]
    first, second = reader.read("find rome", parts).answers
    assert [(one.start, one.end) for one in (first, second)] == [(42, 46), (14, 18)]
    assert second.null_margin - first.null_margin == pytest.approx(3.0)
    assert all(whole[one.start : one.end] == one.text == "Rome" for one in (first, second))
    assert all(whole[one.context_start :].startswith(one.context) for one in (first, second))
