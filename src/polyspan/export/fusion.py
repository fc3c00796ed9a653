"""Attention, GELU and layer norm as onnxruntime's own operators."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from polyspan.errors import MissingExtraError
from polyspan.types import FloatArray

TOLERANCE = 1e-3
_SMALLEST_ID = 5  # behind the special tokens of most vocabularies


def fuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with attention and GELU as one operator each, where their patterns are found; the weights stay apart.

    ``MultiHeadAttention`` and ``BiasGelu`` are onnxruntime's, ``LayerNormalization`` is a single operator since the
    exporter. Attention that looks otherwise, such as DeBERTa's, stays as it is. So does the whole graph, where
    onnxruntime cannot open the fused one or its outputs differ by more than ``TOLERANCE`` of their standard deviation.

    Raises:
        MissingExtraError: without onnxscript.
    """
    fused = _fused(model)
    expected = _outputs(model)
    try:
        found = _outputs(fused)
    except Exception:  # noqa: BLE001 -- onnxruntime's errors share no other base
        return model
    close = np.abs(found - expected).max() <= TOLERANCE * expected.std()
    return fused if close else model


def _fused(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        import onnx_ir
        import onnx_ir.passes.common as passes
        from onnxscript.optimizer import optimize
        from onnxscript.rewriter.ort_fusions import bias_gelu, erfgelu, gelu, mha, mha_bias, mha_scale, sdpa
        from onnxscript.rewriter.ort_fusions.sdpa_via_mha import replace_sdpa_by_mha
        from onnxscript.rewriter.ort_fusions.shape_optimization import rules
    except ImportError as error:
        raise MissingExtraError("fusing an ONNX graph", "export") from error
    graph = onnx_ir.from_proto(model)
    passes.ShapeInferencePass()(graph)
    optimize(graph)
    rules.apply_to_model(graph)
    optimize(graph)
    # Layer normalisation and the addition before it stay apart: their common kernel is several times slower.
    erfgelu.fuse_erfgelu(graph)
    sdpa.fuse_sdpa(graph, apply_shape_inference=True)
    for attention in (mha.fuse_mha1, mha.fuse_mha2, mha_scale.fuse_mha_scale, mha_bias.fuse_mha_bias):
        attention(graph)
    gelu.fuse_gelu(graph)
    bias_gelu.fuse_bias_gelu(graph)
    replace_sdpa_by_mha(graph)
    optimize(graph)
    passes.LiftConstantsToInitializersPass(lift_all_constants=False, size_limit=1)(graph)
    return onnx_ir.to_proto(graph)


def _outputs(model: onnx.ModelProto) -> FloatArray:
    """What a graph says of three windows of any tokens, two of them padded: all outputs but those at padding, flat."""
    import onnxruntime

    ids = np.random.default_rng(0).integers(_SMALLEST_ID, 50, (3, 24))
    mask = (np.arange(24) < np.array([[24], [17], [9]])).astype(np.int64)
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    names = [value.name for value in model.graph.input]
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        copied = onnx.ModelProto()
        copied.CopyFrom(model)  # saving takes the weights out
        onnx.save_model(copied, path, save_as_external_data=True, location="weights")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        found = session.run(None, {name: given[name] for name in names})
    values: FloatArray = np.concatenate(
        [(one[mask == 1] if one.shape[:2] == mask.shape else one).ravel() for one in found]
    )
    return values
