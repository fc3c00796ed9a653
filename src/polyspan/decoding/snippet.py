"""The text around an answer."""

import re

from polyspan.types import Span

_SENTENCE_END = re.compile(r"[.!?…؟।۔][\"'”’»)\]]*(?=\s)|[。！？][」』”）]*|\n\s*\n")


def snippet_span(text: str, answer: Span, size: int) -> Span:
    """The answer's sentence where it fits into ``size`` characters, else as much of it as does.

    What one side does not need goes to the other. Cuts fall between words where there are any. An answer
    longer than ``size`` stands alone. Only ``size`` characters on either side are looked at.
    """
    room = max(0, size - (answer.end - answer.start))
    low, high = max(0, answer.start - room), min(len(text), answer.end + room)
    begin = max((match.end() for match in _SENTENCE_END.finditer(text, low, answer.start)), default=low)
    sentence = _SENTENCE_END.search(text, max(answer.start, answer.end - 1), high)
    finish = max(answer.end, sentence.end()) if sentence else high
    before, after = answer.start - begin, finish - answer.end
    start = answer.start - min(before, max(room // 2, room - after))
    end = answer.end + min(after, max(room // 2, room - before))
    if (start > begin or begin == low) and _inside_word(text, start):
        start = next((i for i in range(start, answer.start) if text[i].isspace()), start)
    if (end < finish or not sentence) and _inside_word(text, end):
        end = next((i for i in range(end, answer.end, -1) if text[i - 1].isspace()), end)
    return _without_outer_whitespace(text, Span(start, end), answer)


def _inside_word(text: str, cut: int) -> bool:
    return 0 < cut < len(text) and not text[cut - 1].isspace() and not text[cut].isspace()


def _without_outer_whitespace(text: str, span: Span, answer: Span) -> Span:
    start, end = span.start, span.end
    while start < answer.start and text[start].isspace():
        start += 1
    while end > answer.end and text[end - 1].isspace():
        end -= 1
    return Span(start, end)
