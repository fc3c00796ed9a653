"""A model folder for torch to an ONNX graph."""

from pathlib import Path
from typing import TYPE_CHECKING

from polyspan.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnx


def export_onnx(folder: Path) -> "onnx.ModelProto":
    """The float32 graph of an extractive reader, with any number of windows and tokens.

    Inputs are ``input_ids`` and ``attention_mask``, int64 [windows, tokens], and ``token_type_ids`` where the model
    has more than one type; outputs ``start_logits`` and ``end_logits``, float32 [windows, tokens].

    Raises:
        MissingExtraError: without torch, transformers, onnx or onnxscript.
    """
    try:
        import onnxscript  # noqa: F401 -- torch.onnx needs it and fails late without
        import torch
        from transformers import AutoModelForQuestionAnswering

        from polyspan.backends.torch import takes_types
    except ImportError as error:
        raise MissingExtraError("exporting to ONNX", "export") from error
    model = AutoModelForQuestionAnswering.from_pretrained(
        folder, attn_implementation="eager", weights_only=True, local_files_only=True
    ).eval()
    names = ["input_ids", "attention_mask"]
    if takes_types(model):
        names.append("token_type_ids")

    class Logits(torch.nn.Module):
        """The model with plain tensors in and out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            output = self.model(**dict(zip(names, values, strict=True)))
            return output.start_logits, output.end_logits

    ids = torch.arange(34).view(2, 17) % 5 + 3
    values = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(names)]
    sizes = {0: torch.export.Dim("windows"), 1: torch.export.Dim("tokens", max=model.config.max_position_embeddings)}
    program = torch.onnx.export(
        Logits().eval(),
        values,
        input_names=names,
        output_names=["start_logits", "end_logits"],
        dynamic_shapes=((sizes,) * len(names),),
        opset_version=20,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ModelError(f"{folder}: torch.onnx gave no graph")
    return _without_traces(program.model_proto)


def _without_traces(exported: "onnx.ModelProto") -> "onnx.ModelProto":
    """The graph without a megabyte of stack traces that name the paths of this machine."""
    for part in (*exported.graph.node, *exported.graph.value_info, exported.graph, exported):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    return exported
