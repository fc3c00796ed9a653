"""Unigram, WordPiece and BPE vocabularies without the pieces that hardly any text needs."""

import copy
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, pre_tokenizers

from polyspan.errors import ModelError

CHUNK_TEXTS = 1_000
KINDS = ("Unigram", "WordPiece", "BPE")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE = re.compile("<0x[0-9A-F]{2}>")


def choose_pieces(tokenizer: dict[str, Any], commonest: int, texts: Iterable[str] = (), at_least: int = 3) -> list[int]:
    """Ids of the pieces to keep, in rising order.

    These are the first ``commonest`` (a Unigram vocabulary is sorted by probability), all single characters, all
    special tokens, and what ``texts`` use ``at_least`` times.

    Raises:
        ModelError: if ``tokenizer``, the content of a tokenizer.json, is not a Unigram one.
    """
    model = tokenizer["model"]
    if model["type"] != "Unigram":
        raise ModelError(f"the commonest pieces are known of a Unigram vocabulary alone, not of a {model['type']} one")
    kept = {*range(min(commonest, len(model["vocab"])))}
    kept |= {number for number, (piece, _) in enumerate(model["vocab"]) if len(piece.lstrip("▁")) <= 1}
    used = count_pieces(tokenizer, ((text, 1.0) for text in texts))
    return close_pieces(tokenizer, kept | set(np.flatnonzero(used >= at_least).tolist()))


def cut_tokenizer(tokenizer: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The content of a tokenizer.json that knows only the pieces ``kept``, numbered anew in that order.

    Where ``close_pieces`` gave these, a text of which all pieces are kept is cut into the same ones as before: the best
    Unigram path, the longest WordPiece match and the first BPE merge are still there, and only others are gone.

    Raises:
        ModelError: if it is of no such kind, or would number its pieces otherwise.
    """
    kind = _kind(tokenizer)
    number = {old: new for new, old in enumerate(kept)}
    cut = copy.deepcopy(tokenizer)
    model, vocabulary = cut["model"], tokenizer["model"]["vocab"]
    if kind == "Unigram":
        model["vocab"] = [vocabulary[old] for old in kept if old < len(vocabulary)]
        if model.get("unk_id") is not None:
            model["unk_id"] = number[model["unk_id"]]
    else:
        pieces = sorted((number[old], piece) for piece, old in vocabulary.items() if old in number)
        model["vocab"] = {piece: new for new, piece in pieces}
    if kind == "BPE":
        merges = zip(model["merges"], _merges(tokenizer), strict=True)
        model["merges"] = [merge for merge, three in merges if all(piece in model["vocab"] for piece in three)]
    for token in cut["added_tokens"]:
        token["id"] = number[token["id"]]
    if cut.get("padding"):
        cut["padding"]["pad_id"] = number[cut["padding"]["pad_id"]]
    _renumber_template(cut.get("post_processor") or {}, number)
    before, after = open_tokenizer(tokenizer), open_tokenizer(cut)
    wrong = [old for new, old in enumerate(kept) if before.id_to_token(old) != after.id_to_token(new)]
    if wrong or after.get_vocab_size() != len(kept):
        raise ModelError(f"the tokenizer numbers its pieces otherwise than its vocabulary, such as {wrong[:3]}")
    return cut


def close_pieces(tokenizer: dict[str, Any], wanted: Iterable[int]) -> list[int]:
    """The ``wanted`` pieces and all that they need to be used as before, as ids in rising order.

    These are special and added tokens, the unknown token, the pieces that stand for bytes, in BPE the parts that a
    piece is merged from, and in Unigram the least probable piece, from whose score that of unknown characters follows.
    """
    parts = merged_from(tokenizer)
    kept: set[int] = set()
    for piece in (*always_kept(tokenizer), *wanted):
        kept |= with_parts(piece, parts, kept)
    return sorted(kept)


def with_parts(piece: int, parts: Mapping[int, Iterable[int]], known: set[int]) -> set[int]:
    """A piece and all that it is merged from, without those that are ``known`` already."""
    found: set[int] = set()
    left = [piece]
    while left:
        one = left.pop()
        if one not in found and one not in known:
            found.add(one)
            left.extend(parts.get(one, ()))
    return found


def merged_from(tokenizer: dict[str, Any]) -> dict[int, set[int]]:
    """Of each piece of a BPE vocabulary, those that some merge makes it from; empty for other kinds."""
    if _kind(tokenizer) != "BPE":
        return {}
    vocabulary = tokenizer["model"]["vocab"]
    parts: dict[int, set[int]] = defaultdict(set)
    for first, second, joined in _merges(tokenizer):
        parts[vocabulary[joined]] |= {vocabulary[first], vocabulary[second]}
    return parts


def always_kept(tokenizer: dict[str, Any]) -> set[int]:
    """Ids of the pieces without which any text could be cut otherwise: see ``close_pieces``."""
    kind, model, names = _kind(tokenizer), tokenizer["model"], piece_ids(tokenizer)
    kept = {token["id"] for token in tokenizer["added_tokens"]} | set(_template_ids(tokenizer.get("post_processor")))
    if tokenizer.get("padding"):
        kept.add(tokenizer["padding"]["pad_id"])
    if kind == "Unigram":
        kept.add(min(range(len(names)), key=lambda number: model["vocab"][number][1]))
        kept |= set() if model.get("unk_id") is None else {model["unk_id"]}
    else:
        kept |= {names[model["unk_token"]]} if model.get("unk_token") in names else set()
    if model.get("byte_fallback"):
        kept |= {number for piece, number in names.items() if _BYTE.fullmatch(piece)}
    if is_byte_level(tokenizer):
        kept |= {names[byte] for byte in pre_tokenizers.ByteLevel.alphabet() if byte in names}
    return kept


def piece_ids(tokenizer: dict[str, Any]) -> dict[str, int]:
    """The pieces of the vocabulary with their ids; added tokens may not be among them."""
    vocabulary = tokenizer["model"]["vocab"]
    if _kind(tokenizer) == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def is_byte_level(tokenizer: dict[str, Any]) -> bool:
    """Whether the pieces are made of bytes, each written as some character, as GPT-2's and RoBERTa's are."""
    return any(_has_byte_level(tokenizer.get(part)) for part in ("normalizer", "pre_tokenizer"))


def open_tokenizer(tokenizer: dict[str, Any]) -> Tokenizer:
    """The tokenizer of such content, which neither truncates nor pads."""
    opened = Tokenizer.from_str(json.dumps(tokenizer))
    opened.no_truncation()
    opened.no_padding()
    return opened


def count_pieces(tokenizer: dict[str, Any], texts: Iterable[tuple[str, float]]) -> npt.NDArray[np.float64]:
    """How often each piece, [ids], occurs in texts, of which each counts as often as the number beside it says."""
    counting = open_tokenizer(tokenizer)
    size = max(counting.get_vocab().values()) + 1
    counts = np.zeros(size)
    for chunk in _chunks(texts):
        read = [normalize("NFC", _SURROGATE.sub("\ufffd", text)) for text, _ in chunk]  # as readers read texts
        encodings = counting.encode_batch_fast(read, add_special_tokens=False)
        ids = np.array([number for encoding in encodings for number in encoding.ids], np.int64)
        weights = np.repeat([weight for _, weight in chunk], [len(encoding.ids) for encoding in encodings])
        counts += np.bincount(ids, weights, size)
    return counts


def _chunks(texts: Iterable[tuple[str, float]]) -> Iterator[list[tuple[str, float]]]:
    chunk: list[tuple[str, float]] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == CHUNK_TEXTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _kind(tokenizer: dict[str, Any]) -> str:
    kind = str(tokenizer["model"]["type"])
    if kind not in KINDS:
        raise ModelError(f"a vocabulary of the kind {kind} cannot be cut; expected {', '.join(KINDS)}")
    return kind


def _merges(tokenizer: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The two parts and the outcome of each merge; older files hold the parts as one text."""
    model = tokenizer["model"]
    prefix = len(model.get("continuing_subword_prefix") or "")
    for merge in model["merges"]:
        first, second = merge.split(" ") if isinstance(merge, str) else merge
        yield first, second, first + second[prefix:]


def _template_ids(processor: Any) -> Iterator[int]:
    """The special tokens that a post-processor adds."""
    processor = processor or {}
    for special in processor.get("special_tokens", {}).values():
        yield from special["ids"]
    yield from (processor[name][1] for name in ("sep", "cls") if name in processor)
    for one in processor.get("processors", ()):
        yield from _template_ids(one)


def _renumber_template(processor: dict[str, Any], number: Mapping[int, int]) -> None:
    for special in processor.get("special_tokens", {}).values():
        special["ids"] = [number[old] for old in special["ids"]]
    for name in {"sep", "cls"} & processor.keys():
        processor[name][1] = number[processor[name][1]]
    for one in processor.get("processors", ()):
        _renumber_template(one, number)


def _has_byte_level(part: Any) -> bool:
    """Whether ByteLevel is a normalizer or pre-tokenizer, or among those of a sequence."""
    if not isinstance(part, dict):
        return False
    parts = (*part.get("pretokenizers", ()), *part.get("normalizers", ()))
    return part.get("type") == "ByteLevel" or any(map(_has_byte_level, parts))
