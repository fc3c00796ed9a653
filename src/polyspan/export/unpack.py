"""ONNX files with weights in few bits that are computed in float32, such as the shipped reader's, to float32 graphs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from polyspan.errors import ModelError
from polyspan.export.tables import read_graph
from polyspan.export.weights import BLOCK

_INTEGER_ARITHMETIC = {"DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "MatMulNBits", "QuantizeLinear"}


def unpacked_graph(file: Path) -> onnx.ModelProto:
    """The graph of an ONNX file, perhaps gzipped, with all its weights in float32.

    Raises:
        ModelError: if it cannot be read, or computes in integers, so that what it was made from is lost.
    """
    model = read_graph(file).model
    found = _INTEGER_ARITHMETIC.intersection(node.op_type for node in model.graph.node)
    if found:
        raise ModelError(
            f"{file}: is quantised already ({', '.join(sorted(found))}); export needs float weights, or those that "
            "--precision int8-stored writes"
        )
    tensors = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    made: dict[str, npt.NDArray[np.float32]] = {}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in tensors:
            made[node.output[0]] = tensors[node.input[0]].astype(np.float32)
        elif node.op_type == "Mul" and node.input[0] in made and node.input[1] in tensors:
            made[node.output[0]] = made[node.input[0]] * tensors[node.input[1]]
        elif node.op_type == "GatherBlockQuantized":
            codes, ids, scales = node.input
            table = f"{codes}_float"
            made[table] = _from_four_bits(tensors[codes], made[scales])
            kept.append(helper.make_node("Gather", [table, ids], node.output, name=node.name))
        else:
            kept.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    used = {name for node in nodes for name in node.input}
    graph = model.graph
    weights = [value for value in graph.initializer if value.name in used]
    weights += [numpy_helper.from_array(value, name) for name, value in made.items() if name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, weights)):
        del field[:]
        field.extend(values)
    return model


def _from_four_bits(codes: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The table, float32 [rows, columns], that ``weights.four_bits`` packed."""
    halves = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1, BLOCK)
    table: npt.NDArray[np.float32] = (halves.astype(np.float32) - 8) * scales[..., None]
    return table.reshape(len(codes), -1)
