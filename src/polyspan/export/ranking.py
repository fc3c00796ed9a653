"""What quantising each part of a graph alone does to the logits."""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
import onnxruntime

from polyspan.backends.onnx import LEFT_OUT, OUTPUTS
from polyspan.export.gate import ScoredWindow
from polyspan.export.precision import WORD_EMBEDDINGS, Feeds, Plan, convert, parts
from polyspan.export.progress import Progress
from polyspan.export.tables import Graph, cut_graph

SAMPLE_TOKENS = 2_000


def feeds(graph: onnx.ModelProto, windows: Iterable[ScoredWindow]) -> list[Feeds]:
    """The inputs of a graph for each window alone, int64 [1, tokens]."""
    names = {value.name for value in graph.graph.input}
    given = (
        {
            "input_ids": window.input_ids[None],
            "attention_mask": np.ones_like(window.input_ids)[None],
            "token_type_ids": window.type_ids[None],
        }
        for window in windows
    )
    return [{name: ids for name, ids in one.items() if name in names} for one in given]


def sample(windows: Sequence[ScoredWindow], tokens: int = SAMPLE_TOKENS, seed: int = 0) -> list[ScoredWindow]:
    """Windows at random, of about so many tokens together."""
    chosen: list[ScoredWindow] = []
    for number in np.random.default_rng(seed).permutation(len(windows)):
        if sum(window.input_ids.size for window in chosen) >= tokens:
            break
        chosen.append(windows[number])
    return chosen


def rank_parts(graph: onnx.ModelProto, plan: Plan, windows: Sequence[ScoredWindow], progress: Progress) -> list[str]:
    """The parts that a plan quantises, worst first.

    A part is the worse, the larger the mean squared difference of the logits of a sample of ``windows`` is when it is
    quantised and all others are not.
    """
    chosen = sample(windows)
    small, given = _with_few_pieces(graph, feeds(graph, chosen))
    every = parts(graph, plan)
    errors = {}
    for part in progress(every, len(every), "ranking layers"):
        others = frozenset(every) - {part}
        alone = Plan(plan.precision, plan.embeddings if part == WORD_EMBEDDINGS else "float", others)
        errors[part] = _error(convert(small, alone, given), given, chosen)
    return sorted(every, key=lambda part: -errors[part])


def _error(model: onnx.ModelProto, given: Sequence[Feeds], windows: Sequence[ScoredWindow]) -> float:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"], disabled_optimizers=LEFT_OUT
    )
    squares = []
    for one, window in zip(given, windows, strict=True):
        logits = np.concatenate(session.run(OUTPUTS, one))
        squares.append(np.mean((logits - window.logits) ** 2))
    return float(np.nan_to_num(np.mean(squares), nan=np.inf))


def _with_few_pieces(graph: onnx.ModelProto, given: Sequence[Feeds]) -> tuple[onnx.ModelProto, list[Feeds]]:
    """The graph with the word embeddings of the sample's pieces alone, and the inputs that count them anew."""
    small = onnx.ModelProto()
    small.CopyFrom(graph)
    kept = np.unique(np.concatenate([one["input_ids"].ravel() for one in given]))
    cut_graph(Graph(small, {}), kept.tolist(), "the graph")
    names = {value.name for value in small.graph.initializer}
    unchanged = [value for value in small.graph.value_info if value.name not in names]
    del small.graph.value_info[:]
    small.graph.value_info.extend(unchanged)
    return small, [{**one, "input_ids": np.searchsorted(kept, one["input_ids"])} for one in given]
