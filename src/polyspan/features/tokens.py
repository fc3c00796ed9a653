"""Texts to token ids with character offsets, without special tokens."""

import re
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from polyspan.errors import ModelError
from polyspan.types import Int32Array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenizers import Encoding, Tokenizer

CHUNK_CHARS = 8_000
PARALLEL = 64
# A lone space splits words in every tokenizer, however it treats runs of spaces and line ends. Where a text has
# none, behind punctuation or a combining mark is better than inside a word.
_SEAMS = tuple(re.compile(pattern) for pattern in (r"(?<=\S) (?=\S)", r"\s(?=\S)", r"(?<=[^\w\s])(?=\w)"))
_BLOCK_SEAM = re.compile(r"\t|\n\s*\n")
_COMPOSED = "각ệが"
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHITESPACE = np.array([chr(code).isspace() for code in range(0x3002)])  # by code point; none is whitespace behind


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """A text's tokens: ``ids`` [tokens] and ``offsets`` [tokens, 2] in characters, without outer whitespace.

    A token of nothing but whitespace has an empty offset. ``blocks`` [tokens] numbers the parts of the text that no
    answer runs across (None: it is one part).
    """

    ids: Int32Array
    offsets: Int32Array
    blocks: Int32Array | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The special tokens around a question and its context, and the type ids of both halves."""

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    prefix_types: tuple[int, ...]
    middle_types: tuple[int, ...]
    suffix_types: tuple[int, ...]
    question_type: int
    context_type: int

    @property
    def size(self) -> int:
        """How many special tokens a window holds."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)

    @classmethod
    def from_encoding(cls, pair: "Encoding") -> "PairTemplate":
        """Read off the template from any encoded pair of non-empty texts.

        Raises:
            ModelError: if the tokenizer puts no special token before the question, so that no position is
                left for "no answer".
        """
        sequences = pair.sequence_ids
        question = [i for i, sequence in enumerate(sequences) if sequence == 0]
        context = [i for i, sequence in enumerate(sequences) if sequence == 1]
        if not question or not context or question[0] == 0:
            raise ModelError(
                "the tokenizer puts no special token before a pair of texts, but extractive readers answer "
                "'no answer' there; give a model folder whose tokenizer.json has a post-processor"
            )
        parts = slice(question[0]), slice(question[-1] + 1, context[0]), slice(context[-1] + 1, None)
        prefix, middle, suffix = (tuple(pair.ids[part]) for part in parts)
        prefix_types, middle_types, suffix_types = (tuple(pair.type_ids[part]) for part in parts)
        return cls(
            prefix=prefix,
            middle=middle,
            suffix=suffix,
            prefix_types=prefix_types,
            middle_types=middle_types,
            suffix_types=suffix_types,
            question_type=pair.type_ids[question[0]],
            context_type=pair.type_ids[context[0]],
        )


@dataclass(frozen=True, slots=True, eq=False)
class TextTokens:
    """A text between its special tokens: ``input_ids`` and ``type_ids``, int32 [tokens]."""

    input_ids: Int32Array
    type_ids: Int32Array


class PlainTokenizer(ABC):
    """A tokenizer that adds no special tokens; safe to use from several threads.

    Truncation and padding that came with the file are switched off, special tokens written in a text are
    read as plain text, offsets keep the first letter of each word whatever the post-processor did, and decomposed
    text is read as composed text is; the offset of a letter may then leave its marks out.
    """

    def __init__(self, tokenizer: "Tokenizer", pad_id: int = 0) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._read_template(tokenizer)
        tokenizer.post_processor = None
        _read_special_tokens_as_text(tokenizer)
        _read_decomposed_as_composed(tokenizer)
        self.pad_id = pad_id
        self._tokenizer = tokenizer

    @classmethod
    def from_json(cls, content: bytes, where: str, pad_id: int = 0) -> Self:
        """From the content of a ``tokenizer.json``; ModelError, which says ``where``, if it is broken."""
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{where}: not a readable tokenizer.json: {error}") from error
        return cls(tokenizer, pad_id)

    def encode(self, text: str) -> Tokens:
        """The tokens of a text of any length, cut into chunks at whitespace, of which many are encoded in parallel.

        Not all at once: what tokenizers says of a token takes many times the room of its number and offsets.
        """
        text = without_surrogates(text)
        cuts = list(_chunk_cuts(text))
        parts = [self._encode(text, cuts[i : i + PARALLEL + 1]) for i in range(0, len(cuts) - 1, PARALLEL)]
        return Tokens(np.concatenate([part.ids for part in parts]), np.concatenate([part.offsets for part in parts]))

    def _encode(self, text: str, cuts: "Sequence[int]") -> Tokens:
        """The tokens of the chunks between neighbouring cuts."""
        chunks = [text[start:end] for start, end in pairwise(cuts)]
        encodings = self._tokenizer.encode_batch(chunks, add_special_tokens=False)
        empty = np.zeros((0, 2), np.int32)
        ids, offsets = [empty[:, 0]], [empty]
        for start, encoding in zip(cuts, encodings, strict=False):
            ids.append(np.array(encoding.ids, np.int32))
            offsets.append(np.array(encoding.offsets, np.int32).reshape(-1, 2) + np.int32(start - cuts[0]))
        trimmed = _trimmed(text[cuts[0] : cuts[-1]], np.concatenate(offsets))
        return Tokens(np.concatenate(ids), trimmed + np.int32(cuts[0]))

    @abstractmethod
    def _read_template(self, tokenizer: "Tokenizer") -> None:
        """Keep what is needed of the special tokens, before the tokenizer forgets them."""


class PairTokenizer(PlainTokenizer):
    """A tokenizer stripped to what windows need, with the special tokens of a pair as its ``template``."""

    template: PairTemplate

    def _read_template(self, tokenizer: "Tokenizer") -> None:
        self.template = PairTemplate.from_encoding(tokenizer.encode("a", "a"))


class TextTokenizer(PlainTokenizer):
    """A tokenizer stripped to what encoders of single texts need."""

    def _read_template(self, tokenizer: "Tokenizer") -> None:
        alone = tokenizer.encode("a")
        places = [place for place, sequence in enumerate(alone.sequence_ids) if sequence == 0]
        if not places:
            raise ModelError("the tokenizer gives no token for the letter a; give a model folder with a working one")
        ids, types = np.array(alone.ids, np.int32), np.array(alone.type_ids, np.int32)
        first, last = places[0], places[-1] + 1
        self._head, self._tail = TextTokens(ids[:first], types[:first]), TextTokens(ids[last:], types[last:])
        self._type = types[first]

    def tokens(self, text: str, max_seq_len: int) -> TextTokens:
        """A text's first tokens between its special tokens, at most ``max_seq_len`` of both together."""
        head, tail = self._head, self._tail
        ids = self.encode(text).ids[: max(0, max_seq_len - len(head.input_ids) - len(tail.input_ids))]
        types = np.full(len(ids), self._type, np.int32)
        return TextTokens(
            np.concatenate([head.input_ids, ids, tail.input_ids]), np.concatenate([head.type_ids, types, tail.type_ids])
        )


def with_blocks(tokens: Tokens, text: str) -> Tokens:
    """The tokens of a text with its parts: what blank lines and tabs part, such as paragraphs and cells of a table."""
    seams = [match.start() for match in _BLOCK_SEAM.finditer(text)]
    blocks = np.searchsorted(seams, tokens.offsets[:, 0]).astype(np.int32) if seams else None
    return replace(tokens, blocks=blocks)


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which cannot be UTF-8."""
    return _SURROGATE.sub("\ufffd", text)


def _read_special_tokens_as_text(tokenizer: "Tokenizer") -> None:
    """Makes "</s>" in a text some plain tokens.

    Unigram models hold their special tokens as pieces of text too, so those are split behind the first character.
    """
    from tokenizers import Regex, models, pre_tokenizers

    tokenizer.encode_special_tokens = True
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    if isinstance(tokenizer.model, models.Unigram) and special:
        heads = "|".join(f"{re.escape(text[0])}(?={re.escape(text[1:])})" for text in special)
        split = pre_tokenizers.Split(Regex(heads), "isolated")
        before = tokenizer.pre_tokenizer
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split] if before is None else [before, split])


def _read_decomposed_as_composed(tokenizer: "Tokenizer") -> None:
    """Composes text (NFC) where the tokenizer's own normaliser leaves some decomposed.

    SentencePiece's, as tokenizers runs it, composes no letter of more than five bytes, so no Korean syllable.
    """
    from tokenizers import normalizers

    own = tokenizer.normalizer
    forms = (unicodedata.normalize(form, _COMPOSED) for form in ("NFC", "NFD"))
    if own is None:
        tokenizer.normalizer = normalizers.NFC()
    elif len(set(map(own.normalize_str, forms))) > 1:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), own])


def _chunk_cuts(text: str) -> "Iterator[int]":
    """Where chunks begin, and the text's end: past CHUNK_CHARS characters before a space, or at the next best place."""
    start, slack = 0, CHUNK_CHARS // 4
    yield start
    while len(text) - start > CHUNK_CHARS + slack:
        limit = start + CHUNK_CHARS
        found = (seam.search(text, limit, limit + slack) for seam in _SEAMS)
        start = next((match.start() for match in found if match), limit)
        yield start
    yield len(text)


def _trimmed(text: str, offsets: Int32Array) -> Int32Array:
    """Offsets without the whitespace that tokenizers count to a word."""
    characters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    places = np.arange(len(text), dtype=np.int32)
    blank = _WHITESPACE[np.minimum(characters, _WHITESPACE.size - 1)]
    following = np.append(np.where(blank, len(text), places), len(text))
    preceding = np.append(0, np.where(blank, 0, places + 1))
    start = np.minimum(np.minimum.accumulate(following[::-1])[::-1][offsets[:, 0]], offsets[:, 1])
    end = np.maximum(np.maximum.accumulate(preceding)[offsets[:, 1]], start)
    return np.stack([start, end], axis=1).astype(np.int32)
