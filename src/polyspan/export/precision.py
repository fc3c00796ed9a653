"""The number formats that a graph can be written in."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx

from polyspan.export.weights import (
    matrices,
    pack_embeddings,
    pack_embeddings_in_8_bits,
    pack_weights,
)

Embeddings = Literal["float", "8", "4"]
Feeds = Mapping[str, npt.NDArray[np.int64]]

WORD_EMBEDDINGS = "word embeddings"
_FINER: dict[Embeddings, Embeddings] = {"4": "8", "8": "float", "float": "float"}
_ACTIVATIONS_IN_INT8 = 4  # MatMulNBits' accuracy level


@dataclass(frozen=True, slots=True)
class Left:
    """What a precision leaves as it is: ``matrices`` by their names, and the ``nodes`` that multiply by them."""

    matrices: frozenset[str]
    nodes: list[str]


@dataclass(frozen=True, slots=True)
class Precision:
    """One number format.

    ``convert`` is given a graph that it may change, what to leave as it is, and inputs to calibrate with, which only
    those that are ``calibrated`` look at. ``file`` and ``dtype`` are the names that transformers.js looks for.
    ``embeddings`` are those that go with it unless others are asked for. ``batch_tokens`` are best scored at once
    (None, the library's default); 1: it quantises a batch by its largest value, so that each window is to be scored
    alone. ``backend`` computes it fastest; onnxruntime opens all.
    """

    summary: str
    file: str
    dtype: str
    convert: Callable[[onnx.ModelProto, Left, Sequence[Feeds]], onnx.ModelProto]
    embeddings: Embeddings = "8"
    batch_tokens: int | None = None
    calibrated: bool = False
    backend: Literal["onnx", "openvino"] = "onnx"
    quantised: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph's number formats: the name of one of ``PRECISIONS``, the word embeddings', and what is ``excluded``.

    ``excluded`` are names of matrices, which stay float32, or ``WORD_EMBEDDINGS``, which get the next finer format.
    """

    precision: str
    embeddings: Embeddings
    excluded: frozenset[str] = field(default_factory=frozenset)

    @property
    def stored_embeddings(self) -> Embeddings:
        """The word embeddings' format."""
        return _FINER[self.embeddings] if WORD_EMBEDDINGS in self.excluded else self.embeddings


def parts(graph: onnx.ModelProto, plan: Plan) -> list[str]:
    """What a plan quantises, and may exclude: names of matrices, and ``WORD_EMBEDDINGS``."""
    embeddings = [] if plan.embeddings == "float" else [WORD_EMBEDDINGS]
    return embeddings + (list(matrices(graph)) if PRECISIONS[plan.precision].quantised else [])


def convert(graph: onnx.ModelProto, plan: Plan, calibration: Sequence[Feeds] = ()) -> onnx.ModelProto:
    """A float32 graph in a plan's formats, as a new one.

    Raises:
        ModelError: where the word embeddings cannot be packed.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    if plan.stored_embeddings == "4":
        pack_embeddings(model, lossy=True)
    elif plan.stored_embeddings == "8":
        pack_embeddings_in_8_bits(model)
    small = matrices(model)
    every = [node.name for node in model.graph.node if node.op_type == "MatMul"]
    chosen = {node for name, nodes in small.items() if name not in plan.excluded for node in nodes}
    left = Left(plan.excluded, [name for name in every if name not in chosen])
    with _quietly():
        return PRECISIONS[plan.precision].convert(model, left, calibration)


def _float32(model: onnx.ModelProto, _left: Left, _calibration: Sequence[Feeds]) -> onnx.ModelProto:
    return model


def _float16(model: onnx.ModelProto, left: Left, _calibration: Sequence[Feeds]) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    # What unpacks the embeddings has fixed types.
    unpacking = [node.name for node in model.graph.node if any("embedding_" in name for name in node.output)]
    converted: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, node_block_list=[*left.nodes, *unpacking]
    )
    return converted


def _int8(model: onnx.ModelProto, left: Left, _calibration: Sequence[Feeds]) -> onnx.ModelProto:
    """Matrices in 7 bits: with 8, the sums of processors without VNNI overflow."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)
    options = {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=left.nodes,
            extra_options=options,
        )
        return onnx.load(path)


def _int8_static(model: onnx.ModelProto, left: Left, calibration: Sequence[Feeds]) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    class Inputs(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is untyped
        """The inputs one by one, None behind the last."""

        def __init__(self) -> None:
            self._feeds = iter(calibration)

        def get_next(self) -> Feeds | None:
            return next(self._feeds, None)

    add_pre_process_metadata(model)
    options = {"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": ["MatMul"]}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        quantize_static(
            model,
            path,
            Inputs(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=left.nodes,
            extra_options=options,
        )
        return onnx.load(path)


def _int8_openvino(model: onnx.ModelProto, left: Left, calibration: Sequence[Feeds]) -> onnx.ModelProto:
    from polyspan.export.nncf import quantise

    tensors = {value.name for value in model.graph.initializer}
    # The products of attention are quantised too; of the others, those that are left by name or size are not.
    attention = {node.name for node in model.graph.node if not tensors.intersection(node.input)}
    lookups = [node.name for node in model.graph.node if node.op_type == "Gather"]
    return quantise(model, [*(name for name in left.nodes if name not in attention), *lookups], calibration)


def _int8_stored(model: onnx.ModelProto, left: Left, _calibration: Sequence[Feeds]) -> onnx.ModelProto:
    pack_weights(model, left.matrices)
    return model


def _weights(
    bits: int, block: int, *, symmetric: bool
) -> Callable[[onnx.ModelProto, Left, Sequence[Feeds]], onnx.ModelProto]:
    def pack(model: onnx.ModelProto, left: Left, _calibration: Sequence[Feeds]) -> onnx.ModelProto:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        quantizer = MatMulNBitsQuantizer(
            model,
            bits=bits,
            block_size=block,
            is_symmetric=symmetric,
            accuracy_level=_ACTIVATIONS_IN_INT8,
            nodes_to_exclude=left.nodes,
        )
        quantizer.process()
        packed: onnx.ModelProto = quantizer.model.model
        return packed

    return pack


PRECISIONS: dict[str, Precision] = {
    "float32": Precision("all in float32", "model.onnx", "fp32", _float32, "float", quantised=False),
    "float16": Precision("all in float16, logits in float32", "model_fp16.onnx", "fp16", _float16, "float"),
    "int8": Precision(
        "matrices in int8 of 7 bits, a scale for each column; what they multiply in uint8, a scale for each batch",
        "model_quantized.onnx",
        "q8",
        _int8,
        batch_tokens=1,
    ),
    "int8-static": Precision(
        "matrices in int8 of 7 bits, a scale for each column; what they multiply in uint8, with fixed scales",
        "model_int8.onnx",
        "int8",
        _int8_static,
        calibrated=True,
    ),
    "int8-openvino": Precision(
        "matrices and what they multiply in int8, those of attention too, scales fixed by calibration data",
        "model_int8.onnx",
        "int8",
        _int8_openvino,
        batch_tokens=1_600,
        calibrated=True,
        backend="openvino",
    ),
    "int8-stored": Precision(
        "matrices stored as int8, a scale for each column, and multiplied out when opened; computed in float32",
        "model_quantized.onnx",
        "q8",
        _int8_stored,
    ),
    "weights8": Precision(
        "matrices in 8 bits, a scale for each 32 values of a column; what they multiply likewise in int8",
        "model_quantized.onnx",
        "q8",
        _weights(8, 32, symmetric=True),
    ),
    "weights4": Precision(
        "matrices in 4 bits, a scale and a zero point for each 16 values of a column; what they multiply in int8",
        "model_q4.onnx",
        "q4",
        _weights(4, 16, symmetric=False),  # of 384 columns, larger blocks or symmetric codes leave little
    ),
}


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the converters quiet; one of them sets logging up for the whole process when it is imported."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
