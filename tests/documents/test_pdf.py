"""PDF: pages, columns, hyphens, what fonts and rotations do to text, what cannot be read."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from pdfs import Page, Text, build_pdf, by_rows, lines
from polyspan.documents import limits, read_bytes
from polyspan.errors import DocumentError

MakePdf = Callable[..., bytes]

RIVER = [
    "The river rises in the hills and",
    "it crosses seven counties on its",
    "way to the sea, where it is quite",
    "wide and full of ships and exam-",
    "ples of old bridges can be seen.",
]
TOWER = [
    "Nobody knows who built the oldest",
    "tower of the town, but some hold it",
    "was a merchant from the south coast",
    "who had become rich by selling silk",
    "and salt to all the villages around.",
]
MARKET = ["On Fridays there is a market,", "to which the farmers come with", "goats, and sometimes a cow, and"]
MARKET += ["leave with shoes, hats, lamps or", "whatever else the town can make."]
RIVER_READ = "\n".join(RIVER).replace("exam-\nples", "examples")
COLUMNS_READ = "\n".join([RIVER_READ, *TOWER])


def read(*pages: Page, to_unicode: dict[int, str] | None = None) -> str:
    return read_bytes(build_pdf(pages, to_unicode), "a.pdf").text


def coded(text: str) -> tuple[bytes, dict[int, str]]:
    """Codes for the letters of a text, and what they mean."""
    codes = {letter: number for number, letter in enumerate(sorted(set(text)), start=33)}
    return bytes(codes[letter] for letter in text), {number: letter for letter, number in codes.items()}


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


@pytest.mark.parametrize(
    ("upper", "lower", "joined"),
    [
        ("an exam-", "ple", "an example"),
        ("ein Müller-", "Stuhl", "ein Müller-Stuhl"),
        ("COVID-", "19 tests", "COVID-19 tests"),
        ("an INTER-", "NATIONAL code", "an INTERNATIONAL code"),
        ("a US-", "Dollar", "a US-Dollar"),
        ("from 1990-", "2000", "from 1990-\n2000"),
        ("a dash -", "here", "a dash -\nhere"),
        ("a hyphen-", "(so)", "a hyphen-\n(so)"),
        ("trailing space- ", "bar", "trailing spacebar"),
    ],
)
def test_pdf_hyphen_at_a_line_end_stays_where_the_word_has_it(upper: str, lower: str, joined: str) -> None:
    assert read(Page(lines([upper, lower]))) == joined


def test_pdf_leaves_soft_hyphens_out() -> None:
    codes, meaning = coded("ab~c-")
    meaning = {code: "\xad" if letter == "~" else letter for code, letter in meaning.items()}
    texts = [Text(50, 700, codes=codes[:4]), Text(50, 680, codes=codes[:3]), Text(50, 660, codes=codes[3:4])]
    assert read(Page(texts), to_unicode=meaning) == "abc\nabc"


@pytest.mark.parametrize("lower_by", [0, 3, 7], ids=["same height", "a bit lower", "half a line lower"])
def test_pdf_columns_that_are_drawn_row_by_row_are_read_one_by_one(lower_by: float) -> None:
    texts = by_rows(lines(RIVER), lines(TOWER, x=310, y=750 - lower_by))
    assert read(Page(texts)) == COLUMNS_READ


def test_pdf_columns_that_are_drawn_one_by_one_stay_so() -> None:
    assert read(Page([*lines(RIVER), *lines(TOWER, x=310)])) == COLUMNS_READ


def test_pdf_three_columns_are_read_one_by_one() -> None:
    columns = [lines(texts, x=x, size=9) for texts, x in ((RIVER, 40), (TOWER, 215), (MARKET, 390))]
    assert read(Page(by_rows(*columns))) == "\n".join([COLUMNS_READ, *MARKET])


def test_pdf_columns_of_unequal_length_and_with_gaps_are_read_one_by_one() -> None:
    right = [text for text in lines([*TOWER, *MARKET], x=310) if text.text != TOWER[2]]
    expected = "\n".join([RIVER_READ, *TOWER[:2], *TOWER[3:], *MARKET])
    assert read(Page(by_rows(lines(RIVER), right))) == expected


def test_pdf_heads_titles_and_feet_stay_outside_of_columns() -> None:
    head = [Text(50, 810, "Journal of Rivers", 9), Text(480, 810, "Page 12", 9)]
    title = [Text(90, 780, "A title across the columns of the page", 18)]
    foot = [Text(285, 40, "12", 9)]
    columns = by_rows(lines(RIVER), lines(TOWER, x=310))
    assert read(Page([*head, *title, *columns, *foot])) == (
        f"Journal of Rivers Page 12\nA title across the columns of the page\n{COLUMNS_READ}\n12"
    )


def test_pdf_columns_of_a_script_from_the_right_begin_on_the_right() -> None:
    first = "בעיר הזאת נבנה לפני שנים רבות גשר"
    second = "ארוך מאוד מעל הנהר ועליו עוברים כל"
    codes, meaning = coded(first + second)
    half = len(first)
    drawn = {"first": codes[:half][::-1], "second": codes[half:][::-1]}
    right = [Text(310, 750 - 14 * number, codes=drawn["first"]) for number in range(5)]
    left = [Text(50, 750 - 14 * number, codes=drawn["second"]) for number in range(5)]
    assert read(Page(by_rows(right, left)), to_unicode=meaning) == "\n".join([first] * 5 + [second] * 5)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["Blue lamp", "Red lamp", "White lamp", "All lamps", "No lamp"], ["Fill the tank", "Empty the tray"] * 3),
        (["Coffee, whole beans", "Milk", "Sugar, brown or white"] * 2, ["12.40", "1.20", "1,000.00"] * 2),
        (RIVER, ["12", "14", "15", "20", "31"]),
        (
            ["How is the machine cleaned?", "Where does the water go?", "Who repairs it when it breaks?"] * 2,
            ["With a cloth and warm water only.", "Into the tank behind the lid.", "Our workshop in the town."] * 2,
        ),
        (["-h, --help", "-n, --name=NAME", "-v, --version", "-q, --quiet"], ["show this help and exit"] * 4),
    ],
    ids=["short cells", "numbers", "text and numbers", "sentences", "options"],
)
def test_pdf_tables_keep_their_rows(left: list[str], right: list[str]) -> None:
    rows = [f"{a} {b}" for a, b in zip(left, right, strict=False)]
    texts = by_rows(lines(left), lines(right[: len(left)], x=310))
    assert read(Page(texts)) == "\n".join(rows).replace("exam- 20\nples", "exam- 20\nples")


def test_pdf_cells_of_several_lines_stay_whole() -> None:
    cells = [[*lines(RIVER[:2], y=y), *lines(TOWER[:2], x=310, y=y)] for y in (750, 700, 650, 600)]
    assert read(Page([text for cell in cells for text in cell])) == "\n".join([*RIVER[:2], *TOWER[:2]] * 4)


def test_pdf_ligatures_become_letters() -> None:
    assert (
        read(Page([Text(50, 700, "oﬃce or of\ufb01ce, \ufb02oor".replace("ﬃ", "f\ufb01"))]))
        == "office or office, floor"
    )


def test_pdf_characters_beyond_the_first_plane_are_one_character() -> None:
    codes, meaning = coded("a😀b")
    assert read(Page([Text(50, 700, codes=codes)]), to_unicode=meaning) == "a😀b"


def test_pdf_half_a_surrogate_pair_is_replaced() -> None:
    pdf = build_pdf([Page([Text(50, 700, codes=b"!#!")])], {33: "a", 35: "😀"})
    text = read_bytes(pdf.replace("😀".encode("utf-16-be").hex().encode(), b"d83d0062"), "a.pdf").text
    assert text == "a\ufffdba"


def test_pdf_script_from_the_right_is_read_in_its_order() -> None:
    text = "זהו מסמך קצר עם 25 שורות"
    codes, meaning = coded(text)
    meaning_of = {letter: code for code, letter in meaning.items()}
    drawn = bytes(meaning_of[letter] for letter in text[::-1].replace("52", "25"))
    assert read(Page([Text(50, 700, codes=drawn)]), to_unicode=meaning) == text
    assert len(codes) == len(text)


@pytest.mark.parametrize("page_turned", [0, 90, 180, 270])
@pytest.mark.parametrize("text_turned", [0, 90, 180, 270])
def test_pdf_turned_text_keeps_its_lines(page_turned: int, text_turned: int) -> None:
    steps = {0: (0, -14), 90: (14, 0), 180: (0, 14), 270: (-14, 0)}
    step_x, step_y = steps[text_turned]
    texts = [Text(300 + step_x * n, 400 + step_y * n, text, turned=text_turned) for n, text in enumerate(RIVER)]
    assert read(Page(texts, page_turned)) == RIVER_READ


def test_pdf_columns_on_a_turned_page_are_read_one_by_one() -> None:
    rows = zip(RIVER, TOWER, strict=True)
    texts = [
        Text(100 + 14 * n, y, text, turned=90)
        for n, row in enumerate(rows)
        for text, y in zip(row, (50, 310), strict=True)
    ]
    assert read(Page(texts, 90)) == COLUMNS_READ


def test_pdf_text_outside_of_the_page_is_left_out() -> None:
    texts = by_rows(lines(RIVER), lines(TOWER, x=310))
    assert [line.strip() for line in read(Page(texts, crop=(40, 600, 300, 800))).split("\n")] == RIVER_READ.split("\n")


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


def test_pdf_with_changed_bytes_is_read_or_refused() -> None:
    whole = build_pdf([Page(by_rows(lines(RIVER), lines(TOWER, x=310)), 90)])
    for position in range(5, len(whole), 41):
        changed = bytearray(whole)
        changed[position] = ord("9") if 48 <= changed[position] < 57 else changed[position] ^ 0xFF
        with suppress(DocumentError):
            assert read_bytes(bytes(changed), "a.pdf").text.strip()


@pytest.mark.parametrize("far", [1e7, 1e30, -3e38, 1e300])
def test_pdf_text_far_off_the_page_or_of_any_size_does_no_harm(far: float) -> None:
    texts = [*lines(RIVER), Text(far, 100, "far"), Text(50, far, "off"), Text(50, 100, "large", size=far)]
    assert read(Page(texts)).startswith(RIVER_READ)


def test_pdf_stops_at_the_length_limit(make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CHARACTERS", 20)
    with pytest.raises(DocumentError, match=r"longer than the limit of 20 characters; split"):
        read_bytes(make_pdf([["Twelve chars"], ["Twelve chars"]]), "a.pdf")


def test_pdf_is_read_by_several_threads(make_pdf: MakePdf) -> None:
    files = [make_pdf([[f"Text {number} page {page}." for _ in range(20)] for page in range(5)]) for number in range(8)]
    alone = [read_bytes(file, "a.pdf") for file in files]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda file: read_bytes(file, "a.pdf"), files)) == alone
