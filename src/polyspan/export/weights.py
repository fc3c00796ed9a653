"""ONNX weights in fewer bits, without integer arithmetic at run time: the same answers on every processor."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import external_data_helper, helper, numpy_helper

from polyspan.errors import ModelError

BLOCK = 32
SMALLEST = 64
ALIGNMENT = 4096
CODES, SCALES = "embedding_codes", "embedding_scales_half"
EMBEDDINGS_FILE = "embeddings.bin"
MICROSOFT = "com.microsoft"


def pack_weights(model: onnx.ModelProto) -> None:
    """Store the matrices of linear layers as int8 with a scale for each output column.

    onnxruntime multiplies them out once, as it opens the file, and then computes in float32.
    """
    initializers = {value.name: value for value in model.graph.initializer}
    packed, nodes = set(), []
    for node in model.graph.node:
        name = node.input[1] if node.op_type == "MatMul" else ""
        if name in initializers and name not in packed and min(initializers[name].dims) >= SMALLEST:
            matrix = numpy_helper.to_array(initializers[name])
            scale = np.maximum(np.abs(matrix).max(axis=0), np.finfo(np.float32).tiny) / 127
            codes = np.rint(matrix / scale).astype(np.int8)
            _replace(model, name, (f"{name}_codes", codes), (f"{name}_scale", scale.astype(np.float32)))
            nodes += [
                helper.make_node("Cast", [f"{name}_codes"], [f"{name}_float"], to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]),
            ]
            packed.add(name)
    _put_first(model, nodes)


def pack_embeddings(model: onnx.ModelProto, rows: Sequence[int] | None = None) -> None:
    """Store the word embeddings in blocks of 32 values: 4-bit codes and a float16 scale each, multiplied when read.

    Args:
        model: changed in place; the table that input_ids are looked up in is packed.
        rows: the rows to keep, in their new order; None keeps all.

    Raises:
        ModelError: where the table is not exactly (code - 8) * scale in such blocks.
    """
    tables = {value.name: value for value in model.graph.initializer}
    lookups = [node for node in model.graph.node if node.op_type == "Gather" and node.input[1] == "input_ids"]
    if len(lookups) != 1 or lookups[0].input[0] not in tables:
        raise ModelError("the graph has no single table that input_ids are looked up in; expected word embeddings")
    node = lookups[0]
    table = numpy_helper.to_array(tables[node.input[0]])
    codes, scales = four_bits(table if rows is None else table[np.asarray(rows)])
    _replace(model, node.input[0], (CODES, codes), (SCALES, scales))
    node.CopyFrom(
        helper.make_node(
            "GatherBlockQuantized",
            [CODES, node.input[1], "embedding_scales"],
            list(node.output),
            domain=MICROSOFT,
            bits=4,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )
    )
    _put_first(model, [helper.make_node("Cast", [SCALES], ["embedding_scales"], to=onnx.TensorProto.FLOAT)])
    if all(opset.domain != MICROSOFT for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def four_bits(table: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    """Codes, uint8 [rows, columns / 2], two in a byte, low half first, and scales, float16 [rows, columns / 32]."""
    blocks = table.reshape(len(table), -1, BLOCK)
    peak = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2, keepdims=True), axis=2)
    scales = (peak / -8).astype(np.float16)
    divisor = np.where(scales == 0, 1, scales).astype(np.float32)
    codes = np.clip(np.rint(blocks / divisor), -8, 7)
    wrong = (codes * scales.astype(np.float32) != blocks).any(axis=2).mean()
    if wrong:
        raise ModelError(
            f"the word embeddings are not exact in 4 bits ({wrong:.1%} of their blocks of {BLOCK} differ); expected a "
            "model whose embeddings came in such blocks and stayed frozen in training"
        )
    halves = (codes + 8).astype(np.uint8).reshape(len(table), -1)
    return halves[:, 0::2] | halves[:, 1::2] << 4, scales[..., 0]


def take_embeddings(model: onnx.ModelProto) -> bytes:
    """Take the packed embeddings out of the graph, which looks for them in ``embeddings.bin`` from then on."""
    content, tensors = bytearray(), {value.name: value for value in model.graph.initializer}
    for name in (CODES, SCALES):
        tensor = tensors[name]
        raw = numpy_helper.to_array(tensor).tobytes()
        content += b"\0" * (-len(content) % ALIGNMENT)
        external_data_helper.set_external_data(tensor, EMBEDDINGS_FILE, len(content), len(raw))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        content += raw
    return bytes(content)


def _replace(model: onnx.ModelProto, name: str, *values: tuple[str, npt.NDArray[np.generic]]) -> None:
    """Take one initializer out and others in."""
    kept = [value for value in model.graph.initializer if value.name != name]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in values)


def _put_first(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    later = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *later])
