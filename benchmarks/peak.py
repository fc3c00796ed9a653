"""How much of the processor's 8-bit matrix products a reader gets, and where the rest of the time goes.

    polyspan export default READER --precision int8-openvino --calibration-data TRAIN.json
    python benchmarks/peak.py READER SQUAD.json

The peak is what OpenVINO reaches on products of large 8-bit matrices, one behind the other.
"""

import argparse
import random
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset15 as ops

from measure import machine, write_result
from polyspan import BackendOptions, Reader
from polyspan.backends import ModelFolder, SpanScorer
from polyspan.datasets import read_squad
from polyspan.features import Batch
from polyspan.types import FloatArray

SIZE, DEPTH = 1024, 16
SECONDS = 20
PROFILED = 12


def peak(threads: int) -> float:
    """8-bit multiplications and additions a second, in billions."""
    random_numbers = np.random.default_rng(0)
    rows = ops.parameter([SIZE, SIZE], np.float32, "rows")
    value: Any = rows
    for _ in range(DEPTH):
        matrix = random_numbers.integers(-127, 128, (SIZE, SIZE)).astype(np.int8)
        weights = ops.multiply(ops.convert(ops.constant(matrix), np.float32), np.float32(0.001))
        value = ops.matmul(
            ops.fake_quantize(value, -1.0, 1.0, -1.0, 1.0, 255), weights, transpose_a=False, transpose_b=True
        )
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(openvino.Model([value], [rows], "peak"), "CPU", options)
    queue = openvino.AsyncInferQueue(model, model.get_property("NUM_STREAMS"))
    given = [random_numbers.normal(size=(SIZE, SIZE)).astype(np.float32)]
    best = 0.0
    for _ in range(5):
        began, count = time.perf_counter(), 8
        for _ in range(count):
            queue.start_async(given)
        queue.wait_all()
        best = max(best, count * DEPTH * 2 * SIZE**3 / (time.perf_counter() - began) / 1e9)
    return best


class Counting:
    """A scorer that counts the tokens of its batches and the operations of their matrix products."""

    def __init__(self, scorer: SpanScorer, config: dict[str, Any]) -> None:
        self._scorer = scorer
        self.name, self.tokenizer, self.max_seq_len = (
            scorer.name,
            scorer.tokenizer,
            scorer.max_seq_len,
        )
        width, inner = config["hidden_size"], config["intermediate_size"]
        self._layers, self._width = config["num_hidden_layers"], width
        self._linear = 2 * (4 * width * width + 2 * width * inner)
        self.batches: list[Batch] = []

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """The scorer's own logits."""
        self.batches.append(batch)
        return self._scorer.score(batch)

    def operations(self) -> float:
        """Of all batches so far, with those at padding: linear layers and attention's two products."""
        tokens = [(batch.input_ids.size, batch.input_ids.shape[1]) for batch in self.batches]
        return float(
            sum(self._layers * count * (self._linear + 4 * self._width * longest) for count, longest in tokens)
        )

    def save(self, folder: Path) -> None:
        """Write the scorer's files."""
        self._scorer.save(folder)


def profile(folder: ModelFolder, batches: list[Batch]) -> dict[str, float]:
    """The share of each kind of operator in the time of some batches, in percent, the largest first."""
    options = {"PERF_COUNT": True, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
    model = openvino.Core().compile_model(str(folder.onnx_file), "CPU", options)
    request = model.create_infer_request()
    names = [value.get_any_name() for value in model.inputs]
    seconds: dict[str, float] = defaultdict(float)
    for batch in batches:
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "token_type_ids": batch.type_ids}
        request.infer({name: given[name] for name in names})
        for entry in request.get_profiling_info():
            seconds[f"{entry.node_type} ({entry.exec_type})"] += entry.real_time.total_seconds()
    whole = sum(seconds.values())
    shares = {kind: round(100 * value / whole, 1) for kind, value in sorted(seconds.items(), key=lambda item: -item[1])}
    return {kind: share for kind, share in shares.items() if share}


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peak.json")
    given = parser.parse_args()
    folder = ModelFolder(given.model)
    opened = Reader.from_pretrained(given.model, BackendOptions("openvino", threads=given.threads))
    counting = Counting(opened.scorer, folder.config)
    reader = Reader(counting, opened.settings)
    chosen = random.Random(given.seed).sample(read_squad(given.dataset), given.questions)  # noqa: S311 -- no secret
    pairs = [(example.question, [example.context]) for example in chosen]
    options = replace(reader.defaults, top_k=1)
    list(reader.read_stream(pairs[:20], options))
    counting.batches.clear()
    before, began, asked = peak(given.threads), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        asked += sum(1 for _ in reader.read_stream(pairs, options))
    seconds = time.perf_counter() - began
    reached = counting.operations() / seconds / 1e9
    best = max(before, peak(given.threads))
    write_result(
        given.out,
        {
            "what": f"8-bit matrix products, {given.threads} threads, billions of operations a second",
            "model": {key: folder.config[key] for key in ("num_hidden_layers", "hidden_size")},
            "peak": round(best),
            "reached by the reader": round(reached),
            "ratios": {"reached / peak": round(reached / best, 3)},
            "questions": asked,
            "questions a second": round(asked / seconds, 1),
            "percent of the forward pass": profile(folder, counting.batches[:PROFILED]),
            "seed": given.seed,
            **machine(("polyspan", "openvino", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
