"""Markdown to tidy plain text, by way of HTML, so that quotes hold no markup."""

import re

from polyspan.documents.html import html_to_text
from polyspan.documents.plain import decode

# Only a block that begins like YAML is front matter: a text may also begin with a rule.
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n[\w\"' .-]+:.*?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def read_markdown(data: bytes, name: str) -> str:
    """Return the text of CommonMark with tables; front matter is left out."""
    from markdown_it import MarkdownIt

    text = decode(data, name)
    front_matter = _FRONT_MATTER.match(text)
    if front_matter is not None:
        text = text[front_matter.end() :]
    return html_to_text(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))
