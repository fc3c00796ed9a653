"""Pipelines of Haystack, written as YAML, loaded and run."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_encoder import FakeEncoder
from polyspan.errors import MissingExtraError

pytest.importorskip("polyspan.interop.haystack", exc_type=MissingExtraError)

import haystack
from haystack import Document, Pipeline
from haystack.utils import ComponentDevice, Secret

from polyspan.interop.haystack import PolyspanDocumentStore, PolyspanReader, PolyspanRetriever

QUESTION = "Where do trams stop?"
ASKED: dict[str, Any] = {"retriever": {"query": QUESTION}, "reader": {"query": QUESTION}}


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """Every argument has a value of its own."""
    index = tmp_path / "index"
    made = PolyspanDocumentStore(index, FakeEncoder(), passage_bytes=500, overlap_bytes=50)
    made.write_documents([Document(content="Trams stop at the fish market.", meta={"city": "Korte"})])
    city = {"field": "meta.city", "operator": "==", "value": "Korte"}
    store = PolyspanDocumentStore(index, "default", 500, 50, create=False)
    pipeline = Pipeline()
    pipeline.add_component("retriever", PolyspanRetriever(store, city, 3, "words", 20, 2, 1.0))
    reader = PolyspanReader(
        "default",
        ComponentDevice.from_str("cpu"),
        Secret.from_env_var("MINE", strict=False),
        top_k=2,
        score_threshold=0.1,
        max_seq_length=256,
        stride=64,
        max_batch_size=2,
        answers_per_seq=3,
        no_answer=False,
        calibration_factor=0.5,
        overlap_threshold=0.5,
        model_kwargs={"local_files_only": True},
        max_answer_len=20,
        max_question_len=32,
        no_answer_threshold=1.0,
        language="en",
        context_chars=100,
    )
    pipeline.add_component("reader", reader)
    pipeline.connect("retriever.documents", "reader.documents")
    return pipeline


def test_pipelines_are_the_same_from_yaml(pipeline: Pipeline, tmp_path: Path) -> None:
    with (tmp_path / "pipeline.yaml").open("w") as file:
        pipeline.dump(file)
    with (tmp_path / "pipeline.yaml").open() as file:
        again = Pipeline.load(file)
    assert again.to_dict() == pipeline.to_dict()
    written = pipeline.to_dict()["components"]["reader"]["init_parameters"]
    unset = PolyspanReader().to_dict()["init_parameters"]
    assert {name for name, value in written.items() if value == unset[name]} == {"model"}
    found = again.run(ASKED)["reader"]["answers"]
    assert found[0].data == "at the fish market"
    assert found == pipeline.run(ASKED)["reader"]["answers"]


def test_pipelines_run_asynchronously(pipeline: Pipeline) -> None:
    kind: Any = getattr(haystack, "AsyncPipeline", Pipeline)  # in Haystack 2 it is a class of its own
    found = asyncio.run(kind.from_dict(pipeline.to_dict()).run_async(ASKED))["reader"]["answers"]
    assert found[0].data == "at the fish market"


def test_pipelines_of_strangers_stay_refused(pipeline: Pipeline) -> None:
    pytest.importorskip("haystack.core.serialization_security")  # of Haystack 3
    text = pipeline.dumps()
    code = (
        "import sys\n"
        "from haystack import Pipeline\n"
        "text = sys.stdin.read()\n"
        "for given in ({}, {'allowed_modules': ['polyspan.interop.haystack']}):\n"
        "    try: print(len(Pipeline.loads(text, **given).graph))\n"
        "    except Exception as error: print(type(error).__name__)\n"
        "import polyspan.interop.haystack\n"
        "print(len(Pipeline.loads(text).graph))\n"
        "try: Pipeline.loads(text.replace('interop.haystack.reader.PolyspanReader', 'reader.Reader'))\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["DeserializationError", "2", "2", "DeserializationError"]
