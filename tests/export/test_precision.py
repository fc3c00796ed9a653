from typing import Any, get_args

import numpy as np
import pytest

from onnx_graphs import RUINED, inputs, logits
from polyspan.errors import ModelError

pytest.importorskip("onnxscript")
pytest.importorskip("nncf")

# Of the standard deviation of the logits of a model with random weights.
LARGEST_ERROR = {
    "float32": 0.0,
    "float16": 0.01,
    "int8": 0.3,
    "int8-static": 0.3,
    "int8-openvino": 0.5,
    "int8-stored": 0.1,
    "weights8": 0.1,
    "weights4": 0.5,
}


def mended(graph: Any) -> Any:
    """The reader without its ruined matrix."""
    import onnx
    from onnx import numpy_helper

    mended = onnx.ModelProto()
    mended.CopyFrom(graph)
    tensor = next(value for value in mended.graph.initializer if value.name == RUINED)
    matrix = numpy_helper.to_array(tensor).copy()
    matrix[0] = 0
    tensor.CopyFrom(numpy_helper.from_array(matrix, RUINED))
    onnx.checker.check_model(mended)
    return mended


@pytest.fixture(scope="module")
def fused(graph: Any) -> Any:
    """The mended reader as onnxruntime likes it."""
    from polyspan.export.fusion import fuse

    return mended(fuse(graph))


@pytest.fixture(scope="module")
def plain(graph: Any) -> Any:
    """The mended reader in ONNX's own operators, as NNCF wants it."""
    return mended(graph)


def converted(graph: Any, precision: str, embeddings: str = "float", *excluded: str) -> Any:
    from polyspan.export.precision import Plan, convert

    plan = Plan(precision, embeddings, frozenset(excluded))  # type: ignore[arg-type] # any of the literals
    one = {name: ids[:1] for name, ids in inputs(1).items()}
    return convert(graph, plan, [one])


def error(graph: Any, other: Any) -> float:
    expected = logits(graph)
    return float(np.abs(logits(other) - expected).mean() / expected.std())


def test_precision_knows_them_all() -> None:
    from polyspan.cli.export import PRECISIONS as OFFERED
    from polyspan.export import PRECISIONS

    assert tuple(PRECISIONS) == OFFERED == tuple(LARGEST_ERROR)


@pytest.mark.parametrize("precision", LARGEST_ERROR)
def test_precision_stays_near_the_float_model(precision: str, fused: Any, plain: Any) -> None:
    graph = plain if precision == "int8-openvino" else fused
    before = graph.SerializeToString()
    small = converted(graph, precision)
    assert error(graph, small) <= LARGEST_ERROR[precision]
    assert graph.SerializeToString() == before
    if precision != "float32":
        assert small.ByteSize() < 0.85 * len(before)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize(("embeddings", "allowed"), [("8", 0.05), ("4", 0.5)])
def test_precision_packs_embeddings(embeddings: str, allowed: float, precision: str, fused: Any) -> None:
    small = converted(fused, precision, embeddings)
    assert error(fused, small) <= LARGEST_ERROR[precision] + allowed
    assert small.ByteSize() < converted(fused, precision).ByteSize()


@pytest.mark.parametrize("precision", [name for name in LARGEST_ERROR if name != "float32"])
def test_precision_leaves_out_what_is_excluded(precision: str, fused: Any, plain: Any) -> None:
    from onnx import numpy_helper

    from polyspan.export.precision import Plan, parts

    graph = plain if precision == "int8-openvino" else fused
    names = parts(graph, Plan(precision, "8"))
    matrix = {value.name: numpy_helper.to_array(value) for value in graph.graph.initializer}[names[1]]
    small = converted(graph, precision, "8", *names[:2])
    left = {value.name: numpy_helper.to_array(value) for value in small.graph.initializer}
    if precision != "int8-openvino":  # which takes over what is large in the activations
        np.testing.assert_array_equal(left[names[1]], matrix)
    assert matrix.dtype == left[names[1]].dtype
    assert names[2] not in left or left[names[2]].dtype != np.float32
    # all parts left out: what remains is rounding in float16, and attention in int8
    remaining = {"float16": 0.01, "int8-openvino": 0.1}.get(precision, 1e-6)
    assert error(graph, converted(graph, precision, "8", *names)) <= remaining


def test_precision_gives_excluded_embeddings_the_next_finer_format() -> None:
    from polyspan.export.precision import WORD_EMBEDDINGS, Embeddings, Plan

    excluded = frozenset([WORD_EMBEDDINGS])
    stored = [Plan("int8", embeddings, excluded).stored_embeddings for embeddings in get_args(Embeddings)]
    assert list(zip(get_args(Embeddings), stored, strict=True)) == [("float", "float"), ("8", "float"), ("4", "8")]


@pytest.mark.parametrize("precision", ["int8-static", "int8-openvino", "int8-stored", "weights4"])
def test_precision_answers_alike_in_any_company(precision: str, fused: Any, plain: Any) -> None:
    small, both = converted(plain if precision == "int8-openvino" else fused, precision), inputs()
    alone = [logits(small, {name: ids[row : row + 1] for name, ids in both.items()}) for row in (0, 1)]
    np.testing.assert_allclose(np.concatenate(alone, axis=1), logits(small, both), atol=1e-4)


def test_precision_refuses_four_bits_of_an_odd_width(fused: Any) -> None:
    import onnx
    from onnx import numpy_helper

    from polyspan.export.weights import pack_embeddings, word_embeddings

    cut = onnx.ModelProto()
    cut.CopyFrom(fused)
    node, table = word_embeddings(cut)
    tensor = next(value for value in cut.graph.initializer if value.name == node.input[0])
    tensor.CopyFrom(numpy_helper.from_array(table[:, :20].copy(), tensor.name))
    with pytest.raises(ModelError, match="20 wide; in 4 bits, expected a multiple of 32"):
        pack_embeddings(cut, lossy=True)


def test_precision_sets_up_no_logging(fused: Any) -> None:
    import logging

    handlers = logging.getLogger().handlers[:]
    converted(fused, "weights4")
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger().manager.disable < logging.WARNING
