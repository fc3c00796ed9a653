"""``transformers.pipeline`` itself, after one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from polyspan.interop.transformers import QuestionAnsweringPipeline, pipeline, register

transformers: Any = pytest.importorskip("transformers")
pytest.importorskip("torch")

ASKED = {"question": "Who wrote it?", "context": tiny.SENTENCES[2], "max_seq_len": 64}


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = transformers.pipelines.PIPELINE_REGISTRY
    monkeypatch.setattr(registry, "supported_tasks", dict(registry.supported_tasks))
    removed = dict(getattr(transformers.pipelines, "REMOVED_TASKS", {}))
    monkeypatch.setattr(transformers.pipelines, "REMOVED_TASKS", removed, raising=False)


def test_registry_brings_the_task_back(folder_of: Callable[[str], Path]) -> None:
    folder = str(folder_of("xlm-roberta"))
    expected = pipeline("question-answering", model=folder)(**ASKED)
    for _ in range(2):
        register()
    nlp = transformers.pipeline("question-answering", model=folder, tokenizer=folder, device="cpu")
    assert isinstance(nlp, QuestionAnsweringPipeline)
    assert nlp(**ASKED) == {**expected, "score": pytest.approx(expected["score"], abs=1e-6)}
    assert isinstance(nlp.model, transformers.PreTrainedModel)
    assert "question-answering" in transformers.pipelines.get_supported_tasks()


def test_registry_passes_options_on(folder_of: Callable[[str], Path]) -> None:
    register()
    folder = str(folder_of("bert"))
    strict = transformers.pipeline("question-answering", model=folder, device="cpu", strict_v4=True, top_k=2)
    assert strict(**ASKED) == pipeline(model=folder, strict_v4=True)(**ASKED, top_k=2)


def test_registry_takes_open_models(folder_of: Callable[[str], Path]) -> None:
    register()
    folder = folder_of("bert")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    nlp = transformers.pipeline("question-answering", model=model, tokenizer=tokenizer, device="cpu")
    assert nlp(**ASKED) == pipeline(model=folder)(**ASKED)
