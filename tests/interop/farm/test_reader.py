"""The published behaviour of Haystack 1's readers, and that each argument does what it says."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiny
from fake_scorer import FakeScorer
from polyspan import DatasetError, InputError, ModelError, Reader
from polyspan.backends import NativeSettings
from polyspan.decoding import Calibration
from polyspan.interop.farm import Answer, Document, FARMReader, Span, TransformersReader

CARD = (
    "The option to convert models between FARM and transformers gives freedom to the user and let people easily switch "
    "between frameworks."
)
Kind = Callable[..., Any]
both = pytest.mark.parametrize("kind", [FARMReader, TransformersReader])
Docs = list[Document]


def check_shape(prediction: dict[str, Any], documents: Docs) -> None:
    by_id = {document.id: document.content for document in documents}
    assert {type(answer) for answer in prediction["answers"]} == {Answer}
    for answer in prediction["answers"]:
        assert answer.type == "extractive"
        assert answer.document_ids == [answer.document_id]
        (place,), (shown,) = answer.offsets_in_document, answer.offsets_in_context
        assert by_id[answer.document_id][place.start : place.end] == answer.answer
        assert answer.context[shown.start : shown.end] == answer.answer
        assert 0 <= answer.score <= 1


@both
def test_reader_answers_from_all_documents(kind: Kind, words: Reader, docs: Docs) -> None:
    prediction = kind(words).predict("find carla", docs, top_k=5)
    assert prediction["query"] == "find carla"
    assert len(prediction["answers"]) == 5
    best = prediction["answers"][0]
    assert best.answer == "Carla"
    assert best.offsets_in_document == best.offsets_in_context == [Span(11, 16)]
    assert best.context == docs[0].content
    assert best.meta == {"name": "0.txt"}
    check_shape(prediction, docs)
    scores = [answer.score for answer in prediction["answers"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1 + 1e-6


@both
def test_reader_batch_of_one_question_and_flat_documents(kind: Kind, words: Reader, docs: Docs) -> None:
    prediction = kind(words).predict_batch(queries=["find carla"], documents=docs, top_k=5)
    assert prediction["queries"] == ["find carla"]
    assert len(prediction["answers"]) == len(prediction["no_ans_gaps"]) == 5  # one for each document
    assert [type(answers[0]) for answers in prediction["answers"]] == [Answer] * 5
    assert prediction["answers"][0][0].answer == "Carla"


@both
def test_reader_batch_of_one_question_and_lists(kind: Kind, words: Reader, docs: Docs) -> None:
    prediction = kind(words).predict_batch(queries=["find carla"], documents=[docs, docs[1:]], top_k=5)
    assert len(prediction["answers"]) == 2
    assert [answers[0].answer == "Carla" for answers in prediction["answers"]] == [True, False]
    assert len(prediction["answers"][0]) == 5


@both
def test_reader_batch_of_questions_and_flat_documents(kind: Kind, words: Reader, docs: Docs) -> None:
    queries = ["find carla", "find paul"]
    prediction = kind(words).predict_batch(queries=queries, documents=docs, top_k=5)
    assert [len(answers) for answers in prediction["answers"]] == [5, 5]
    assert prediction["answers"][0][0][0].answer == "Carla"
    assert prediction["answers"][1][4][0].answer == "Paul"


@both
def test_reader_batch_of_questions_and_lists_equals_single_calls(kind: Kind, words: Reader, docs: Docs) -> None:
    reader, queries = kind(words), ["find carla", "find paul"]
    prediction = reader.predict_batch(queries=queries, documents=[docs, docs], top_k=5)
    assert prediction["answers"] == [reader.predict(query, docs, top_k=5)["answers"] for query in queries]


@both
def test_reader_batch_refuses_what_does_not_fit(kind: Kind, words: Reader, docs: Docs) -> None:
    reader = kind(words)
    for queries, documents in ((["find x"] * 2, [docs]), (["find x"], [docs, docs[0]]), ("find x", docs)):
        with pytest.raises(InputError, match=r"quer|questions|documents"):
            reader.predict_batch(queries, documents)
    with pytest.raises(InputError, match="tables are not read"):
        reader.predict("find x", [Document([["a", "b"]], content_type="table")])


@both
def test_reader_no_answer_is_one_of_the_answers(kind: Kind, words: Reader, docs: Docs) -> None:
    reader = kind(words)
    reader.return_no_answers = True
    prediction = reader.predict("find oslo", docs, top_k=5)
    best = prediction["answers"][0]
    assert (best.answer, best.context, best.document_ids, best.document_id) == ("", None, None, None)
    assert best.offsets_in_document == best.offsets_in_context == [Span(0, 0)]
    assert 0.9 < best.score <= 1
    assert len(prediction["answers"]) == 5
    assert sum(answer.answer == "" for answer in prediction["answers"]) == 1
    assert prediction["no_ans_gap"] < 0
    found = reader.predict("find carla", docs, top_k=20)
    assert found["answers"][0].answer == "Carla"
    assert found["no_ans_gap"] > 0
    assert [answer.answer for answer in found["answers"]].count("") == 1
    reader.return_no_answers = False
    assert all(answer.answer for answer in reader.predict("find oslo", docs)["answers"])


def test_reader_gap_is_what_the_boost_has_to_bridge(words: Reader, docs: Docs) -> None:
    threshold = 1.5
    tuned = Reader(words.scorer, replace(words.settings, calibration=Calibration(no_answer_threshold=threshold)))
    reader = FARMReader(tuned, return_no_answer=True)
    gap = reader.predict("find carla", docs)["no_ans_gap"]
    assert gap == threshold + 16
    for boost, answer in ((gap - 0.01, "Carla"), (gap + 0.01, "")):
        reader.update_parameters(no_ans_boost=boost)
        assert reader.predict("find carla", docs)["answers"][0].answer == answer


@both
@pytest.mark.parametrize("documents", [[], [""], ["  \n"], [SimpleNamespace(content=None, meta={}, id="a")]])
def test_reader_without_texts(kind: Kind, documents: list[Any], words: Reader) -> None:
    reader = kind(words)
    assert reader.predict("find carla", documents)["answers"] == []
    reader.return_no_answers = True
    (answer,) = reader.predict("find carla", documents)["answers"]
    assert (answer.answer, answer.score) == ("", 1.0)
    assert math.isfinite(reader.predict("find carla", documents)["no_ans_gap"])


@both
def test_reader_skips_empty_documents_and_keeps_ids(kind: Kind, words: Reader, docs: Docs) -> None:
    mixed = [Document("", id="empty"), docs[0], "My name is Paul", {"content": docs[3].content, "id": "seven"}]
    answers = kind(words).predict("find matteo", mixed)["answers"]
    assert (answers[0].answer, answers[0].document_ids) == ("Matteo", ["seven"])
    other = SimpleNamespace(content=docs[3].content, meta={"url": "u"}, id=17)
    assert kind(words).predict("find matteo", [other])["answers"][0].meta == {"url": "u"}


@both
def test_reader_takes_texts_and_is_a_node(kind: Kind, words: Reader, docs: Docs) -> None:
    reader = kind(words)
    texts = [document.content for document in docs]
    expected = reader.predict("find carla", docs, top_k=3)
    on_texts = reader.predict_on_texts("find carla", texts, top_k=3)
    assert [one.answer for one in on_texts["answers"]] == [one.answer for one in expected["answers"]]
    assert reader.run("find carla", docs, top_k=3) == (expected, "output_1")
    batch, _ = reader.run_batch(["find carla"], [docs], top_k=3)
    assert batch["answers"] == [expected["answers"]]


@pytest.mark.parametrize("size", [5, 10, 15, 20, 37, 500])
def test_reader_context_has_the_size_asked_for(size: int, words: Reader, docs: Docs) -> None:
    reader = FARMReader(words, context_window_size=size)
    for answer in reader.predict("find carla", docs, top_k=5)["answers"]:
        length = min(len(next(one.content for one in docs if one.id == answer.document_id)), size)
        assert len(answer.context) == max(length, len(answer.answer))
    reader.update_parameters(context_window_size=6)
    assert reader.predict("find carla", docs)["answers"][0].context in {" Carla", "Carla "}


def test_reader_context_of_the_other_reader_is_on_each_side(words: Reader, docs: Docs) -> None:
    for size in (0, 3, 70):
        (answer,) = TransformersReader(words, context_window_size=size).predict("find carla", docs, top_k=1)["answers"]
        assert answer.context == docs[0].content[max(0, 11 - size) : 16 + size]


@both
@pytest.mark.parametrize("top_k", [2, 5, 10])
def test_reader_top_k(kind: Kind, top_k: int, words: Reader, docs: Docs) -> None:
    reader = kind(words, top_k=top_k)
    reader.top_k_per_candidate = 4
    if kind is FARMReader:
        reader.top_k_per_sample = 4
    assert len(reader.predict("find carla", docs)["answers"]) == top_k
    assert len(reader.predict("find carla", docs, top_k=1)["answers"]) == 1


@both
def test_reader_top_k_per_candidate_limits_a_document(kind: Kind, words: Reader) -> None:
    text = "x carla x carla x carla x carla"
    reader = kind(words, top_k_per_candidate=2)
    if kind is FARMReader:
        reader.top_k_per_sample = 10
    assert len(reader.predict("find carla", [text])["answers"]) == 2


def test_reader_top_k_per_sample_limits_a_window(words: Reader) -> None:
    text = " ".join(["carla x"] * 60)
    few: dict[str, Any] = {
        "max_seq_len": 64,
        "doc_stride": 32,
        "max_query_length": 16,
        "top_k": 50,
        "top_k_per_candidate": 50,
    }
    counts = [
        len(FARMReader(words, top_k_per_sample=n, **few).predict("find carla", [text])["answers"]) for n in (1, 2)
    ]
    assert counts[0] < counts[1] <= 2 * counts[0]


def test_reader_windows_step_as_farm_did(words: Reader, scorer: FakeScorer) -> None:
    text = " ".join(["x"] * 400)
    counts = {}
    for step in (20, 47):
        reader = FARMReader(words, max_seq_len=64, doc_stride=step, max_query_length=16)
        scorer.batches.clear()
        reader.predict("find carla", [text])
        counts[step] = sum(shape[0] for shape in scorer.batches)
        assert max(shape[1] for shape in scorer.batches) == 64
    room = 64 - 3 - 2
    assert counts == {step: 1 + -(-(400 - room) // step) for step in counts}
    other = TransformersReader(words, max_seq_len=64, doc_stride=20)
    scorer.batches.clear()
    other.predict("find carla", [text])
    assert sum(shape[0] for shape in scorer.batches) == 1 + -(-(400 - room) // (room - 20))


@both
def test_reader_batch_size_is_windows(kind: Kind, words: Reader, scorer: FakeScorer) -> None:
    text = " ".join(["x"] * 400)
    reader = kind(words, max_seq_len=128, doc_stride=60, batch_size=4)
    reader.predict("find carla", [text])
    assert max(shape[0] for shape in scorer.batches) == 4
    scorer.batches.clear()
    reader.predict_batch(["find carla"], [[text]], batch_size=2)
    assert max(shape[0] for shape in scorer.batches) == 2


def test_reader_question_is_cut_to_max_query_length(words: Reader) -> None:
    reader = FARMReader(words, max_query_length=2)
    with pytest.warns(UserWarning, match="only the first 2 were read"):
        found = reader.predict("find carla x paul", ["My name is Carla"])
    assert found["answers"][0].answer == "Carla"


def test_reader_scores_are_logits_on_demand(words: Reader, docs: Docs) -> None:
    reader = FARMReader(words, use_confidence_scores=False, return_no_answer=True)
    found = reader.predict("find carla", docs)["answers"]
    assert (found[0].answer, found[0].score) == ("Carla", 16)
    assert {one.answer: one.score for one in found}[""] == 0  # the null score
    absent = reader.predict("find oslo", docs)["answers"]
    assert (absent[0].answer, absent[0].score) == ("", 0)


def test_reader_confidence_threshold_drops_answers(words: Reader, docs: Docs) -> None:
    every = FARMReader(words).predict("find carla", docs)["answers"]
    few = FARMReader(words, confidence_threshold=0.5).predict("find carla", docs)["answers"]
    assert len(every) == 5
    assert few == [every[0]]
    absent = FARMReader(words, confidence_threshold=0.5, return_no_answer=True).predict("find oslo", docs)["answers"]
    assert [one.answer for one in absent] == [""]


def test_reader_duplicate_filtering(words: Reader) -> None:
    text = "carla x carla x x x x carla"
    few: dict[str, Any] = {"top_k_per_sample": 40, "top_k_per_candidate": 40, "top_k": 40}
    starts = {}
    for apart in (-1, 0, 3):
        found = FARMReader(words, duplicate_filtering=apart, **few).predict("find carla", [text])["answers"]
        starts[apart] = [one.offsets_in_document[0].start for one in found if one.answer == "carla"]
        spans = [(one.offsets_in_document[0].start, one.offsets_in_document[0].end) for one in found]
        assert len(set(spans)) == len(spans)
        overlapping = any(a < d and c < b for i, (a, b) in enumerate(spans) for c, d in spans[:i])
        assert overlapping == (apart < 0)
    assert sorted(starts[0]) == [0, 8, 22]
    assert len(starts[3]) == 2


@both
def test_reader_one_answer_for_overlapping_parts_of_a_document(kind: Kind, words: Reader) -> None:
    first = Document("x x x My name is Carla", id="a", meta={"_split_overlap": [{"doc_id": "b", "range": (6, 22)}]})
    second = Document("My name is Carla x x x", id="b", meta={"_split_overlap": [{"doc_id": "a", "range": (0, 16)}]})
    found = kind(words).predict("find carla", [first, second], top_k=10)["answers"]
    assert [one.answer for one in found].count("Carla") == 1
    apart = [Document(one.content, id=one.id) for one in (first, second)]
    found = kind(words).predict("find carla", apart, top_k=10)["answers"]
    assert [one.answer for one in found].count("Carla") == 2


@both
def test_reader_counts_pages_from_form_feeds(kind: Kind, words: Reader) -> None:
    document = Document("x\fx x\fMy name is Carla", meta={"page_number": 3})
    (answer,) = kind(words).predict("find carla", [document], top_k=1)["answers"]
    assert answer.meta == {"page_number": 3, "answer_page_number": 5}
    assert document.meta == {"page_number": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_seq_len": 513}, "more than the model can see"),
        ({"max_seq_len": 129, "doc_stride": 128}, "doc_stride 128"),
        ({"doc_stride": 999}, "doc_stride 999"),
        ({"doc_stride": 0}, "doc_stride 0"),
        ({"top_k": 0}, "top_k"),
        ({"top_k_per_candidate": -1}, "top_k_per_document"),
        ({"top_k_per_sample": 1.5}, "top_k_per_window"),
        ({"proxies": {"http": "x"}}, "HTTPS_PROXY"),
        ({"force_download": True}, "cache"),
        ({"use_auth_token": "hf_x"}, "HF_TOKEN"),
        ({"devices": ["cuda:0", "cuda:1"]}, "uses one"),
        ({"model_kwargs": {"load_in_8bit": True}}, "load_in_8bit"),
    ],
)
def test_reader_refuses_what_it_cannot_honour(arguments: dict[str, Any], message: str, words: Reader) -> None:
    with pytest.raises(InputError, match=message):
        FARMReader(words, **arguments)


def test_reader_arguments_without_effect(words: Reader, docs: Docs) -> None:
    plain = FARMReader(words).predict("find carla", docs)
    more = FARMReader(words, num_processes=4, preprocessing_batch_size=2, use_auth_token=True, progress_bar=False)
    assert more.predict("find carla", docs) == plain
    with pytest.raises(TypeError, match="no_answer_boost"):
        FARMReader(words, no_answer_boost=1)  # type: ignore[call-arg] # what is tested


def test_reader_update_parameters(words: Reader, docs: Docs) -> None:
    reader = FARMReader(words, no_ans_boost=0)
    assert reader.predict("find carla", docs, top_k=3)["answers"][0].answer == "Carla"
    reader.update_parameters(
        context_window_size=100, no_ans_boost=100, return_no_answer=True, max_seq_len=384, doc_stride=128
    )
    assert (reader.max_seq_len, reader.doc_stride, reader.return_no_answers) == (384, 128, True)
    answers = reader.predict("find carla", docs, top_k=3)["answers"]
    assert [one.answer == "" for one in answers] == [True, False, False]
    reader.update_parameters(no_ans_boost=0, return_no_answer=False)
    assert all(one.answer for one in reader.predict("find carla", docs, top_k=3)["answers"])
    faults: list[dict[str, Any]] = [{"doc_stride": 999}, {"max_seq_len": 99}, {"max_seq_len": 513}]
    for fault in faults:
        with pytest.raises(InputError, match=r"doc_stride|max_seq_len"):
            reader.update_parameters(context_window_size=6, **fault)
        assert (reader.context_window_size, reader.max_seq_len, reader.doc_stride) == (100, 384, 128)


def test_reader_absent_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="made/up"):
        FARMReader("made/up", local_files_only=True)
    with pytest.raises(ModelError, match="no config"):
        FARMReader(tmp_path)


@both
def test_reader_card_snippet_has_its_shape(kind: Kind, folder_of: Callable[[str], Path]) -> None:
    pytest.importorskip("torch")
    model_name = str(folder_of("xlm-roberta"))
    arguments = {} if kind is FARMReader else {"tokenizer": model_name}
    lengths = {"max_seq_len": 96, "doc_stride": 24} | ({"max_query_length": 40} if kind is FARMReader else {})
    reader = kind(model_name_or_path=model_name, **arguments, **lengths)
    documents = [Document(CARD), Document(tiny.SENTENCES[2])]
    prediction = reader.predict("Why is model conversion important?", documents)
    assert prediction["answers"]
    check_shape(prediction, documents)


def test_reader_card_snippets_answer_with_the_shipped_reader() -> None:
    reader = FARMReader(model_name_or_path="default")
    assert reader.predict("Why is model conversion important?", [Document(CARD)])["answers"][0].answer.startswith(
        "gives freedom"
    )
    other = TransformersReader(model_name_or_path="default", tokenizer="default")
    assert other.predict("Why is model conversion important?", [CARD])["answers"][0].answer.startswith("gives freedom")


def test_reader_needs_no_torch_to_read(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('{"data": []}')
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'accelerate', 'onnx'): sys.modules[name] = None\n"
        "from polyspan.errors import MissingExtraError\n"
        "from polyspan.interop.farm import FARMReader\n"
        "reader = FARMReader('default')\n"
        f"print(reader.predict('Why is model conversion important?', [{CARD!r}])['answers'][0].answer)\n"
        f"train = lambda: reader.train({str(tmp_path)!r}, 'train.json', save_dir={str(tmp_path / 'out')!r})\n"
        f"export = lambda: FARMReader.convert_to_onnx('default', {str(tmp_path / 'out')!r})\n"
        "for attempt in (train, export):\n"
        "    try: attempt()\n"
        "    except MissingExtraError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, train, export = ran.stdout.splitlines()
    assert answer.startswith("gives freedom")
    assert "polyspan[" in train
    assert 'pip install "polyspan[export]"' in export


def test_reader_dtype_and_device_are_torchs(folder_of: Callable[[str], Path]) -> None:
    pytest.importorskip("torch")
    folder = folder_of("bert")
    lengths: dict[str, Any] = {"max_seq_len": 96, "doc_stride": 24, "max_query_length": 40}
    asked = ("Who wrote the letter?", [tiny.SENTENCES[2]])
    full = FARMReader(folder, devices=["cpu"], **lengths).predict(*asked)
    half = FARMReader(folder, use_gpu=False, model_kwargs={"torch_dtype": "bfloat16"}, **lengths).predict(*asked)
    assert full["no_ans_gap"] != half["no_ans_gap"]
    with pytest.raises(InputError, match="cuda:77"):
        FARMReader(folder, devices=["cuda:77"], **lengths)
    FARMReader(folder, use_gpu=False, devices=["cuda:77"], **lengths)


def test_reader_saves_what_it_opens(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    lengths: dict[str, Any] = {"max_seq_len": 96, "doc_stride": 24, "max_query_length": 40}
    reader = FARMReader(folder_of("roberta"), **lengths)
    reader.save(directory=tmp_path / "saved")
    asked = ("Who wrote the letter?", [tiny.SENTENCES[2]])
    assert FARMReader(tmp_path / "saved", **lengths).predict(*asked) == reader.predict(*asked)


def test_reader_evaluates_nothing_as_an_error(words: Reader, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text('{"version": "v2.0", "data": []}')
    with pytest.raises(DatasetError, match=r"empty.json"):
        FARMReader(words).eval_on_file(tmp_path, "empty.json")


def test_reader_that_never_abstains_has_a_gap(docs: Docs) -> None:
    never = Reader(FakeScorer("my name is carla"), NativeSettings(no_answer=False))
    with pytest.warns(UserWarning, match="never trained to give no answer"):
        prediction = FARMReader(never, return_no_answer=True).predict("find carla", docs[:1])
    assert prediction["answers"][0].answer == "Carla"
    assert math.isfinite(prediction["no_ans_gap"])
