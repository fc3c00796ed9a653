"""Plain text: encodings, exactness, binary data."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.documents import read_bytes
from polyspan.errors import DocumentError

RUSSIAN = "Кёльн стоит на Рейне. В городе живёт больше миллиона человек, и он знаменит своим собором."
JAPANESE = "東京は日本の首都です。人口はおよそ千四百万人で、世界でも最大の都市のひとつです。"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (codecs.BOM_UTF8 + "Köln".encode(), "Köln"),
        ("Köln 🏰".encode("utf-16"), "Köln 🏰"),
        (codecs.BOM_UTF16_BE + "Köln".encode("utf-16-be"), "Köln"),
        ("Köln".encode("utf-32"), "Köln"),
        (RUSSIAN.encode("cp1251"), RUSSIAN),
        (JAPANESE.encode("shift_jis"), JAPANESE),
    ],
    ids=["utf-8 mark", "utf-16", "utf-16-be", "utf-32", "cp1251", "shift_jis"],
)
def test_plain_decodes_common_encodings(data: bytes, text: str) -> None:
    assert read_bytes(data, "a.txt").text == text


def test_plain_keeps_line_ends_spaces_and_marks_inside() -> None:
    text = "one\r\ntwo\rthree\n\n  four\t\u00a0five\u2028 e\u0301 \ufeff end \n"
    assert read_bytes(text.encode(), "a.txt").text == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"), min_size=1))
def test_plain_returns_any_text_exactly(text: str) -> None:
    text = "x" + text
    assert read_bytes(text.encode(), "a.txt").text == text


@pytest.mark.parametrize(
    "data",
    [b"text with a NUL\0 in it", bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n" + b"\x01\x02\x03" * 50, b"a\x01\x02\x03"],
)
def test_plain_refuses_binary_data(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^a\.txt: (binary data|not text)"):
        read_bytes(data, "a.txt")


def test_plain_allows_terminal_colours_and_a_rare_control_character() -> None:
    text = "\x1b[1mbold\x1b[0m and \x1b[31mred\x1b[0m\n" * 3 + "x" * 30 + "\x01"
    assert read_bytes(text.encode(), "run.log").text == text


@pytest.mark.parametrize("data", [b"", b" \r\n\t ", codecs.BOM_UTF8])
def test_plain_refuses_a_file_without_text(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"empty|holds no text"):
        read_bytes(data, "a.txt")
