"""A tiny reader, its float graph and questions that it answers right, made once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from onnx_graphs import RUINED
from polyspan import Reader
from polyspan.evaluation import Questions, read_questions


@pytest.fixture(scope="session")
def reader_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT reader that loses nothing in float, but in 8 bits, by one matrix.

    A unit that is always 0 has large weights there, so that 8 bits leave nothing of the other ones.
    """
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from safetensors.torch import load_file, save_file

    folder = tiny.make_reader_folder(tmp_path_factory.mktemp("export") / "reader", positions=96)
    state = load_file(folder / "model.safetensors")
    layer = RUINED.removesuffix("output.dense.weight")
    state[RUINED][:, 0] = 1_000
    state[f"{layer}intermediate.dense.weight"][0] = 0
    state[f"{layer}intermediate.dense.bias"][0] = torch.tensor(-1_000.0)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def graph(reader_folder: Path) -> Any:
    """The reader's float graph, not fused; not to be changed."""
    from polyspan.export import export_onnx

    return export_onnx(reader_folder)


@pytest.fixture(scope="session")
def questions(reader_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Questions]:
    """Two datasets, one English and one of no stated language, whose answers are those of the reader."""
    reader = Reader.from_pretrained(reader_folder)
    options = replace(reader.defaults, top_k=1, return_no_answer=False)
    made = []
    for name, language, shift in (("one", "en", 0), ("two", "", 3)):
        asked = [(f"Who wrote letter {n}?", f"{n}. {tiny.SENTENCES[(n + shift) % 6]}") for n in range(24)]
        found = reader.read_stream(((question, [text]) for question, text in asked), options)
        paragraphs = [
            {"context": text, "qas": [{"id": str(n), "question": question, "answers": [_gold(reading)]}]}
            for n, ((question, text), reading) in enumerate(zip(asked, found, strict=True))
        ]
        path = tmp_path_factory.mktemp("questions") / f"{name}.json"
        path.write_text(json.dumps({"version": "1.1", "data": [{"title": name, "paragraphs": paragraphs}]}))
        made.append(read_questions(path, language))
    return made


def _gold(reading: Any) -> dict[str, Any]:
    return {"text": reading.answers[0].text, "answer_start": reading.answers[0].start}
