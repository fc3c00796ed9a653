"""Model folders to small ONNX files."""

from polyspan.export.onnx import export_onnx
from polyspan.export.reader import export_small_reader
from polyspan.export.vocabulary import choose_pieces, close_pieces, cut_tokenizer
from polyspan.export.weights import pack_embeddings, pack_weights, take_embeddings

__all__ = [
    "choose_pieces",
    "close_pieces",
    "cut_tokenizer",
    "export_onnx",
    "export_small_reader",
    "pack_embeddings",
    "pack_weights",
    "take_embeddings",
]
