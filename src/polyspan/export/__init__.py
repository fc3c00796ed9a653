"""Model folders to small ONNX files."""

from polyspan.errors import MissingExtraError

try:
    import onnx  # noqa: F401 -- most of this room needs it
except ImportError as error:
    raise MissingExtraError("exporting, trimming and averaging models", "export") from error

from polyspan.export.gate import Gate, GateReport
from polyspan.export.onnx import export_onnx
from polyspan.export.precision import PRECISIONS, Plan
from polyspan.export.reader import export_small_reader
from polyspan.export.run import Exported, Exporter, ExportSettings, export_reader
from polyspan.export.vocabulary import choose_pieces, close_pieces, cut_tokenizer
from polyspan.export.weights import pack_embeddings, pack_weights, take_embeddings

__all__ = [
    "PRECISIONS",
    "ExportSettings",
    "Exported",
    "Exporter",
    "Gate",
    "GateReport",
    "Plan",
    "choose_pieces",
    "close_pieces",
    "cut_tokenizer",
    "export_onnx",
    "export_reader",
    "export_small_reader",
    "pack_embeddings",
    "pack_weights",
    "take_embeddings",
]
