"""PDF: pages, hyphens, what cannot be read."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from polyspan.documents import limits, read_bytes
from polyspan.errors import DocumentError

MakePdf = Callable[..., bytes]


def test_pdf_page_starts_point_at_each_page(make_pdf: MakePdf) -> None:
    document = read_bytes(make_pdf([["First page (one).", "Second line."], [], ["Third page."]]), "a.pdf")
    assert document.text == "First page (one).\nSecond line.\n\n\n\nThird page."
    assert document.page_starts == (0, 32, 34)
    assert document.text[document.page_starts[2] :] == "Third page."


def test_pdf_first_page_may_be_empty(make_pdf: MakePdf) -> None:
    document = read_bytes(make_pdf([[], ["Text."]]), "a.pdf")
    assert (document.text, document.page_starts) == ("\n\nText.", (0, 2))


def test_pdf_joins_words_split_by_a_hyphen(make_pdf: MakePdf) -> None:
    document = read_bytes(make_pdf([["A house for exam-", "ple and Köln."], ["Next."]]), "a.pdf")
    assert document.text == "A house for example and Köln.\n\nNext."
    assert document.text[document.page_starts[1] :] == "Next."


def test_pdf_without_text_seems_scanned(make_pdf: MakePdf) -> None:
    with pytest.raises(DocumentError, match=r"^a\.pdf: .*scanned.*OCR"):
        read_bytes(make_pdf([[], []]), "a.pdf")


def test_pdf_with_a_password_is_refused(make_pdf: MakePdf) -> None:
    with pytest.raises(DocumentError, match=r"^a\.pdf: .*password"):
        read_bytes(make_pdf([["Secret."]], encrypted=True), "a.pdf")


@pytest.mark.parametrize("data", [b"%PDF-1.7 garbage", b"%PDF-", b"%PDF-1.4\n" + bytes(range(256)) * 20])
def test_pdf_that_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^a\.pdf: not a readable PDF"):
        read_bytes(data, "a.pdf")


def test_pdf_cut_short_is_read_or_refused(make_pdf: MakePdf) -> None:
    whole = make_pdf([["Some text."], ["More text."]])
    for end in range(5, len(whole), 97):
        with suppress(DocumentError):
            assert "text" in read_bytes(whole[:end], "a.pdf").text


def test_pdf_stops_at_the_length_limit(make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CHARACTERS", 20)
    with pytest.raises(DocumentError, match=r"longer than the limit of 20 characters; split"):
        read_bytes(make_pdf([["Twelve chars"], ["Twelve chars"]]), "a.pdf")


def test_pdf_is_read_by_several_threads(make_pdf: MakePdf) -> None:
    files = [make_pdf([[f"Text {number} page {page}." for _ in range(20)] for page in range(5)]) for number in range(8)]
    alone = [read_bytes(file, "a.pdf") for file in files]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda file: read_bytes(file, "a.pdf"), files)) == alone
