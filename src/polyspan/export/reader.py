"""A reader for torch to the small folder that ships."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from polyspan.backends import ModelFolder, unpacked
from polyspan.errors import ModelError
from polyspan.export.onnx import export_onnx
from polyspan.export.vocabulary import choose_pieces, cut_tokenizer
from polyspan.export.weights import EMBEDDINGS_FILE, pack_embeddings, pack_weights, take_embeddings


def export_small_reader(source: Path, out: Path, commonest: int | None = None, texts: Iterable[str] = ()) -> None:
    """Write config.json and, gzipped, tokenizer.json, onnx/model.onnx (8-bit matrices), onnx/embeddings.bin (4 bits).

    Another encoder of the same vocabulary can share the last of these and the tokenizer.

    Args:
        source: a reader for torch with a Unigram tokenizer.json and word embeddings that are exact in 4 bits.
        out: a new folder.
        commonest: how many of the commonest pieces of the vocabulary to keep; None keeps all.
        texts: whose pieces are kept too, if they occur a few times.

    Raises:
        ModelError: if ``source`` is no such reader.
    """
    folder = ModelFolder(source)
    if folder.tokenizer_file is None:
        raise ModelError(f"{source}: expected a tokenizer.json there")
    tokenizer = json.loads(unpacked(folder.tokenizer_file))
    size = len(tokenizer["model"]["vocab"])
    kept = list(range(size)) if commonest is None else choose_pieces(tokenizer, commonest, texts)
    graph = export_onnx(source)
    pack_embeddings(graph, kept)
    pack_weights(graph)
    embeddings = take_embeddings(graph)
    cut = cut_tokenizer(tokenizer, kept)
    pad = folder.config.get("pad_token_id")
    config = {**folder.config, "vocab_size": len(kept), "pad_token_id": kept.index(pad) if pad in kept else pad}
    (out / "onnx").mkdir(parents=True)
    contents = {
        "tokenizer.json": json.dumps(cut, ensure_ascii=False, separators=(",", ":")).encode(),
        "onnx/model.onnx": graph.SerializeToString(),
        f"onnx/{EMBEDDINGS_FILE}": embeddings,
    }
    for name, content in contents.items():
        (out / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
