"""A model folder for torch to an ONNX graph."""

import ast
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyspan.backends import ModelFolder
from polyspan.backends.folder import one_line
from polyspan.backends.onnx import OUTPUTS
from polyspan.backends.onnx_encoder import WHOLE
from polyspan.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnx

OPSET = 20  # the first with Gelu
_WRAPPED = "model."


def export_onnx(folder: Path) -> "onnx.ModelProto":
    """The float32 graph of an extractive reader, with any number of windows and tokens.

    Inputs are ``input_ids`` and ``attention_mask``, int64 [windows, tokens], and ``token_type_ids`` where the model
    has more than one type; outputs ``start_logits`` and ``end_logits``, float32 [windows, tokens]. Matrices are called
    as the model's own parameters are, ``bert.encoder.layer.0.output.dense.weight``.

    Raises:
        ModelError: if there is no such model for torch, or torch.onnx cannot export its architecture.
        MissingExtraError: without torch, transformers, onnx or onnxscript.
    """
    return _export(ModelFolder(folder), lambda found, _: (found.start_logits, found.end_logits), OUTPUTS)


def export_encoder_onnx(folder: Path, pooling: str) -> "onnx.ModelProto":
    """The float32 graph of an encoder, with the same inputs.

    Its output ``sentence_embedding``, float32 [texts, dimension], is the mean of the last hidden states of a text's
    tokens, or the first of them (``pooling`` "mean" or "cls"), at length 1. Raises as ``export_onnx``.
    """

    def vectors(found: Any, mask: Any) -> tuple[Any]:
        states = found.last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        pooled = states[:, 0] if pooling == "cls" else (states * weights).sum(1) / weights.sum(1)
        return (pooled / pooled.norm(dim=1, keepdim=True),)

    return _export(ModelFolder(folder), vectors, [WHOLE], as_encoder=True)


def _export(
    source: ModelFolder, head: Callable[[Any, Any], tuple[Any, ...]], outputs: list[str], *, as_encoder: bool = False
) -> "onnx.ModelProto":
    """The graph of a model, and of what ``head`` makes of its outputs and the attention mask, called ``outputs``."""
    try:
        import onnxscript  # noqa: F401 -- torch.onnx needs it and fails late without
        import torch

        from polyspan.backends.torch import open_model, takes_types
    except ImportError as error:
        raise MissingExtraError("exporting to ONNX", "export") from error
    model = open_model(source, torch.float32, as_encoder=as_encoder, attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask"]
    if takes_types(model):
        names.append("token_type_ids")

    class Outputs(torch.nn.Module):
        """The model with plain tensors in and out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return head(self.model(**dict(zip(names, values, strict=True))), values[1])

    ids = torch.arange(34).view(2, 17) % 5 + 3
    values = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(names)]
    sizes = {0: torch.export.Dim("windows"), 1: torch.export.Dim("tokens", max=source.max_seq_len)}
    try:
        with _quietly():
            program = torch.onnx.export(
                Outputs().eval(),
                values,
                input_names=names,
                output_names=outputs,
                dynamic_shapes=((sizes,) * len(names),),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # what an architecture does that cannot be traced fails in many ways
        kind = source.config.get("model_type", "unknown")
        raise ModelError(
            f"{source.path}: torch.onnx cannot export this architecture ({kind}): {one_line(error)}; use it with torch"
        ) from error
    if program is None:
        raise ModelError(f"{source.path}: torch.onnx gave no graph")
    return _without_traces(_named(program.model_proto))


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep torch.onnx from warning of its own parts."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)


def _named(exported: "onnx.ModelProto") -> "onnx.ModelProto":
    """The graph with each matrix of a linear layer called after the layer; the exporter transposes and numbers it."""
    tensors = {value.name: value for value in exported.graph.initializer}
    names: dict[str, str] = {}
    for node in exported.graph.node:
        layer = _layer(node)
        if node.op_type == "MatMul" and node.input[1] in tensors and layer and f"{layer}.weight" not in tensors:
            names[node.input[1]] = names.get(node.input[1], f"{layer}.weight")
    for old, new in names.items():
        tensors[old].name = new
    for node in exported.graph.node:
        for position, value in enumerate(node.input):
            node.input[position] = names.get(value, value)
    return exported


def _layer(node: Any) -> str:
    """The innermost module that a node belongs to: in the exporter's list, the last but the operator itself."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes: list[str] = ["", "", *ast.literal_eval(entry.value)]
            return scopes[-2].removeprefix(_WRAPPED)
    return ""


def _without_traces(exported: "onnx.ModelProto") -> "onnx.ModelProto":
    """The graph without a megabyte of stack traces that name the paths of this machine."""
    for part in (*exported.graph.node, *exported.graph.value_info, exported.graph, exported):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    return exported
