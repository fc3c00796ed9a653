"""Documents to passages that end where sentences and paragraphs end."""

import re

from polyspan.types import Document, Passage, Span

PASSAGE_BYTES = 1_200
_PARAGRAPH_END = re.compile(r"\n\s*\n\s*")
_SENTENCE_END = re.compile(r"(?:[.!?…؟।۔][\"'”’»)\]]*(?=\s)|[。！？][」』”）]*|\n)\s*")
_WORD_END = re.compile(r"\s+")


def cut_passages(document: Document, size: int = PASSAGE_BYTES) -> list[Passage]:
    """The whole document as passages, in order, without overlap.

    Args:
        document: any text.
        size: bytes of UTF-8 that a passage holds at most. A subword token takes 3 to 12 bytes in every script,
            so 1,200 bytes are at most some 400 tokens. A passage that is half full ends with its paragraph, any
            other with its last whole sentence, else between words, else wherever it must.
    """
    text, passages, begin = document.text, [], 0
    while begin < len(text):
        end = _passage_end(text, begin, size)
        passages.append(Passage(document, Span(begin, end)))
        begin = end
    return [passage for passage in passages if passage.text.strip()]


def _passage_end(text: str, begin: int, size: int) -> int:
    half, limit = begin + _fitting(text, begin, size // 2), begin + _fitting(text, begin, size)
    for paragraph in _PARAGRAPH_END.finditer(text, begin, limit):
        if paragraph.end() > half:
            return paragraph.end()
    if limit == len(text):
        return limit
    for pattern in (_SENTENCE_END, _WORD_END):
        if ends := [match.end() for match in pattern.finditer(text, begin, limit)]:
            return ends[-1]
    return limit


def _fitting(text: str, begin: int, size: int) -> int:
    """How many characters from ``begin`` on fit into ``size`` bytes of UTF-8, at least one."""
    encoded = text[begin : begin + size].encode("utf-8", "replace")
    return max(1, len(encoded[:size].decode("utf-8", "ignore")))
