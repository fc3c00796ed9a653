from collections import Counter
from typing import Any

import numpy as np
import pytest

from onnx_graphs import logits

pytest.importorskip("onnxscript")


def test_fusion_finds_attention_and_gelu_and_keeps_the_logits(graph: Any) -> None:
    from polyspan.export.fusion import fuse
    from polyspan.export.weights import matrices

    fused = fuse(graph)
    counted = Counter(node.op_type for node in fused.graph.node)
    assert counted["MultiHeadAttention"] == counted["BiasGelu"] == 2
    assert counted["LayerNormalization"] == 5
    assert counted["Softmax"] == counted["Gelu"] == 0
    assert list(matrices(fused)) == list(matrices(graph))
    np.testing.assert_allclose(logits(fused), logits(graph), atol=1e-5)


def test_fusion_keeps_a_graph_that_it_would_change(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx
    from onnx import numpy_helper

    from polyspan.export.fusion import fuse

    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    head = next(value for value in changed.graph.initializer if value.name == "qa_outputs.weight")
    head.CopyFrom(numpy_helper.from_array(1.01 * numpy_helper.to_array(head), head.name))
    broken = onnx.ModelProto()
    broken.CopyFrom(graph)
    broken.graph.node[-1].op_type = "Abacus"
    for result in (changed, broken):
        monkeypatch.setattr("polyspan.export.fusion._fused", lambda _, result=result: result)
        assert fuse(graph) is graph
