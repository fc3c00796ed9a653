"""The published behaviour of Haystack's extractive reader, and that each argument does what it says."""

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fake_scorer import FakeScorer
from polyspan import InputError, ModelError, Reader
from polyspan.backends import NativeSettings
from polyspan.backends.folder import ASSETS
from polyspan.decoding import Calibration
from polyspan.errors import MissingExtraError

pytest.importorskip("polyspan.interop.haystack", exc_type=MissingExtraError)

from haystack import Document, ExtractedAnswer
from haystack.utils import ComponentDevice, Device, DeviceMap, Secret

from polyspan.interop.haystack import PolyspanReader

GERMANY = "find germany"
OWN: dict[str, Any] = {"calibration_factor": None, "context_chars": None, "language": None, "max_answer_len": None}
DEFAULTS: dict[str, Any] = {
    "model": "default",
    "device": None,
    "token": {"type": "env_var", "env_vars": ["HF_API_TOKEN", "HF_TOKEN"], "strict": False},
    "top_k": 20,
    "score_threshold": None,
    "max_seq_length": 384,
    "stride": 128,
    "max_batch_size": None,
    "answers_per_seq": None,
    "no_answer": True,
    "overlap_threshold": 0.01,
    "model_kwargs": None,
    "max_question_len": None,
    "no_answer_threshold": None,
    **OWN,
}


@pytest.fixture
def docs() -> list[Document]:
    return [
        Document(content="Angela Merkel was the chancellor of Germany."),
        Document(content="Olaf Scholz is the chancellor of Germany"),
        Document(content="Jerry is the head of the department.", meta={"page_number": 3}),
    ]


def texts(answers: list[ExtractedAnswer]) -> list[str | None]:
    return [answer.data for answer in answers]


def long_text(count: int = 400) -> list[Document]:
    return [Document(content=" ".join(["x"] * count))]


def test_reader_answers_from_all_documents(words: Reader, docs: list[Document]) -> None:
    answers = PolyspanReader(words).run(query=GERMANY, documents=docs, top_k=2)["answers"]
    assert texts(answers) == ["Germany", "Germany", None]
    assert [answer.document for answer in answers] == [docs[0], docs[1], None]
    assert {answer.query for answer in answers} == {GERMANY}
    for answer in answers[:2]:
        assert answer.document.content[answer.document_offset.start : answer.document_offset.end] == answer.data
        assert answer.context[answer.context_offset.start : answer.context_offset.end] == answer.data
        assert answer.context == answer.document.content
    assert sum(answer.score for answer in answers) <= 1 + 1e-6
    assert answers[-1] == ExtractedAnswer(query=GERMANY, score=answers[-1].score)


def test_reader_scores_fall_and_survive_a_dictionary(words: Reader, docs: list[Document]) -> None:
    answers = PolyspanReader(words).run(GERMANY, docs)["answers"]
    scores = [answer.score for answer in answers]
    assert scores == sorted(scores, reverse=True)
    assert len(answers) > 4
    assert [ExtractedAnswer.from_dict(answer.to_dict()) for answer in answers] == answers


def test_reader_has_the_inputs_of_haystacks() -> None:
    sockets = vars(PolyspanReader())["__haystack_input__"]._sockets_dict
    assert list(sockets) == [
        "top_k",
        "score_threshold",
        "max_seq_length",
        "stride",
        "max_batch_size",
        "answers_per_seq",
        "no_answer",
        "overlap_threshold",
        "query",
        "documents",
    ]
    assert [name for name, socket in sockets.items() if socket.is_mandatory] == ["query", "documents"]
    assert sockets["documents"].type == list[Document]


def test_reader_without_documents(words: Reader) -> None:
    reader = PolyspanReader(words)
    assert reader.run(query="find x", documents=[]) == {"answers": []}
    (answer,) = reader.run("find x", [Document(content=None), Document(content=" ")])["answers"]
    assert (answer.data, answer.document) == (None, None)


def test_reader_skips_documents_without_content(words: Reader, docs: list[Document]) -> None:
    answers = PolyspanReader(words).run(GERMANY, [Document(content=None), docs[1], Document(content="")])["answers"]
    assert (answers[0].data, answers[0].document) == ("Germany", docs[1])


def test_reader_batch_equals_single_calls(words: Reader, docs: list[Document]) -> None:
    reader, queries = PolyspanReader(words, top_k=2), [GERMANY, "find department"]
    flat = reader.run_batch(queries, docs, no_answer=False)["answers"]
    assert flat == [reader.run(query, docs, no_answer=False)["answers"] for query in queries]
    assert reader.run_batch(queries, [docs[:1], docs[1:]])["answers"] == [
        reader.run(queries[0], docs[:1])["answers"],
        reader.run(queries[1], docs[1:])["answers"],
    ]
    assert reader.run_batch(queries, [docs, []])["answers"][1] == []
    for bad in ((GERMANY, docs), (queries, [docs]), (queries, [docs, docs[0]])):
        with pytest.raises(InputError, match=r"questions|queries"):
            reader.run_batch(*bad)


def test_reader_asynchronously(words: Reader, docs: list[Document]) -> None:
    reader = PolyspanReader(words)

    async def ask() -> list[dict[str, Any]]:
        return await asyncio.gather(*(reader.run_async(GERMANY, docs, top_k=number) for number in (1, 2)))

    assert asyncio.run(ask()) == [reader.run(GERMANY, docs, top_k=number) for number in (1, 2)]


@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_reader_top_k(top_k: int, words: Reader, docs: list[Document]) -> None:
    assert len(PolyspanReader(words, top_k=top_k).run(GERMANY, docs)["answers"]) == top_k + 1
    assert len(PolyspanReader(words).run(GERMANY, docs, top_k=top_k, no_answer=False)["answers"]) == top_k


def test_reader_no_answer_is_the_models_own(words: Reader, docs: list[Document]) -> None:
    reader = PolyspanReader(words, top_k=3)
    found, absent = (reader.run(query, docs)["answers"] for query in (GERMANY, "find oslo"))
    assert texts(found).index(None) > 0
    assert texts(absent)[0] is None
    assert len(absent) == len(found) == 4
    assert absent[0].score > 0.9
    for top_k in (1, 20):
        none = next(one for one in reader.run(GERMANY, docs, top_k=top_k)["answers"] if one.data is None)
        assert none.score == next(one for one in found if one.data is None).score
    assert None not in texts(PolyspanReader(words, no_answer=False).run("find oslo", docs)["answers"])
    assert None not in texts(reader.run("find oslo", docs, no_answer=False)["answers"])


def test_reader_no_answer_threshold_decides(words: Reader, docs: list[Document]) -> None:
    sure = PolyspanReader(words, no_answer_threshold=-100.0).run(GERMANY, docs)["answers"]
    unsure = PolyspanReader(words, no_answer_threshold=100.0).run("find oslo", docs)["answers"]
    assert sure[0].data is None
    assert unsure[0].data is not None


def test_reader_language_takes_its_threshold(scorer: FakeScorer, docs: list[Document]) -> None:
    settings = NativeSettings(calibration=Calibration(thresholds={"de": -100.0}), no_answer=True)
    reader = Reader(scorer, settings)
    assert PolyspanReader(reader, language="de").run(GERMANY, docs)["answers"][0].data is None
    assert PolyspanReader(reader).run(GERMANY, docs)["answers"][0].data == "Germany"


def test_reader_that_never_learnt_no_answer_says_so(scorer: FakeScorer, docs: list[Document]) -> None:
    reader = PolyspanReader(Reader(scorer, NativeSettings(no_answer=False)))
    with pytest.warns(UserWarning, match="never trained to give no answer"):
        answers = reader.run("find oslo", docs)["answers"]
    assert answers[0].data is not None
    assert answers[-1].data is None
    reader.run("find oslo", docs, no_answer=False)


def test_reader_score_threshold(words: Reader, docs: list[Document]) -> None:
    reader = PolyspanReader(words, score_threshold=0.3)
    assert texts(reader.run(GERMANY, docs)["answers"]) == ["Germany", "Germany"]
    assert reader.run(GERMANY, docs, score_threshold=0.999)["answers"] == []
    assert len(reader.run(GERMANY, docs, score_threshold=0.0)["answers"]) > 3


def test_reader_calibration_factor_gives_haystacks_scores(words: Reader, docs: list[Document]) -> None:
    best = PolyspanReader(words, calibration_factor=0.1).run(GERMANY, docs)["answers"][0]
    assert best.score == pytest.approx(1 / (1 + math.exp(-0.1 * 16)))
    calibrated = PolyspanReader(words).run(GERMANY, docs)["answers"][0]
    assert (calibrated.data, calibrated.document) == (best.data, best.document)
    assert calibrated.score != pytest.approx(best.score)
    assert PolyspanReader(words, calibration_factor=1e6).run(GERMANY, docs)["answers"][0].score == 1.0


def test_reader_overlap_threshold(words: Reader, docs: list[Document]) -> None:
    def spans(**arguments: Any) -> set[tuple[int, int]]:
        reader = PolyspanReader(words, top_k=50, no_answer=False)
        found = reader.run(GERMANY, docs[:1], **arguments)["answers"]
        return {(one.document_offset.start, one.document_offset.end) for one in found}

    apart = sorted(spans())
    assert all(left[1] <= right[0] for left, right in pairwise(apart))
    assert len(spans(overlap_threshold=1.0)) > len(apart)
    every = PolyspanReader(words, top_k=50, no_answer=False, overlap_threshold=None).run(GERMANY, docs[:1])["answers"]
    assert {(one.document_offset.start, one.document_offset.end) for one in every} == spans(overlap_threshold=1.0)
    assert spans(overlap_threshold=0.0) == set(apart)  # 0 is a value, too


def test_reader_windows(words: Reader, scorer: FakeScorer) -> None:
    def windows(*, call: bool, **arguments: int) -> list[tuple[int, ...]]:
        scorer.batches.clear()
        if call:
            PolyspanReader(words).run("find carla", long_text(), **arguments)  # type: ignore[arg-type]
        else:
            PolyspanReader(words, **arguments).run("find carla", long_text())  # type: ignore[arg-type]
        return list(scorer.batches)

    for call in (False, True):
        counts = {}
        for stride in (0, 20):
            shapes = windows(call=call, max_seq_length=64, stride=stride)
            assert max(shape[1] for shape in shapes) == 64
            counts[stride] = sum(shape[0] for shape in shapes)
        assert counts == {stride: 1 + -(-(400 - 59) // (59 - stride)) for stride in counts}
        assert max(shape[0] for shape in windows(call=call, max_seq_length=128, stride=0, max_batch_size=2)) == 2
        assert max(shape[0] for shape in windows(call=call, max_seq_length=128, stride=0, max_batch_size=1)) == 1


def test_reader_answers_per_seq_limits_a_window(words: Reader) -> None:
    documents = [Document(content="x carla x carla x carla")]
    reader = PolyspanReader(words, answers_per_seq=2, no_answer=False)
    assert len(reader.run("find carla", documents)["answers"]) == 2
    assert len(reader.run("find carla", documents, answers_per_seq=1)["answers"]) == 1
    assert len(PolyspanReader(words, no_answer=False).run("find carla", documents)["answers"]) > 2


def test_reader_lengths_of_answers_questions_and_contexts(words: Reader) -> None:
    documents = [Document(content="x x x x Carla x x x x x")]
    for size in (1, 3):
        answers = PolyspanReader(words, max_answer_len=size, top_k=50, overlap_threshold=None).run("find x", documents)
        assert max(len((one.data or "").split()) for one in answers["answers"]) == size
    with pytest.warns(UserWarning, match="only the first 3 were read"):
        cut = PolyspanReader(words, max_question_len=3).run("find carla carla x", documents)["answers"]
    assert cut[0].data == "Carla"
    narrow, wide = (
        PolyspanReader(words, context_chars=size).run("find carla", documents)["answers"][0].context
        for size in (10, 100)
    )
    assert len(narrow or "") <= 10
    assert wide == documents[0].content


def test_reader_counts_pages_from_form_feeds(words: Reader) -> None:
    text = "x x x. \f x x. \f The head is Carla."
    for meta, page in ({"page_number": 5}, 7), ({"page_number": "5"}, None), ({}, None):
        answer = PolyspanReader(words).run("find carla", [Document(content=text, meta=meta)])["answers"][0]
        assert answer.meta == ({} if page is None else {"answer_page_number": page})


def test_reader_one_answer_for_parts_of_a_text_that_overlap(words: Reader) -> None:
    whole = "x x x Carla x x x Carla x"
    parts = [
        Document(content=whole[start:end], meta={"source_id": "whole", "split_idx_start": start})
        for start, end in ((0, 13), (4, 20), (12, 25))
    ]
    answers = PolyspanReader(words, no_answer=False, top_k=4).run("find carla", parts)["answers"]
    places = [one.document.meta["split_idx_start"] + one.document_offset.start for one in answers]
    assert sorted(places[:2]) == [6, 18]
    assert len(set(places)) == len(places) == 4
    twice = PolyspanReader(words, no_answer=False).run("find carla", [Document(content="Carla x")] * 2)["answers"]
    assert texts(twice).count("Carla") == 1
    elsewhere = [Document(content="Carla x", meta={"name": name}) for name in "ab"]
    assert texts(PolyspanReader(words).run("find carla", elsewhere)["answers"]).count("Carla") == 2


def test_reader_handicap_of_low_ranks(words: Reader) -> None:
    low, high = Document(content="Carla!", meta={"handicap": 5.0}), Document(content="Carla x")
    answers = PolyspanReader(words).run("find carla", [low, high])["answers"]
    assert answers[0].document == high
    without = PolyspanReader(words).run("find carla", [Document(content="Carla!"), high])["answers"]
    assert without[0].document.content == "Carla!"


def test_reader_dictionary_has_every_argument() -> None:
    data = PolyspanReader().to_dict()
    assert data == {"type": "polyspan.interop.haystack.reader.PolyspanReader", "init_parameters": DEFAULTS}
    assert set(DEFAULTS) == {one.name for one in fields(PolyspanReader) if one.init}
    given = {
        "model": "org/name",
        "token": {"type": "env_var", "env_vars": ["MINE"], "strict": True},
        "device": {"type": "single", "device": "cuda:1"},
        "top_k": 3,
        "score_threshold": 0.0,
        "max_seq_length": 256,
        "stride": 0,
        "max_batch_size": 4,
        "answers_per_seq": 2,
        "no_answer": False,
        "calibration_factor": 0.1,
        "overlap_threshold": None,
        "model_kwargs": {"torch_dtype": "torch.float16", "revision": "v2", "local_files_only": True},
        "max_answer_len": 30,
        "max_question_len": 32,
        "no_answer_threshold": -1.5,
        "language": "auto",
        "context_chars": 80,
    }
    assert set(given) == set(DEFAULTS)
    data = {"type": data["type"], "init_parameters": given}
    reader = PolyspanReader.from_dict(data)
    assert data["init_parameters"] is given  # and as it was
    assert reader.to_dict() == data
    assert reader.device == ComponentDevice.from_str("cuda:1")
    assert reader.token == Secret.from_env_var("MINE")
    assert (
        PolyspanReader.from_dict({"type": data["type"], "init_parameters": {}}).to_dict() == PolyspanReader().to_dict()
    )


def test_reader_dictionary_holds_names_only(words: Reader) -> None:
    torch: Any = pytest.importorskip("torch")
    kwargs = {"dtype": torch.float16, "device_map": {"": torch.device("cpu")}}
    data = PolyspanReader(Path("models/mine"), token=None, model_kwargs=kwargs).to_dict()["init_parameters"]
    assert (data["model"], data["token"]) == ("models/mine", None)
    assert data["model_kwargs"] == {"dtype": "torch.float16", "device_map": {"": "cpu"}}
    with pytest.raises(InputError, match="open already"):
        PolyspanReader(words).to_dict()


def test_reader_opens_once_and_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def download(name: str, **given: Any) -> str:
        asked.append((name, given["token"], given["revision"], given["local_files_only"]))
        return str(ASSETS / "reader")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setenv("MINE", "secret")
    kwargs = {"revision": "v2", "local_files_only": True}
    reader = PolyspanReader("org/name", token=Secret.from_env_var("MINE"), model_kwargs=kwargs)
    assert (reader.reader, asked) == (None, [])
    answers = reader.run("Where do trams stop?", [Document(content="Trams stop at the fish market.")])["answers"]
    reader.warm_up()
    assert asked == [("org/name", "secret", "v2", True)]
    assert answers[0].data == "at the fish market"


def test_reader_looks_its_token_up_when_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING_TOKEN", raising=False)
    reader = PolyspanReader("default", token=Secret.from_env_var("MISSING_TOKEN"))
    with pytest.raises(ValueError, match="MISSING_TOKEN"):
        reader.warm_up()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (None, None)),
        ({"device": ComponentDevice.from_str("cpu")}, ("cpu", None)),
        ({"model_kwargs": {"device_map": "auto"}}, (None, None)),
        ({"model_kwargs": {"device_map": "cpu", "torch_dtype": "torch.float16"}}, ("cpu", "torch.float16")),
        ({"model_kwargs": {"device_map": {"": 0}, "dtype": "bfloat16"}}, (0, "bfloat16")),
    ],
)
def test_reader_device_and_dtype(
    arguments: dict[str, Any], expected: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, words: Reader
) -> None:
    opened = []

    def open_named(*given: Any) -> tuple[Reader, None]:
        opened.append(given)
        return words, None

    monkeypatch.setattr("polyspan.interop.haystack.reader.open_named", open_named)
    PolyspanReader("org/name", token=None, **arguments).warm_up()
    ((model, tokenizer, opening),) = opened
    assert (model, tokenizer) == ("org/name", None)
    assert (opening.device, opening.dtype) == expected
    assert opening.use_gpu == (expected[0] is None)


def test_reader_device_map_counts_for_more_than_device() -> None:
    with pytest.warns(UserWarning, match="device_map counts"):
        PolyspanReader(device=ComponentDevice.from_str("cuda"), model_kwargs={"device_map": "cpu"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_k": 0}, "top_k"),
        ({"answers_per_seq": 0}, "top_k_per_window"),
        ({"max_batch_size": 0}, "batch_tokens"),
        ({"language": "German"}, "language"),
        ({"model_kwargs": {"attn_implementation": "sdpa"}}, "attn_implementation has no meaning"),
        ({"model_kwargs": {"device_map": {"a": 0, "b": 1}}}, "several devices"),
        (
            {"device": ComponentDevice.from_multiple(DeviceMap({"a": Device.gpu(0), "b": Device.gpu(1)}))},
            "several are named",
        ),
    ],
)
def test_reader_refuses_what_it_cannot_honour(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PolyspanReader(**arguments)


def test_reader_refuses_bad_calls(words: Reader, docs: list[Document]) -> None:
    reader = PolyspanReader(words)
    for inputs in ({"top_k": -1}, {"max_seq_length": 1024}, {"stride": -1}):
        with pytest.raises(InputError):
            reader.run(GERMANY, docs, **inputs)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="question"):
        reader.run(" ", docs)
    with pytest.raises(TypeError, match="unknown inputs: tok_k"):
        reader.run(GERMANY, docs, tok_k=1)  # type: ignore[call-arg]
    with pytest.raises(ModelError, match="no such folder"):
        PolyspanReader("no/such/folder").run(GERMANY, docs)


def test_reader_tells_the_chancellor_of_today(docs: list[Document], shipped: Reader) -> None:
    answers = PolyspanReader(shipped, top_k=2).run("Who is the chancellor of Germany?", docs)["answers"]
    assert {"Olaf Scholz", "Angela Merkel"} == set(texts(answers)) - {None}
    assert len(answers) == 3


def test_reader_opens_torch_folders(folder_of: Callable[[str], Path], docs: list[Document]) -> None:
    folder = folder_of("bert")
    lengths: dict[str, Any] = {"max_seq_length": 64, "stride": 16, "no_answer": False}
    reader = PolyspanReader(folder, device=ComponentDevice.from_str("cpu"), token=None, **lengths)
    answers = reader.run("Who wrote it?", docs)["answers"]
    assert answers
    assert answers == PolyspanReader(Reader.from_pretrained(folder), **lengths).run("Who wrote it?", docs)["answers"]


def test_haystack_missing_names_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['haystack'] = None\n"
        "try: import polyspan.interop.haystack\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("MissingExtraError")
    assert 'pip install "polyspan[haystack]"' in ran.stdout
