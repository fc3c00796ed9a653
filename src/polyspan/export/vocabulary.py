"""Unigram vocabularies without the pieces that hardly any text needs."""

import copy
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

from polyspan.errors import ModelError

CHUNK_TEXTS = 1_000


def choose_pieces(tokenizer: dict[str, Any], commonest: int, texts: Iterable[str] = (), at_least: int = 3) -> list[int]:
    """Ids of the pieces to keep, in rising order.

    These are the first ``commonest`` (a Unigram vocabulary is sorted by probability), all single characters, all
    special tokens, and what ``texts`` use ``at_least`` times.

    Raises:
        ModelError: if ``tokenizer``, the content of a tokenizer.json, is not a Unigram one.
    """
    model = tokenizer["model"]
    if model["type"] != "Unigram":
        raise ModelError(f"only a Unigram vocabulary can be cut, not {model['type']}")
    kept = {*range(min(commonest, len(model["vocab"]))), *(token["id"] for token in tokenizer["added_tokens"])}
    kept |= {number for number, (piece, _) in enumerate(model["vocab"]) if len(piece.lstrip("▁")) <= 1}
    used = Counter[int]()
    counting = Tokenizer.from_str(json.dumps(tokenizer))
    chunk: list[str] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == CHUNK_TEXTS:
            used += _counted(counting, chunk)
            chunk = []
    used += _counted(counting, chunk)
    return sorted(kept | {number for number, count in used.items() if count >= at_least})


def cut_tokenizer(tokenizer: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    """The content of a tokenizer.json that knows only the pieces ``kept``, numbered anew in that order."""
    number = {old: new for new, old in enumerate(kept)}
    cut = copy.deepcopy(tokenizer)
    vocabulary = tokenizer["model"]["vocab"]
    cut["model"]["vocab"] = [vocabulary[old] for old in kept]
    cut["model"]["unk_id"] = number[tokenizer["model"]["unk_id"]]
    for token in cut["added_tokens"]:
        token["id"] = number[token["id"]]
    for special in cut["post_processor"].get("special_tokens", {}).values():
        special["ids"] = [number[old] for old in special["ids"]]
    return cut


def _counted(tokenizer: Tokenizer, texts: list[str]) -> Counter[int]:
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return Counter(number for encoding in encodings for number in encoding.ids)
