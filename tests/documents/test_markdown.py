"""Markdown: no markup in the text, tables, front matter."""

from polyspan.documents import read_bytes


def _text(markdown: str) -> str:
    return read_bytes(markdown.encode(), "a.md").text


def test_markdown_holds_no_markup() -> None:
    markdown = "# The *river*\n\nThe **Rhine** is [long](http://x.y),\nsays ~~he~~ she.\n\n- one\n- two\n\n> Quoted.\n"
    assert _text(markdown) == ("The river\n\nThe Rhine is long, says he she.\n\n• one\n• two\n\nQuoted.")


def test_markdown_puts_table_rows_on_lines_and_tabs_between_cells() -> None:
    assert _text("| City | River |\n|---|---|\n| Köln | **Rhein** |\n") == "City\tRiver\nKöln\tRhein"


def test_markdown_keeps_code_and_entities() -> None:
    assert _text("Write `&lt;` or `<b>`.\n\n```python\nif x:\n    y = 1\n```\n") == (
        "Write &lt; or <b>.\n\nif x:\n    y = 1"
    )


def test_markdown_leaves_front_matter_out() -> None:
    assert _text("---\ntitle: A: b\r\ntags:\n  - x\n---\n# Head\n\nBody") == "Head\n\nBody"


def test_markdown_keeps_a_text_between_rules() -> None:
    assert _text("---\n\nFirst.\n\n---\n\nSecond.\n") == "First.\n\nSecond."


def test_markdown_leaves_html_tags_and_images_out() -> None:
    assert _text("A <b>bold</b> word.\n\n<script>bad()</script>\n\n![alt](x.png) End.") == "A bold word.\n\nEnd."
