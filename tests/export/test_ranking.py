from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_graphs import RUINED, silent
from polyspan import Reader
from polyspan.evaluation import Questions

pytest.importorskip("onnxscript")


@pytest.mark.parametrize("precision", ["int8", "int8-stored"])
def test_ranking_puts_the_ruined_matrix_first(
    precision: str, reader_folder: Path, graph: Any, questions: Sequence[Questions]
) -> None:
    from polyspan.export import Gate, Plan
    from polyspan.export.precision import parts
    from polyspan.export.ranking import rank_parts

    windows = Gate(Reader.from_pretrained(reader_folder), questions, silent).windows
    plan, before = Plan(precision, "8"), graph.SerializeToString()
    ranked = rank_parts(graph, plan, windows, silent)
    assert ranked[0] == RUINED
    assert sorted(ranked) == sorted(parts(graph, plan))
    assert graph.SerializeToString() == before


def test_ranking_samples_whole_windows(reader_folder: Path, questions: Sequence[Questions]) -> None:
    from polyspan.export import Gate
    from polyspan.export.ranking import sample

    windows = Gate(Reader.from_pretrained(reader_folder), questions, silent).windows
    sizes = [window.input_ids.size for window in sample(windows, 300)]
    assert 300 <= sum(sizes) < 300 + max(sizes)
    assert len(sample(windows)) == len(windows)
    assert all(np.isin(window.type_ids, (0, 1)).all() for window in windows)
