"""Encoders for torch to ONNX: in float beside their weights, or as the small folder that ships beside the reader."""

import json
import shutil
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from polyspan.backends import ModelFolder, unpacked
from polyspan.backends.sentence import BATCH_TOKENS, LAYOUT_FILES, TOKENIZER_FILE, EncoderSettings, SentenceFolder
from polyspan.datasets.writing import write_bytes, write_json
from polyspan.errors import ModelError
from polyspan.export.folder import save_graph
from polyspan.export.fusion import fuse
from polyspan.export.onnx import export_encoder_onnx
from polyspan.export.precision import PRECISIONS, Plan, convert
from polyspan.export.vocabulary import cut_tokenizer
from polyspan.export.weights import EMBEDDINGS_FILE, pack_embeddings, take_embeddings

PRECISION = "int8"


def write_encoder_onnx(folder: SentenceFolder) -> None:
    """Write ``onnx/model.onnx``, in float32, into the folder of an encoder that has none, so that it needs no torch.

    Raises:
        ModelError: if its vectors are more than pooled outputs of a transformer, or it cannot be exported.
        MissingExtraError: without the packages of the extra ``export``.
    """
    save_graph(fuse(export_encoder_onnx(folder.path, folder.pooling)), folder.path / "onnx" / "model.onnx")


def export_small_encoder(source: SentenceFolder, out: Path, name: str, excluded: Collection[str] = ()) -> None:
    """Write configuration and layout and, gzipped, onnx/model.onnx with matrices in 8 bits.

    Tokenizer and word embeddings are those of the reader that comes with polyspan, and are not written again.

    Args:
        source: an encoder for torch with a Unigram tokenizer.json.
        out: a new folder.
        name: the encoder's name.
        excluded: names of matrices that stay in float32.

    Raises:
        ModelError: if ``source`` is no such encoder, or the reader's tokenizer or embeddings are not its own, bit for
            bit.
    """
    if source.model.tokenizer_file is None:
        raise ModelError(f"{source.path}: expected a {TOKENIZER_FILE} there")
    tokenizer = json.loads(unpacked(source.model.tokenizer_file))
    pieces = range(len(tokenizer["model"]["vocab"]))  # the table may have rows behind them, of no piece
    graph = fuse(export_encoder_onnx(source.path, source.pooling))
    pack_embeddings(graph, pieces)
    small = convert(graph, Plan(PRECISION, "float", frozenset(excluded)))
    plain = json.dumps(cut_tokenizer(tokenizer, list(pieces)), ensure_ascii=False, separators=(",", ":")).encode()
    shared = {TOKENIZER_FILE: plain, f"onnx/{EMBEDDINGS_FILE}": take_embeddings(small)}
    for file, content in shared.items():
        _check_shared(source, file, content)
    settings = EncoderSettings(
        name,
        PRECISIONS[PRECISION].batch_tokens or BATCH_TOKENS,
        {file: sha256(content).hexdigest() for file, content in shared.items()},
    )
    (out / "onnx").mkdir(parents=True)
    for path in [path for pattern in LAYOUT_FILES for path in source.path.glob(pattern)]:
        copy = out / path.relative_to(source.path)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    write_bytes(out / "onnx" / "model.onnx.gz", [small.SerializeToString()])
    write_json(out / "polyspan.json", settings.to_json())


def _check_shared(source: SentenceFolder, name: str, content: bytes) -> None:
    file = ModelFolder.shipped().first_file(name)
    if file is None or unpacked(file) != content:
        raise ModelError(
            f"{source.path}: its {name} is not that of the reader that comes with polyspan; expected an encoder with "
            "the same vocabulary whose word embeddings stayed frozen in training"
        )
