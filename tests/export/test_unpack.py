"""Stored weights back to float."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_graphs import logits
from polyspan.errors import ModelError

pytest.importorskip("onnxscript")


@pytest.fixture
def small(graph: Any) -> Any:
    """The reader with stored 8-bit matrices and lossy 4-bit embeddings."""
    from polyspan.export.precision import Plan, convert

    return convert(graph, Plan("int8-stored", "4"))


def test_unpack_gives_the_same_logits_in_float32_alone(small: Any, tmp_path: Path) -> None:
    import onnx

    from polyspan.export.unpack import unpacked_graph

    (tmp_path / "model.onnx").write_bytes(small.SerializeToString())
    graph = unpacked_graph(tmp_path / "model.onnx")
    np.testing.assert_allclose(logits(graph), logits(small), atol=1e-6)
    onnx.checker.check_model(graph)
    kinds = {value.data_type for value in graph.graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}
    assert "GatherBlockQuantized" not in {node.op_type for node in graph.graph.node}


def test_unpack_refuses_what_computes_in_integers(graph: Any, tmp_path: Path) -> None:
    from polyspan.export.precision import Plan, convert
    from polyspan.export.unpack import unpacked_graph

    (tmp_path / "model.onnx").write_bytes(convert(graph, Plan("int8", "float")).SerializeToString())
    with pytest.raises(ModelError, match=r"model\.onnx: is quantised already \(DynamicQuantizeLinear, MatMulInteger\)"):
        unpacked_graph(tmp_path / "model.onnx")
