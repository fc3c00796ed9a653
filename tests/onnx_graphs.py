"""What the tests of exports share: the tiny reader's graphs, run by plain onnxruntime."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

RUINED = "bert.encoder.layer.1.output.dense.weight"
"""The matrix of which 8 bits leave nothing in the tiny reader."""


def silent(items: Iterable[Any], _total: int, _what: str) -> Iterator[Any]:
    """No progress bar."""
    yield from items


def inputs(seed: int = 0) -> dict[str, npt.NDArray[np.int64]]:
    """Two windows of the tiny vocabulary, one of them padded."""
    ids = np.random.default_rng(seed).integers(5, 140, (2, 40))
    mask = np.ones_like(ids)
    mask[1, 25:] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def logits(graph: Any, given: dict[str, npt.NDArray[np.int64]] | None = None) -> npt.NDArray[np.float32]:
    """What plain onnxruntime says of windows, [2, windows, tokens], 0 at padding."""
    import onnxruntime

    given = inputs() if given is None else given
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    values: npt.NDArray[np.float32] = np.stack(session.run(["start_logits", "end_logits"], given))
    return np.where(given["attention_mask"] == 1, values, np.float32(0))
