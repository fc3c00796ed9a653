"""The characters of a page to text: lines, columns, and words that are split at a line's end.

pdfium gives characters in the order in which the file draws them, marks line breaks and hyphens at line ends, and puts
a space between texts that stand side by side. Where a file draws two columns row by row, that mixes them; so columns
are looked for, and read one after the other. Lines that are written downwards it may give in the reverse order.
Everything else stays as it is.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

import numpy as np

from polyspan.types import FloatArray

SPLIT_MARK = 0x2
"""The code of a hyphen at a line's end that pdfium takes for the split of a word."""

_SPACES = " \xa0"
_SPLIT, _SOFT_HYPHEN = chr(SPLIT_MARK), "\xad"
_HYPHENS = ("-", "\u2010", _SPLIT, _SOFT_HYPHEN)
_UNITS = re.compile("[\ud800-\udbff][\udc00-\udfff]|.", re.DOTALL)

# In heights of a line, which are about 1.2 of the font's size. The narrowest gutters in print are a little wider than
# the widest spaces in justified lines.
_GUTTER = 0.7
_BLANK = 0.7
_SHIFT = 0.3
# What tells columns of text from those of tables: they are wider, most of their lines are full, some begin within a
# sentence, there are several of them, and most are drawn after one of the other column.
_MIN_WIDTH = 9
_MIN_FILLED = 0.7
_MIN_CONTINUED = 0.25
_MIN_LINES = 4
_MIN_MIXED = 0.6
# No page that is to be read has more lines; a search among more would take long.
_MAX_LINES = 1000
_MAX_GUTTERS = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The text of a page. ``sources`` and ``lines`` have one entry for each of its characters.

    ``sources`` holds the page's character that it is, or -1 for a line break; ``lines`` the line it stands in.
    """

    text: str
    sources: Sequence[int]
    lines: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Page:
    codes: Sequence[int]
    boxes: FloatArray
    height: float  # of a usual line


@dataclass(frozen=True, slots=True)
class _Line:
    """Characters side by side, as they are read.

    ``runs`` are the intervals of x that they cover, from left to right, with gaps that are wide enough for a gutter.
    ``end`` is what follows the line: a line break, or nothing where pdfium saw none.
    """

    characters: Sequence[int]
    runs: Sequence[tuple[float, float]]
    top: float
    bottom: float
    end: str


def lay_out(codes: Sequence[int], boxes: FloatArray) -> Layout:
    """Return the text of a page from its characters in pdfium's order.

    Args:
        codes: UTF-16 code units [characters], ``SPLIT_MARK`` where a hyphen splits a word, 0 for what is left out.
        boxes: left, top, right and bottom of each character on the page as it is shown, y downwards [characters, 4];
            without width for what pdfium added.
    """
    drawn = boxes[boxes[:, 2] > boxes[:, 0]]
    page = _Page(codes, boxes, float(np.median(drawn[:, 3] - drawn[:, 1])) if len(drawn) else 0.0)
    lines = _order_downward(page, [_line(page, characters, end) for characters, end in _split(page)])
    if not lines:
        return Layout("", (), ())
    return _write(page, [line for band in _bands(lines, page.height) for line in _read(page, band)])


def _split(page: _Page) -> Iterator[tuple[list[int], str]]:
    """The characters of each line, and what follows it.

    A line ends at a line break, at a word that is split, and before a character that is neither beside the last one nor
    at its height: pdfium takes columns whose lines stand at different heights for one line.
    """
    left, top, right, bottom = page.boxes.T.tolist()
    shift, gap = 2 * _SHIFT * page.height, _GUTTER * page.height
    line: list[int] = []
    last = -1  # the last character of the line that pdfium did not add
    for index, code in enumerate(page.codes):
        is_drawn = right[index] > left[index]
        if code == 0x0A and line:
            yield line, "\n"
            line, last = [], -1
        if code in (0, 0x0A, 0x0D) or not (line or is_drawn):
            continue
        if is_drawn:
            if (
                last >= 0
                and abs(top[index] + bottom[index] - top[last] - bottom[last]) > shift
                and max(left[index] - right[last], left[last] - right[index]) > gap
            ):
                yield line, ""
                line = []
            last = index
        line.append(index)
        if code == SPLIT_MARK:
            yield line, "\n"
            line, last = [], -1
    if line:
        yield line, "\n"


def _line(page: _Page, characters: Sequence[int], end: str) -> _Line:
    box = page.boxes[characters]
    top, bottom = float(box[:, 1].min()), float(box[:, 3].max())
    box = box[np.argsort(box[:, 0], kind="stable")]
    reached = np.maximum.accumulate(box[:, 2])
    cuts = np.flatnonzero(box[1:, 0] - reached[:-1] > _GUTTER * page.height)
    starts, ends = box[[0, *(cuts + 1)], 0], reached[[*cuts, -1]]
    return _Line(characters, tuple(zip(starts.tolist(), ends.tolist(), strict=True)), top, bottom, end)


def _order_downward(page: _Page, lines: Sequence[_Line]) -> list[_Line]:
    """Lines that are written downwards, from right to left: pdfium sorts all that begin at one height from the left."""
    ordered: list[_Line] = []
    first = 0  # of the lines that belong together; the last one that came is put there
    for line in lines:
        before = ordered[first] if ordered else line
        is_beside = line.runs[0][0] > before.runs[0][0] and line.top < before.bottom and before.top < line.bottom
        if not (is_beside and _goes_down(page, line) and _goes_down(page, before)):
            first = len(ordered)
        ordered.insert(first, line)
    return ordered


def _goes_down(page: _Page, line: _Line) -> bool:
    boxes = page.boxes[line.characters]
    boxes = boxes[boxes[:, 2] > boxes[:, 0]]
    across, down = (boxes[-1] - boxes[0])[:2].tolist()
    return bool(down > 2 * abs(across))


def _bands(lines: Sequence[_Line], height: float) -> Iterator[list[_Line]]:
    """Groups of lines that follow each other closely: heads, feet and jumps up the page end them."""
    blanks = [below.top - above.bottom for above, below in pairwise(lines)]
    usual = median([blank for blank in blanks if 0 < blank < 2 * height] or [0.0])
    band: list[_Line] = []
    for line in lines:
        if band and max(line.top - band[-1].bottom, band[-1].top - line.bottom) > usual + _BLANK * height:
            yield band
            band = []
        band.append(line)
    if band:
        yield band


def _read(page: _Page, lines: Sequence[_Line]) -> list[_Line]:
    """The lines in the order in which they are read: column by column where columns were mixed."""
    found = _find_columns(page, lines) if len(lines) <= _MAX_LINES else None
    if found is None:
        return list(lines)
    first, last, gutter = found
    inside = lines[first:last]
    columns = [_column(page, inside, gutter, is_right) for is_right in (False, True)]
    if _reads_from_right(page, inside, gutter):
        columns.reverse()
    before = [*lines[: first - 1], replace(lines[first - 1], end="\n")] if first else []
    return [line for part in (before, *columns, lines[last:]) for line in _read(page, part)]


def _find_columns(page: _Page, lines: Sequence[_Line]) -> tuple[int, int, float] | None:
    """The first and last (exclusive) line of two columns of text that are mixed, and an x between them."""
    best, found = _MIN_LINES - 1, None
    for gutter in _gutters(page, lines):
        begin = 0
        for is_crossed, group in groupby(lines, key=lambda line: _is_crossed(line, gutter)):
            block = list(group)
            if not is_crossed and _are_mixed(block, gutter):
                columns = [_column(page, block, gutter, is_right) for is_right in (False, True)]
                size = min(map(len, columns))
                if size > best and _are_text(page, columns):
                    best, found = size, (begin, begin + len(block), gutter)
            begin += len(block)
    return found


def _gutters(page: _Page, lines: Sequence[_Line]) -> list[float]:
    """Where gutters may be, the most probable first: just beside what several lines align with."""
    gaps = [(left[1], right[0]) for line in lines for left, right in pairwise(line.runs)]
    for above, below in pairwise(lines):
        if above.bottom > below.top:
            gaps += [(above.runs[-1][1], below.runs[0][0]), (below.runs[-1][1], above.runs[0][0])]
    margin = _GUTTER * page.height / 2
    sides = [side for left, right in gaps if right - left > 2 * margin for side in (left + margin, right - margin)]
    return [float(x) for x, _ in Counter(map(round, sides)).most_common(_MAX_GUTTERS)]


def _is_crossed(line: _Line, gutter: float) -> bool:
    return any(left < gutter < right for left, right in line.runs)


def _column(page: _Page, lines: Sequence[_Line], gutter: float, is_right: bool) -> list[_Line]:
    """What stands of the lines on one side of the gutter."""
    parts = []
    for line in lines:
        runs = tuple(run for run in line.runs if (run[0] > gutter) == is_right)
        if runs:
            is_here = (page.boxes[line.characters, 0] > gutter) == is_right
            here = [character for character, here in zip(line.characters, is_here, strict=True) if here]
            parts.append(replace(line, characters=_stripped(page, here), runs=runs, end="\n"))
    return parts


def _stripped(page: _Page, characters: Sequence[int]) -> Sequence[int]:
    inked = [place for place, index in enumerate(characters) if chr(page.codes[index]) not in _SPACES]
    return characters[inked[0] : inked[-1] + 1] if inked else characters


def _are_mixed(lines: Sequence[_Line], gutter: float) -> bool:
    sides = [side for side, _ in groupby(run[0] > gutter for line in lines for run in line.runs)]
    return len(sides) >= _MIN_MIXED * len(lines) and len(sides) >= 2 * _MIN_LINES


def _are_text(page: _Page, columns: Sequence[Sequence[_Line]]) -> bool:
    """Whether lines are wide, mostly full, and go on from one to the next, unlike cells."""
    for column in columns:
        widths = [line.runs[-1][1] - line.runs[0][0] for line in column]
        width = max(line.runs[-1][1] for line in column) - min(line.runs[0][0] for line in column)
        if median(widths) < max(_MIN_FILLED * width, _MIN_WIDTH * page.height):
            return False
    firsts = [chr(page.codes[line.characters[0]]) for column in columns for line in column]
    return sum(first.isalpha() and not first.isupper() for first in firsts) >= _MIN_CONTINUED * len(firsts)


def _reads_from_right(page: _Page, lines: Sequence[_Line], gutter: float) -> bool:
    """Whether what pdfium puts first of most lines on both sides, by the direction of their script, is on the right."""
    firsts = [page.boxes[line.characters[0], 0] > gutter for line in lines if len(line.runs) > 1]
    return bool(2 * sum(firsts) > len(firsts))


def _write(page: _Page, lines: Sequence[_Line]) -> Layout:
    written = [_decode(page, line.characters) for line in lines]
    followers = [text for text, _ in written[1:]] + [""]
    ends = [line.end for line in lines[:-1]] + [""]
    texts: list[str] = []
    sources: list[int] = []
    numbers: list[int] = []
    for number, ((text, indices), end, follower) in enumerate(zip(written, ends, followers, strict=True)):
        finished, finished_indices = _finish(text, indices, end, follower)
        texts.append(finished)
        sources += finished_indices
        numbers += [number] * len(finished)
    return Layout("".join(texts), sources, numbers)


def _finish(text: str, indices: list[int], end: str, follower: str) -> tuple[str, list[int]]:
    """A line with what is to stand between it and the next, and where its characters come from."""
    hyphen = _hyphen_of_split_word(text, follower) if end else None
    if hyphen is None:
        text, indices = text + end, indices + [-1] * len(end)
    else:
        place = len(text.rstrip(_SPACES)) - 1
        text, indices = text[:place] + hyphen, indices[: place + len(hyphen)]
    if _SOFT_HYPHEN in text:
        indices = [index for character, index in zip(text, indices, strict=True) if character != _SOFT_HYPHEN]
        text = text.replace(_SOFT_HYPHEN, "")
    return text.replace(_SPLIT, "-"), indices


def _decode(page: _Page, characters: Sequence[int]) -> tuple[str, list[int]]:
    """The text of UTF-16 code units, and where each of its characters comes from; broken ones are replaced."""
    units = "".join(chr(page.codes[index]) for index in characters)
    if units.isascii() or not any("\ud800" <= unit < "\ue000" for unit in units):
        return units, list(characters)
    found = list(_UNITS.finditer(units))
    text = "".join(one[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for one in found)
    return text, [characters[one.start()] for one in found]


def _hyphen_of_split_word(line: str, follower: str) -> str | None:
    """What is left of the hyphen where a word goes on in the next line; None where no word does.

    Most hyphens at line ends were not in the word. But those before a digit (COVID-19) or, unless all is in capitals, a
    capital (Rolls-Royce) were.
    """
    line = line.rstrip(_SPACES)
    if line[-1:] not in _HYPHENS or not follower[:1].isalnum():
        return None
    if line[-1] != _SPLIT and not line[-2:-1].isalpha():
        return None
    is_in_capitals = all(letter.isupper() for letter in (*line[-3:-1], *follower[:2]))
    is_in_word = follower[0].isdigit() or (follower[0].isupper() and not is_in_capitals)
    return "-" if is_in_word and line[-1] != _SOFT_HYPHEN else ""
