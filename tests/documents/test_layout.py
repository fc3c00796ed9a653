"""Layout: what holds for any characters, wherever they stand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polyspan.documents.layout import SPLIT_MARK, lay_out

CODES = st.sampled_from([*map(ord, "aZ1 -\n\r\xad\xa0é\u05d0\u2010"), 0, SPLIT_MARK, 0xD83D, 0xDE00])
SIDES = st.sampled_from([0.0, 3.0, 10.0, 11.0, 40.0, 300.0])
SIZES = st.sampled_from([0.0, 0.0, 5.0, 12.0, 200.0])


@given(st.lists(st.tuples(CODES, SIDES, SIDES, SIZES, SIZES), max_size=60))
def test_layout_of_any_characters_says_where_each_comes_from(
    drawn: list[tuple[int, float, float, float, float]],
) -> None:
    codes = [code for code, *_ in drawn]
    boxes = np.asarray([(x, y, x + width, y + height) for _, x, y, width, height in drawn], np.float32).reshape(-1, 4)
    layout = lay_out(codes, boxes)
    assert len(layout.text) == len(layout.sources) == len(layout.lines)
    assert list(layout.lines) == sorted(layout.lines)
    taken = [source for source in layout.sources if source >= 0]
    assert len(taken) == len(set(taken))
    for character, source in zip(layout.text, layout.sources, strict=True):
        if source < 0:
            assert character == "\n"
        elif codes[source] in (SPLIT_MARK, 0x2D, 0x2010):
            assert character in "-\u2010"
        else:
            assert ord(character) in (codes[source], 0xFFFD, 0x1F600)
    assert layout.text.encode().decode() == layout.text
    kept = {source for source in taken if chr(codes[source]).isalnum()}
    dropped = {index for index, code in enumerate(codes) if chr(code).isalnum()} - kept
    assert all(boxes[index, 2] <= boxes[index, 0] for index in dropped)


def test_layout_of_more_lines_than_pages_have_loses_nothing() -> None:
    rows, columns = 1100, 3
    codes = [code for _ in range(rows) for _ in range(columns) for code in b"word "] + [0x0A]
    boxes = np.zeros((len(codes), 4), np.float32)
    places = np.arange(rows * columns * 5)
    boxes[:-1, 0] = places % (columns * 5) * 10 + places // 5 % columns * 30
    boxes[:-1, 1] = places // (columns * 5) * 9
    boxes[:-1, 2:] = boxes[:-1, :2] + 9
    text = lay_out(codes, boxes).text
    assert text.count("word") == rows * columns
