"""How much a Reader costs beside the bare forward pass, and beside the pipeline it replaces.

    python benchmarks/reading.py MODEL_FOLDER SQUAD.json --peer-python ENV/bin/python

The peer's environment has transformers 4.57 and torch. The same float weights are exported to ONNX first.
"""

import argparse
import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from measure import interleaved, machine, medians, write_result
from polyspan import BackendOptions, Reader, ReadOptions
from polyspan.backends import ModelFolder
from polyspan.datasets import read_squad
from polyspan.export import export_onnx
from polyspan.features import WindowSettings, collate, make_windows, plan_batches


def bare_forward(folder: Path, reader: Reader, pairs: list[tuple[str, str]], threads: int) -> Callable[[], None]:
    """Onnxruntime alone, over the same windows in batches of like length that were made before."""
    tokenizer, options = reader.scorer.tokenizer, reader.defaults
    sizes = WindowSettings(options.max_seq_len, options.doc_stride, options.max_question_len)
    windows = [
        window
        for question, context in pairs
        for window in make_windows(tokenizer.encode(question).ids, tokenizer.encode(context), tokenizer.template, sizes)
    ]
    plan = plan_batches([len(window.input_ids) for window in windows], options.batch_tokens)
    batches = [collate([windows[i] for i in batch], tokenizer.pad_id) for batch in plan]
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", settings, ["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}

    def run() -> None:
        for batch in batches:
            given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            session.run(None, given | ({"token_type_ids": batch.type_ids} if "token_type_ids" in names else {}))

    return run


class Peer:
    """A pipeline in another environment, driven line by line."""

    def __init__(self, python: str, model: Path, pairs: list[tuple[str, str]], threads: int) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(pairs, file)
        script = Path(__file__).parent / "peers" / "transformers_pipeline.py"
        command = [python, str(script), str(model), file.name, str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions = self._line()
        self.answers: list[str] = []

    def __call__(self) -> float:
        """One run; its own clock counts."""
        assert self._process.stdin is not None  # noqa: S101 -- a pipe was asked for
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        result = self._line()
        self.answers = result["answers"]
        return float(result["seconds"])

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 -- a pipe was asked for
        content: dict[str, Any] = json.loads(self._process.stdout.readline())
        return content


def exported(model: Path, target: Path) -> Path:
    """The model's float weights as a folder for onnxruntime."""
    (target / "onnx").mkdir()
    onnx.save(export_onnx(model), target / "onnx" / "model.onnx")
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(model / name, target)
    return target


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "reading.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(given, exported(given.model, Path(scratch)))


def measure(given: argparse.Namespace, folder: Path) -> None:
    """All contestants in turn."""
    chosen = random.Random(given.seed).sample(read_squad(given.dataset), given.questions)  # noqa: S311 -- no secret
    pairs = [(example.question, example.context) for example in chosen]
    reader = Reader.from_pretrained(folder, BackendOptions(threads=given.threads))
    peer = Peer(given.peer_python, given.model, pairs, given.threads)
    options = ReadOptions(top_k=1, return_no_answer=False)
    answers: list[str] = []

    def read() -> None:
        readings = reader.read_batch([q for q, _ in pairs], [[context] for _, context in pairs], options)
        answers[:] = [reading.answers[0].text for reading in readings]

    contestants: dict[str, Callable[[], float | None]] = {
        "bare forward": bare_forward(folder, reader, pairs, given.threads),
        "reader": read,
        "transformers pipeline": peer,
    }
    seconds = interleaved(contestants, given.runs)
    middle = medians(seconds)
    write_result(
        given.out,
        {
            "what": f"{given.questions} SQuAD questions, float32, {given.threads} threads, seconds",
            "model": {key: ModelFolder(given.model).config[key] for key in ("num_hidden_layers", "hidden_size")},
            "medians": middle,
            "ratios": {
                "reader throughput / bare forward": round(middle["bare forward"] / middle["reader"], 3),
                "reader throughput / transformers pipeline": round(
                    middle["transformers pipeline"] / middle["reader"], 3
                ),
                "equal answers": round(float(np.mean([a == b for a, b in zip(answers, peer.answers, strict=True)])), 3),
            },
            "seconds": seconds,
            "runs": given.runs,
            "seed": given.seed,
            "peer": peer.versions,
            **machine(("polyspan", "onnxruntime", "tokenizers", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
