"""Which pieces of a vocabulary the texts of some languages need."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from unicodedata import category, name

import numpy as np
import numpy.typing as npt
from tokenizers import decoders

from polyspan.datasets import read_squad
from polyspan.datasets.jsonfile import read_bytes as read_unpacked
from polyspan.documents import read_bytes, read_document
from polyspan.errors import InputError
from polyspan.export.progress import Progress, unwatched
from polyspan.export.vocabulary import (
    always_kept,
    close_pieces,
    count_pieces,
    is_byte_level,
    merged_from,
    piece_ids,
    with_parts,
)
from polyspan.export.wordlists import word_forms, word_list

Uses = npt.NDArray[np.float64]
AT_LEAST = 3
# Their characters are as many as those of all other scripts together, and more.
LARGE_SCRIPTS = ("CJK", "HANGUL")
SCRIPT_SHARE = 0.01
SENTENCES, SENTENCE_WORDS = 600, 12
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What is to be read later: a language or a file.

    ``uses`` [ids] is the share of each piece in its text, 0 to 1; ``wanted`` are the ids that it needs. ``sentences``
    are samples.
    """

    name: str
    uses: Uses
    wanted: frozenset[int]
    sentences: Sequence[str]


def language_source(
    tokenizer: dict[str, Any], language: str, words: int, seed: int, progress: Progress = unwatched
) -> Source:
    """The pieces of a language's frequent words in all ``word_forms``, and those of such words with signs in them.

    Its sentences are words drawn by their frequency. Raises InputError and MissingExtraError as ``word_list``.
    """
    shares = word_list(language, words)
    watched = progress(shares.items(), len(shares), f"words of {language}")
    uses = count_pieces(tokenizer, ((" ".join(word_forms(word)), share) for word, share in watched))
    for number, text in piece_texts(tokenizer).items():
        parts = _letters(text)
        if parts and len("".join(parts)) < len(text):  # such as "l'" and "(the"
            uses[number] += min(shares.get(part.casefold(), 0.0) for part in parts)
    return Source(
        language, uses / uses.sum(), frozenset(np.flatnonzero(uses).tolist()), list(_drawn_sentences(shares, seed))
    )


def file_source(tokenizer: dict[str, Any], file: Path) -> Source:
    """The pieces that a corpus uses ``AT_LEAST`` times. Raises what ``read_texts`` raises."""
    texts = read_texts(file)
    counts = count_pieces(tokenizer, ((text, 1.0) for text in texts))
    if not counts.any():
        raise InputError(f"{file}: holds no text; expected sentences of the languages to keep")
    sentences = (sentence for text in texts for sentence in _SENTENCE_END.split(text))
    sample = islice((sentence.strip() for sentence in sentences if sentence.strip()), 100 * SENTENCES)
    return Source(
        file.name, counts / counts.sum(), frozenset(np.flatnonzero(counts >= AT_LEAST).tolist()), list(sample)
    )


def read_texts(file: Path) -> list[str]:
    """The lines of a document, or the contexts and questions of SQuAD JSON (``.json``); both may be ``.gz``.

    Raises:
        DatasetError, DocumentError: if the file cannot be read as such.
    """
    plain = file.name.removesuffix(".gz")
    if plain.endswith(".json"):
        examples = read_squad(file)
        return list(dict.fromkeys(text for one in examples for text in (one.context, one.question)))
    document = read_document(file) if plain == file.name else read_bytes(read_unpacked(file), plain)
    return document.text.splitlines()


def select_pieces(
    tokenizer: dict[str, Any], sources: Sequence[Source], required: Iterable[int], most: int | None
) -> list[int]:
    """Ids of the pieces to keep, in rising order: those that the sources want, and those of ``basic_pieces``.

    Args:
        tokenizer: the content of a tokenizer.json.
        sources: at least one.
        required: further ids to keep.
        most: how many to keep at most, those first that the sources use most, each source alike. None: all.

    Raises:
        InputError: if ``most`` is less than what every text needs.
    """
    uses = np.mean([source.uses for source in sources], axis=0)
    basic = close_pieces(tokenizer, {*required, *basic_pieces(tokenizer, uses)})
    wanted = frozenset().union(*(source.wanted for source in sources))
    if most is None:
        return close_pieces(tokenizer, {*basic, *wanted})
    if len(basic) > most:
        raise InputError(
            f"{most} pieces are too few: special tokens, characters, digits and punctuation alone are {len(basic)}"
        )
    parts, kept = merged_from(tokenizer), set(basic)
    for piece in sorted(wanted, key=lambda number: (-uses[number], number)):
        new = with_parts(piece, parts, kept)
        if len(kept) + len(new) <= most:
            kept |= new
    return sorted(kept)


def basic_pieces(tokenizer: dict[str, Any], uses: Uses) -> set[int]:
    """Ids of the pieces without letters, such as digits and punctuation, and of single characters.

    Of the ``LARGE_SCRIPTS`` only those that make up a hundredth of the text have theirs kept.
    """
    texts = piece_texts(tokenizer)
    scripts: dict[str, float] = defaultdict(float)
    for number, text in texts.items():
        for script in {_script(character) for character in text}:
            scripts[script] += uses[number]
    left_out = {script for script in LARGE_SCRIPTS if scripts[script] < SCRIPT_SHARE}
    return {
        number
        for number, text in texts.items()
        if ("\ufffd" not in text and not _letters(text)) or (len(text) == 1 and _script(text) not in left_out)
    } | always_kept(tokenizer)


def piece_texts(tokenizer: dict[str, Any]) -> Mapping[int, str]:
    """The text of each piece by its id, without the marks of a word's begin, middle or end.

    Half a character of a byte-level piece is shown as U+FFFD.
    """
    model = tokenizer["model"]
    pieces = piece_ids(tokenizer)
    if is_byte_level(tokenizer):
        decode = decoders.ByteLevel().decode
        return {number: _without_space(decode([piece])) for piece, number in pieces.items()}
    prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
    return {
        number: piece.removeprefix("▁").removeprefix(prefix).removesuffix(suffix) for piece, number in pieces.items()
    }


def _without_space(text: str) -> str:
    return text[1:] if len(text) > 1 and text[0] == " " else text


def _letters(text: str) -> list[str]:
    """The runs of letters and marks in a text."""
    spaced = "".join(character if category(character)[0] in "LM" else " " for character in text)
    return spaced.split()


def _script(character: str) -> str:
    """The first word of a letter's name, such as LATIN; "" for anything else."""
    return name(character, "").partition(" ")[0] if category(character)[0] in "LM" else ""


def _drawn_sentences(shares: Mapping[str, float], seed: int) -> Iterator[str]:
    generator = np.random.default_rng(seed)
    words, weights = list(shares), np.array(list(shares.values()))
    for chosen in generator.choice(len(words), (SENTENCES, SENTENCE_WORDS), p=weights / weights.sum()):
        sentence = " ".join(words[number] for number in chosen)
        yield f"{sentence[0].upper()}{sentence[1:]}."
