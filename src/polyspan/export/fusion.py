"""Attention, GELU and layer norm as onnxruntime's own operators."""

import onnx

from polyspan.errors import MissingExtraError

MICROSOFT = "com.microsoft"


def fuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with attention and GELU as one operator each, where their patterns are found; the weights stay apart.

    ``MultiHeadAttention`` and ``BiasGelu`` are onnxruntime's, ``LayerNormalization`` is a single operator since the
    exporter. Attention that looks otherwise, such as DeBERTa's, stays as it is.

    Raises:
        MissingExtraError: without onnxscript.
    """
    try:
        import onnx_ir
        import onnx_ir.passes.common as passes
        from onnxscript.optimizer import optimize
        from onnxscript.rewriter.ort_fusions import bias_gelu, erfgelu, gelu, mha, mha_bias, mha_scale, sdpa
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
    optimize(graph)
    passes.LiftConstantsToInitializersPass(lift_all_constants=False, size_limit=1)(graph)
    return onnx_ir.to_proto(graph)
