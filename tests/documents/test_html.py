"""HTML: what stays, what goes, tidiness, encodings."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polyspan.documents import read_bytes
from polyspan.documents.html import html_to_text
from polyspan.errors import DocumentError

PAGE = """<!DOCTYPE html><html><head><title>T</title><style>p{}</style><script>bad()</script></head><body>
<h1>The   Rhine</h1><p>It is <b>long</b>, <i>wide</i>ly
known.<br>It flows.</p><img src="a.png" alt="noise"><ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul>
<ol><li>first</li></ol><!-- comment --><p></p><p>&nbsp;</p><br><br><br>
<table><tr><th></th><th>km</th><th></th></tr><tr><td> Rhine </td><td>1230</td><td>long</td></tr></table>
<pre>def f():
    return  1

x\t\ty</pre><script>bad()</script></body></html>"""


def test_html_is_tidy_text() -> None:
    assert html_to_text(PAGE) == (
        "The Rhine\n\nIt is long, widely known.\nIt flows.\n\n• one\n• inner\n• two\n1. first\n\n"
        "\t\tkm\nRhine\t1230\tlong\ndef f():\n    return  1\n\nx\ty"
    )


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<figure><img src=x><figcaption>The cathedral</figcaption></figure>", "The cathedral"),
        ("<details><summary>Why?</summary>Because.</details>", "Why?\nBecause."),
        ("<h2><button class=x>Why?</button></h2><p>So.</p>", "Why?\n\nSo."),
        ("<form><label>Name</label> <input value=x></form>", "Name"),
        ("<p>漢<ruby>字<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>です</p>", "漢字です"),
        ("<p>Write &amp;lt; for &lt; &eacute;&#x1F600;</p>", "Write &lt; for < é😀"),
        ("<table><tr><td>a</td><td></td><td>c</td></tr></table>", "a\t\tc"),
        ("<pre>a\n  1) b\n\tc</pre>", "a\n  1) b\n\tc"),
        ("<p>one<b> two</b> <i>three</i>four", "one two threefour"),
    ],
)
def test_html_keeps_words_and_their_order(markup: str, text: str) -> None:
    assert html_to_text(markup) == text


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="windows-1251">', "cp1251"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">', "koi8-r"),
        ('<?xml version="1.0" encoding="windows-1251"?>', "cp1251"),
        ('<meta charset="utf-16">', "utf-8"),
        ('<meta charset="no-such-encoding">', "utf-8"),
        ("", "utf-8"),
        ("", "utf-16"),
    ],
)
def test_html_reads_the_declared_encoding(head: str, encoding: str) -> None:
    page = f"{head}<p>Кёльн стоит на Рейне</p>"
    assert read_bytes(page.encode(encoding), "a.html").text == "Кёльн стоит на Рейне"


def test_html_with_late_letters_is_utf_8() -> None:
    page = "<p>" + "plain words " * 30_000 + "Köln</p>"
    assert read_bytes(page.encode(), "a.html").text.endswith("Köln")


def test_html_nested_very_deeply_is_read() -> None:
    assert html_to_text("<div>" * 20_000 + "deep" + "</div>" * 20_000) == "deep"


def test_html_without_text_is_refused() -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        read_bytes(b"<html><head><title>T</title></head><body><img src=x></body></html>", "a.html")


@example(["<table>", "<li>", "<td>", " ", "word"])
@given(st.lists(st.sampled_from(["<p>", "<br>", "<td>", "<table>", "<li>", "<tr>", "word", " ", "\n", "&nbsp;"])))
def test_html_without_pre_has_no_runs_of_spaces_or_blank_lines(pieces: list[str]) -> None:
    text = html_to_text("".join(pieces))
    assert re.search(r"\n[ \t\xa0]*\n[ \t\xa0]*\n", text) is None
    assert re.search(r"\S {2,}\S", text) is None
