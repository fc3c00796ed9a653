"""ONNX weights in fewer bits, without integer arithmetic at run time: the same answers on every processor."""

from collections.abc import Container, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import external_data_helper, helper, numpy_helper

from polyspan.errors import ModelError

BLOCK = 32
SMALLEST = 32
ALIGNMENT = 4096
CODES, SCALES = "embedding_codes", "embedding_scales_half"
EMBEDDINGS_FILE = "embeddings.bin"
MICROSOFT = "com.microsoft"
_CLIPPED = (0.95, 0.9, 0.85, 0.8, 0.75)  # of a block's peak


def matrices(model: onnx.ModelProto) -> dict[str, list[str]]:
    """The names of the matrices of linear layers, each with those of the nodes that multiply by it.

    What has less than ``SMALLEST`` rows or columns, as the head's, is not among them: it weighs nothing.
    """
    tensors = {value.name: value for value in model.graph.initializer}
    found: dict[str, list[str]] = {}
    for node in model.graph.node:
        name = node.input[1] if node.op_type == "MatMul" else ""
        if name in tensors and len(tensors[name].dims) == 2 and min(tensors[name].dims) >= SMALLEST:
            found.setdefault(name, []).append(node.name)
    return found


def pack_weights(model: onnx.ModelProto, excluded: Container[str] = ()) -> None:
    """Store the matrices of linear layers, but for those ``excluded``, as int8 with a scale for each output column.

    onnxruntime multiplies them out once, as it opens the file, and then computes in float32.
    """
    initializers = {value.name: value for value in model.graph.initializer}
    nodes = []
    for name in matrices(model):
        if name not in excluded:
            codes, scale = eight_bits(numpy_helper.to_array(initializers[name]), axis=0)
            _replace(model, name, (f"{name}_codes", codes), (f"{name}_scale", scale))
            nodes += [
                helper.make_node("Cast", [f"{name}_codes"], [f"{name}_float"], to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]),
            ]
    _put_first(model, nodes)


def eight_bits(table: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Codes, int8 [rows, columns], and float32 scales of columns, [columns] (axis 0), or rows, [rows, 1] (axis 1)."""
    peak = np.abs(table).max(axis=axis, keepdims=True)
    scale = np.maximum(peak, np.finfo(np.float32).tiny) / 127
    codes = np.rint(table / scale).astype(np.int8)
    return codes, (scale[0] if axis == 0 else scale).astype(np.float32)


def pack_embeddings(model: onnx.ModelProto, rows: Sequence[int] | None = None, *, lossy: bool = False) -> None:
    """Store the word embeddings in blocks of 32 values: 4-bit codes and a float16 scale each, multiplied when read.

    Args:
        model: changed in place; the table that input_ids are looked up in is packed.
        rows: the rows to keep, in their new order; None keeps all.
        lossy: round values that are not exact in such blocks.

    Raises:
        ModelError: where the table is not exactly (code - 8) * scale in such blocks, unless ``lossy``.
    """
    node, table = word_embeddings(model)
    if table.shape[1] % BLOCK:
        raise ModelError(f"the word embeddings are {table.shape[1]} wide; in 4 bits, expected a multiple of {BLOCK}")
    codes, scales = four_bits(table if rows is None else table[np.asarray(rows)], lossy=lossy)
    _replace(model, node.input[0], (CODES, codes), (SCALES, scales))
    node.CopyFrom(
        helper.make_node(
            "GatherBlockQuantized",
            [CODES, node.input[1], "embedding_scales"],
            list(node.output),
            name=node.name,
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


def pack_embeddings_in_8_bits(model: onnx.ModelProto) -> None:
    """Store the word embeddings as int8 with a scale for each row, multiplied when read, in ONNX's own operators."""
    node, table = word_embeddings(model)
    codes, scales = eight_bits(table, axis=1)
    _replace(model, node.input[0], (CODES, codes), (SCALES, scales))
    ids, output, place = node.input[1], node.output[0], list(model.graph.node).index(node)
    model.graph.node.remove(node)
    lookup = (
        helper.make_node("Gather", [CODES, ids], ["embedding_codes_read"], name=f"{node.name}_codes"),
        helper.make_node(
            "Cast", ["embedding_codes_read"], ["embedding_float"], name=f"{node.name}_cast", to=onnx.TensorProto.FLOAT
        ),
        helper.make_node("Gather", [SCALES, ids], ["embedding_scales_read"], name=f"{node.name}_scales"),
        helper.make_node("Mul", ["embedding_float", "embedding_scales_read"], [output], name=f"{node.name}_scaled"),
    )
    for offset, new in enumerate(lookup):
        model.graph.node.insert(place + offset, new)


def word_embeddings(model: onnx.ModelProto) -> tuple[onnx.NodeProto, npt.NDArray[np.float32]]:
    """The node that looks input_ids up, and its table, float32 [pieces, width]; ModelError where it is none."""
    tables = {value.name: value for value in model.graph.initializer}
    lookups = [node for node in model.graph.node if node.op_type == "Gather" and node.input[1] == "input_ids"]
    if len(lookups) != 1 or lookups[0].input[0] not in tables:
        raise ModelError("the graph has no single table that input_ids are looked up in; expected word embeddings")
    return lookups[0], numpy_helper.to_array(tables[lookups[0].input[0]])


def four_bits(
    table: npt.NDArray[np.float32], *, lossy: bool = False
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    """Codes, uint8 [rows, columns / 2], two in a byte, low half first, and scales, float16 [rows, columns / 32].

    A block that is not exact raises ModelError or, if ``lossy``, gets the scale of the least squared error among a few,
    by which its largest values are cut.
    """
    blocks = table.reshape(len(table), -1, BLOCK)
    peak = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2, keepdims=True), axis=2)
    scales = (peak / -8).astype(np.float16)
    codes = _codes(blocks, scales)
    error = (codes * scales.astype(np.float32) - blocks) ** 2
    wrong = error.any(axis=2)
    if wrong.any() and not lossy:
        raise ModelError(
            f"the word embeddings are not exact in 4 bits ({wrong.mean():.1%} of their blocks of {BLOCK} differ); "
            "expected a model whose embeddings came in such blocks and stayed frozen in training"
        )
    least = error.sum(axis=2, keepdims=True)
    for share in _CLIPPED if wrong.any() else ():
        cut = (peak * share / -8).astype(np.float16)
        tried = _codes(blocks, cut)
        found = ((tried * cut.astype(np.float32) - blocks) ** 2).sum(axis=2, keepdims=True)
        better = found < least
        codes, scales, least = np.where(better, tried, codes), np.where(better, cut, scales), np.minimum(found, least)
    halves = (codes + 8).astype(np.uint8).reshape(len(table), -1)
    packed: npt.NDArray[np.uint8] = halves[:, 0::2] | halves[:, 1::2] << np.uint8(4)
    return packed, scales[..., 0]


def _codes(blocks: npt.NDArray[np.float32], scales: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    divisor = np.where(scales == 0, 1, scales).astype(np.float32)
    codes: npt.NDArray[np.float32] = np.clip(np.rint(blocks / divisor), -8, 7)
    return codes


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
    """Put tensors in the place of one; a list of initializers made anew would copy all of them."""
    first, *others = (numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in values)
    next(value for value in model.graph.initializer if value.name == name).CopyFrom(first)
    model.graph.initializer.extend(others)


def _put_first(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    later = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *later])
