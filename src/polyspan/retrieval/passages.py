"""Documents to passages that end where sentences and paragraphs end."""

import re

from polyspan.types import Document, Passage, Span

PASSAGE_BYTES = 1_200
_PARAGRAPH_END = re.compile(r"\n\s*\n\s*")
_SENTENCE_END = re.compile(r"(?:[.!?…؟।۔][\"'”’»)\]]*(?=\s)|[。！？][」』”）]*|\n)\s*")
_WORD_END = re.compile(r"\s+")


def cut_passages(document: Document, size: int = PASSAGE_BYTES, overlap: int = 0) -> list[Passage]:
    """The whole document as passages, in order; what holds only spaces is left out.

    Args:
        document: any text.
        size: bytes of UTF-8 that a passage holds at most. A subword token takes 3 to 12 bytes in every script,
            so 1,200 bytes are at most some 400 tokens. A passage that is half full ends with its paragraph, any
            other with its last whole sentence, else between words, else wherever it must.
        overlap: bytes, less than half of ``size``: a passage begins with as many whole sentences of the one before
            as fit into them.
    """
    text, passages, begin, fresh = document.text, [], 0, 0
    while fresh < len(text):
        end = _passage_end(text, begin, fresh, size)
        if text[fresh:end].strip():
            passages.append(Passage(document, Span(begin, end)))
        begin, fresh = _overlap_start(text, fresh, end, overlap), end
    return passages


def _passage_end(text: str, begin: int, fresh: int, size: int) -> int:
    """Where the passage from ``begin`` on ends, which holds something behind ``fresh``."""
    half, limit = begin + _fitting(text, begin, size // 2), max(begin + _fitting(text, begin, size), fresh + 1)
    for paragraph in _PARAGRAPH_END.finditer(text, fresh, limit):
        if paragraph.end() > half:
            return paragraph.end()
    if limit == len(text):
        return limit
    for pattern in (_SENTENCE_END, _WORD_END):
        if ends := [match.end() for match in pattern.finditer(text, fresh, limit)]:
            return ends[-1]
    return limit


def _overlap_start(text: str, begin: int, end: int, overlap: int) -> int:
    """Where the sentences begin that a passage over ``begin`` to ``end`` shares with the next one."""
    low = max(begin, end - overlap)
    while len(text[low:end].encode("utf-8", "replace")) > overlap:
        low += 1
    sentences = (match.end() for match in _SENTENCE_END.finditer(text, low, end))
    return next(sentences, end) if overlap else end


def _fitting(text: str, begin: int, size: int) -> int:
    """How many characters from ``begin`` on fit into ``size`` bytes of UTF-8, at least one."""
    encoded = text[begin : begin + size].encode("utf-8", "replace")
    return max(1, len(encoded[:size].decode("utf-8", "ignore")))
