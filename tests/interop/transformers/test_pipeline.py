"""What transformers 4 published as behaviour of its pipeline, asked of a scorer that finds words and of tiny models."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny
from fake_scorer import FakeScorer
from polyspan import InputError, ModelError, Reader
from polyspan.backends import NativeSettings
from polyspan.interop.transformers import QuestionAnsweringPipeline, SquadExample, pipeline

FolderOf = Callable[[str], Path]
CARD = {
    "question": "Why is model conversion important?",
    "context": "The option to convert models between FARM and transformers gives freedom to the user and let people "
    "easily switch between frameworks.",
}
CONTEXT = "Anna lives in Oslo and works in Rome"
OSLO = {"score": pytest.approx(1, abs=1e-3), "start": 14, "end": 18, "answer": "Oslo"}
SHAPE = {"score": float, "start": int, "end": int, "answer": str}


@pytest.fixture
def nlp() -> QuestionAnsweringPipeline:
    return pipeline("question-answering", Reader(FakeScorer(f"{CONTEXT} x"), NativeSettings(no_answer=True)))


@pytest.fixture
def batches(nlp: QuestionAnsweringPipeline) -> list[tuple[int, ...]]:
    scorer = nlp.reader.scorer
    assert isinstance(scorer, FakeScorer)
    return scorer.batches


def check_shape(found: Any) -> None:
    assert {name: type(value) for name, value in found.items()} == SHAPE


def test_pipeline_one_example_is_one_mapping(nlp: QuestionAnsweringPipeline) -> None:
    pair = {"question": "find oslo", "context": CONTEXT}
    for found in (
        nlp(pair),
        nlp([pair]),
        nlp(**pair),
        nlp("find oslo", CONTEXT),
        nlp(SquadExample(None, "find oslo", CONTEXT)),
    ):
        check_shape(found)
        assert found == OSLO
        assert CONTEXT[found["start"] : found["end"]] == found["answer"]


def test_pipeline_makes_samples(nlp: QuestionAnsweringPipeline) -> None:
    assert nlp(nlp.create_sample(question="find oslo", context=CONTEXT)) == OSLO
    assert nlp(nlp.create_sample(question=["find oslo"] * 2, context=[CONTEXT] * 2)) == [OSLO, OSLO]


def test_pipeline_several_examples_are_a_list(nlp: QuestionAnsweringPipeline) -> None:
    rome = {**OSLO, "start": 32, "end": 36, "answer": "Rome"}
    assert nlp(question=["find oslo", "find rome"], context=CONTEXT) == [OSLO, rome]
    assert nlp(question=["find oslo", "find rome"], context=[CONTEXT, CONTEXT]) == [OSLO, rome]
    assert nlp([{"question": f"find {word}", "context": CONTEXT} for word in ("rome", "oslo")]) == [rome, OSLO]
    assert nlp([]) == []


def test_pipeline_generators_and_datasets_are_streamed(nlp: QuestionAnsweringPipeline) -> None:
    def endless() -> Iterator[dict[str, str]]:
        while True:
            yield {"question": "find oslo", "context": CONTEXT}

    stream = nlp(endless(), batch_size=16)
    assert [next(stream) for _ in range(10)] == [OSLO] * 10


def test_pipeline_top_k_lists_distinct_places(nlp: QuestionAnsweringPipeline) -> None:
    context = "Oslo , oslo ! and Oslo"
    found = nlp(question="find oslo", context=context, top_k=3)
    assert [one["start"] for one in found] == [7, 0, 18]  # the one before "!" is a logit better
    assert sum(one["score"] for one in found) <= 1 + 1e-6
    many = nlp(question=["find oslo", "find oslo"], context=context, top_k=2)
    assert [len(answers) for answers in many] == [2, 2]
    with pytest.warns(UserWarning, match="topk is the old name"):
        assert nlp(question="find oslo", context=context, topk=3) == found


def test_pipeline_more_than_there_are_gives_fewer(nlp: QuestionAnsweringPipeline) -> None:
    found = nlp(question="find oslo", context=CONTEXT, top_k=200)
    assert 1 < len(found) < 200
    for one in found:
        check_shape(one)
        assert one["answer"]


def test_pipeline_no_answer_is_empty_text(nlp: QuestionAnsweringPipeline) -> None:
    ask = {"question": "find paris", "context": CONTEXT}
    assert nlp(**ask)["answer"] != ""
    found = nlp(**ask, handle_impossible_answer=True)
    assert (found["answer"], found["start"], found["end"]) == ("", 0, 0)
    assert found["score"] > 0.9
    assert nlp(question="find oslo", context=CONTEXT, handle_impossible_answer=True) == OSLO


def test_pipeline_no_answer_stands_among_others_by_its_score(nlp: QuestionAnsweringPipeline) -> None:
    found = nlp(question="find oslo", context=CONTEXT, handle_impossible_answer=True, top_k=50)
    texts = [one["answer"] for one in found]
    assert texts[0] == "Oslo"
    assert texts.count("") == 1
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    absent = nlp(question="find paris", context=CONTEXT, handle_impossible_answer=True, top_k=3)
    assert [one["answer"] == "" for one in absent] == [True, False, False]


def test_pipeline_no_answer_survives_a_long_context(nlp: QuestionAnsweringPipeline) -> None:
    long = " ".join(["x"] * 3_000)
    ask = {"question": "find paris", "max_seq_len": 64, "doc_stride": 16, "handle_impossible_answer": True}
    assert nlp(context=long, **ask)["answer"] == nlp(context="x x", **ask)["answer"] == ""


def test_pipeline_a_context_without_words_gives_an_empty_answer(nlp: QuestionAnsweringPipeline) -> None:
    assert nlp(question="find oslo", context="  \n") == {"score": 0.0, "start": 0, "end": 0, "answer": ""}


def test_pipeline_long_answers_stay_whole_and_can_be_cut() -> None:
    class Wide(FakeScorer):
        """Answers with everything from the first "x" to the last."""

        def score(self, batch: Any) -> Any:
            start, end = super().score(batch)
            for row, ids in enumerate(batch.input_ids):
                places = [i for i, number in enumerate(ids) if number == self.tokenizer.encode("x").ids[0]]
                start[row, places[0]] = end[row, places[-1]] = 20
            return start, end

    nlp = pipeline(model=Reader(Wide("x y"), NativeSettings(no_answer=True)))
    context = " ".join(["x", *["y"] * 20, "x"])
    assert nlp(question="find y", context=context)["answer"] == context
    assert len(nlp(question="find y", context=context, max_answer_len=5)["answer"].split()) <= 5


def test_pipeline_lengths_reach_the_windows(nlp: QuestionAnsweringPipeline, batches: list[tuple[int, ...]]) -> None:
    context = " ".join(["x"] * 400)
    counts = []
    for options in ({"max_seq_len": 64, "doc_stride": 0}, {"max_seq_len": 64, "doc_stride": 20}, {"max_seq_len": 128}):
        batches.clear()
        nlp(question="find oslo", context=context, **options)
        assert max(shape[1] for shape in batches) == options["max_seq_len"]
        counts.append(sum(shape[0] for shape in batches))
    assert counts[0] == 7
    assert counts[1] > counts[0] > counts[2]


def test_pipeline_batch_size_is_windows(nlp: QuestionAnsweringPipeline, batches: list[tuple[int, ...]]) -> None:
    context = " ".join(["x"] * 400)
    results = []
    for size in (1, 4):
        batches.clear()
        results.append(nlp(question="find x", context=context, max_seq_len=64, batch_size=size))
        assert max(shape[0] for shape in batches) == size
    assert results[0] == results[1]


def test_pipeline_long_question_is_cut_with_a_warning(nlp: QuestionAnsweringPipeline) -> None:
    with pytest.warns(UserWarning, match="only the first 4 were read"):
        nlp(question="find find find find oslo", context=CONTEXT, max_question_len=4)
    with pytest.warns(UserWarning, match="only the first 64 were read"):
        nlp(question="find " * 600, context=CONTEXT)


def test_pipeline_aligns_to_words_unless_told_otherwise() -> None:
    nlp = pipeline(model=Reader(_pieces(), NativeSettings(no_answer=True)))
    asked = {"question": "find twer", "context": "antwerp"}
    assert nlp(**asked)["answer"] == "antwerp"
    assert nlp(**asked, align_to_words=False)["answer"] == "twer"


def _pieces() -> FakeScorer:
    """A scorer whose tokens are parts of words."""
    from tokenizers import Regex, pre_tokenizers

    from fake_scorer import word_tokenizer
    from polyspan.features import PairTokenizer

    scorer = FakeScorer()
    tokenizer = word_tokenizer(["find", "!", "ant", "twer", "an", "p"])
    split = pre_tokenizers.Split(Regex("twer|an|p"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), split])
    scorer.tokenizer = PairTokenizer(tokenizer)
    return scorer


def test_pipeline_options_of_the_constructor_hold_for_calls() -> None:
    reader = Reader(FakeScorer(CONTEXT), NativeSettings(no_answer=True))
    nlp = pipeline("question-answering", reader, top_k=2, handle_impossible_answer=True)
    assert nlp(question="find paris", context=CONTEXT)[0]["answer"] == ""
    assert nlp(question="find oslo", context=CONTEXT, top_k=1) == OSLO


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "text-generation"}, "question-answering"),
        ({"trust_remote_code": True}, "never run"),
        ({"token": "hf_x"}, "HF_TOKEN"),
        ({"device_map": "auto"}, "give device"),
        ({"framework": "tf"}, "'tf' is not supported"),
        ({"model": object()}, "give tokenizer too"),
        ({"model": object(), "tokenizer": object()}, "expected a fast tokenizer"),
        ({"top_k": 0}, "top_k"),
    ],
)
def test_pipeline_refuses_what_it_cannot_honour(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pipeline(**arguments)


def test_pipeline_takes_arguments_that_never_mattered() -> None:
    reader = Reader(FakeScorer(CONTEXT), NativeSettings(no_answer=True))
    nlp = pipeline(
        "question-answering", reader, framework="pt", use_fast=True, num_workers=2, padding=True, config=None
    )
    assert nlp("find oslo", CONTEXT) == OSLO
    with pytest.warns(UserWarning, match="max_seq_length: no such argument"):
        pipeline("question-answering", reader, max_seq_length=512)


def test_pipeline_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no config"):
        pipeline("question-answering", model=str(tmp_path))


def test_pipeline_opens_a_folder_and_its_objects_alike(folder_of: FolderOf) -> None:
    transformers: Any = pytest.importorskip("transformers")
    folder = folder_of("xlm-roberta")
    asked = {"question": "Who wrote it?", "context": tiny.SENTENCES[2], "max_seq_len": 64}
    expected = pipeline("question-answering", model=str(folder), tokenizer=str(folder))(**asked)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder)
    model.train()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    before = tokenizer.backend_tokenizer.to_str()
    for one in (tokenizer, str(folder)):
        nlp = QuestionAnsweringPipeline(model=model, tokenizer=one, device=-1)
        assert nlp(**asked) == {**expected, "score": pytest.approx(expected["score"], abs=1e-6)}
    assert tokenizer.backend_tokenizer.to_str() == before
    assert nlp.model is model
    strict = [pipeline(model=one, tokenizer=two, strict_v4=True) for one, two in ((folder, None), (model, tokenizer))]
    assert strict[0](**asked)["answer"] == strict[1](**asked)["answer"]


def test_pipeline_names_a_broken_tokenizer(folder_of: FolderOf, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    broken = shutil.copytree(folder_of("bert"), tmp_path / "broken")
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer.json: not a readable"):
        pipeline(model=folder_of("bert"), tokenizer=broken)


def test_pipeline_another_folders_tokenizer(folder_of: FolderOf) -> None:
    pytest.importorskip("torch")
    own, other = folder_of("bert"), folder_of("electra")  # of equal vocabulary
    asked = {"question": "Who wrote it?", "context": tiny.SENTENCES[2], "max_seq_len": 64}
    assert pipeline(model=own, tokenizer=other)(**asked) == pipeline(model=own)(**asked)


def test_pipeline_objects_keep_their_files(folder_of: FolderOf, tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    folder = folder_of("roberta")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder)
    nlp = pipeline(model=model, tokenizer=transformers.AutoTokenizer.from_pretrained(folder))
    nlp.save_pretrained(tmp_path / "saved")
    asked = {"question": "Who wrote it?", "context": tiny.SENTENCES[2], "max_seq_len": 64}
    assert pipeline(model=tmp_path / "saved")(**asked) == nlp(**asked)


def test_pipeline_dtype_and_device_are_torchs(folder_of: FolderOf) -> None:
    torch: Any = pytest.importorskip("torch")
    half = pipeline(model=folder_of("bert"), torch_dtype=torch.bfloat16, device="cpu")
    full = pipeline(model=folder_of("bert"), dtype="auto", device=-1)
    asked = {"question": "Who wrote it?", "context": tiny.SENTENCES[2], "max_seq_len": 64}
    assert half(**asked)["score"] != full(**asked)["score"]
    with pytest.raises(InputError, match="cuda:77"):
        pipeline(model=folder_of("bert"), device="cuda:77")
    if not torch.accelerator.is_available():
        assert pipeline(model=folder_of("bert"), device=0)(**asked) == full(**asked)


@pytest.mark.parametrize("architecture", ["xlm-roberta", "bert"])
def test_pipeline_card_snippet_has_its_shape(architecture: str, folder_of: FolderOf) -> None:
    pytest.importorskip("torch")
    model_name = str(folder_of(architecture))
    nlp = pipeline("question-answering", model=model_name, tokenizer=model_name)
    found = nlp(CARD, max_seq_len=96, max_question_len=40)
    check_shape(found)
    assert CARD["context"][found["start"] : found["end"]] == found["answer"]


def test_pipeline_card_snippet_answers_with_the_shipped_reader() -> None:
    found = pipeline("question-answering")(CARD)
    assert found["answer"].startswith("gives freedom")
    assert CARD["context"][found["start"] : found["end"]] == found["answer"]


def test_pipeline_japanese_answer_is_not_the_sentence() -> None:
    context = "全学年にわたって小学校の国語の教科書に挿し絵が用いられている"
    found = pipeline("question-answering")(question="挿し絵は何に用いられていますか", context=context)
    assert 0 < len(found["answer"]) < len(context) / 2


def test_pipeline_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from polyspan.errors import MissingExtraError\n"
        "from polyspan.interop.transformers import pipeline, register\n"
        "for strict in (False, True):\n"
        f"    print(pipeline('question-answering', strict_v4=strict)({CARD!r})['answer'])\n"
        "pipeline(device=0)\n"
        "for attempt in (register, lambda: pipeline(device='cuda:0')):\n"
        "    try: attempt()\n"
        "    except MissingExtraError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert all(line.startswith("gives freedom") for line in lines[:2])
    assert len(lines) == 4
    assert all('pip install "polyspan[torch]"' in line for line in lines[2:])
