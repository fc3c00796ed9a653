import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from polyspan.cards.text import escaped, table, yaml_block

# a renderer drops control characters, and a parser of HTML reads other ends of line
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
MARKDOWN = MarkdownIt("commonmark").enable("table")


def inline_texts(markdown: str) -> list[str]:
    """The plain text of each heading, paragraph and cell; refuses any markup in them."""
    found = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "inline":
            assert {child.type for child in token.children or []} <= {"text", "text_special"}
            found.append("".join(child.content for child in token.children or []))
    return found


def test_text_table_has_a_row_for_each() -> None:
    assert table(["a", "b"], [("1", "x|y"), ("2", "")]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n| 2 |  |"


@given(st.lists(st.tuples(texts, texts), max_size=3))
def test_text_table_shows_texts_as_they_are(rows: list[tuple[str, str]]) -> None:
    shown = inline_texts(table(["first", "second"], rows))
    assert shown == ["first", "second", *(" ".join(cell.split()) for row in rows for cell in row)]


@given(texts)
def test_text_escaped_heading_shows_the_text(text: str) -> None:
    (shown,) = inline_texts(f"# x{escaped(text)}x")
    assert shown == " ".join(f"x{' '.join(text.split())}x".split())


def test_text_yaml_block_is_laid_out_in_blocks() -> None:
    content = {"language": ["no", "en"], "index": [{"name": 'a: "b"', "values": [{"value": 2 / 3}, {"value": 7}]}]}
    assert yaml_block(content) == (
        'language:\n  - "no"\n  - "en"\nindex:\n  - name: "a: \\"b\\""\n'
        "    values:\n      - value: 0.6667\n      - value: 7"
    )


@given(st.text())
def test_text_yaml_block_of_any_text_is_one_printable_line(text: str) -> None:
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", yaml_block({"text": text}))
