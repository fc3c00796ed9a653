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
