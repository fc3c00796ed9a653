"""XLSX: sheets as pages, values as they are shown, huge sheets, what cannot be read."""

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
import xlsxwriter
from openpyxl import Workbook

from polyspan.documents import read_bytes, xlsx
from polyspan.errors import DocumentError


def save(workbook: Any) -> bytes:
    file = BytesIO()
    workbook.save(file)
    return file.getvalue()


def with_cells(cells: dict[str, Any], formats: dict[str, str] | None = None, title: str = "S") -> bytes:
    workbook = Workbook()
    workbook.active.title = title
    for place, value in cells.items():
        workbook.active[place] = value
    for place, code in (formats or {}).items():
        workbook.active[place].number_format = code
    return save(workbook)


def shared_strings() -> bytes:
    """A workbook as spreadsheet programs save it: strings in a table of their own, some with formatted parts."""
    file = BytesIO()
    with xlsxwriter.Workbook(file) as workbook:
        sheet = workbook.add_worksheet("S")
        sheet.write_string("A1", "one")
        sheet.write_rich_string("B1", "two", workbook.add_format({"bold": True}), " parts")
        sheet.write_number("C1", 0)
    return file.getvalue()


def changed(data: bytes, member: str, change: Callable[[str], str]) -> bytes:
    """The workbook with one member changed."""
    file = BytesIO()
    with ZipFile(BytesIO(data)) as old, ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content.decode()).encode() if name == member else content)
    return file.getvalue()


def in_sheet(data: bytes, pattern: str, replacement: str) -> bytes:
    return changed(data, "xl/worksheets/sheet1.xml", lambda sheet: re.sub(pattern, replacement, sheet, count=1))


def test_xlsx_sheets_are_pages_with_their_names() -> None:
    workbook = Workbook()
    workbook.active.title = "Ferries"
    workbook.active.append(["Name", "Seats"])
    workbook.active.append(["Anna", 120])
    workbook.create_sheet("Empty")
    hidden = workbook.create_sheet("Prices")
    hidden.sheet_state = "hidden"
    hidden.append(["Adult", "two shillings"])
    document = read_bytes(save(workbook), "a.xlsx")
    assert document.text == "Ferries\nName\tSeats\nAnna\t120\n\n\n\nPrices\nAdult\ttwo shillings"
    assert document.page_starts == (0, 29, 31)
    assert document.meta == {"format": "xlsx", "title": "Ferries"}


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (1234.5, "#,##0.00 [$€-407]", "1,234.50 €"),
        (0.125, "0.0%", "12.5%"),
        (0.1 + 0.2, "General", "0.3"),
        (True, "General", "TRUE"),
        (datetime(2024, 5, 1), "DD/MM/YYYY", "2024-05-01"),
        (date(2024, 5, 1), "mmm-yy", "2024-05-01"),
        (datetime(2024, 5, 1, 13, 30), "yyyy-mm-dd h:mm", "2024-05-01 13:30"),
        (datetime(2024, 5, 1, 13, 30, 5), "yyyy-mm-dd h:mm", "2024-05-01 13:30:05"),
        (datetime(2024, 5, 1, 13, 30), "d.m.yy", "2024-05-01"),
        (datetime(2024, 5, 1, 13, 30), "h:mm", "13:30"),
        (time(8, 15), "h:mm", "08:15"),
        (timedelta(hours=30, minutes=5), "[h]:mm:ss", "30:05:00"),
        ("two\nlines\tand tab", "General", "two lines and tab"),
    ],
)
def test_xlsx_values_are_written_as_they_are_shown(value: Any, code: str, shown: str) -> None:
    assert read_bytes(with_cells({"A1": value}, {"A1": code}), "a.xlsx").text == f"S\n{shown}"


def test_xlsx_empty_cells_keep_their_place_and_empty_rows_part_tables() -> None:
    data = with_cells({"A2": "a", "C2": "c", "B3": "b", "A6": "d", "A9": None, "E9": None})
    assert read_bytes(data, "a.xlsx").text == "S\na\t\tc\n\tb\n\nd"


def test_xlsx_formulas_have_the_values_that_were_stored() -> None:
    data = in_sheet(with_cells({"A1": "sum", "B1": "=1+1"}), "<f>1[+]1</f><v *(/>|></v>)", "<f>1+1</f><v>2</v>")
    assert read_bytes(data, "a.xlsx").text == "S\nsum\t2"
    assert read_bytes(with_cells({"A1": "sum", "B1": "=1+1"}), "a.xlsx").text == "S\nsum"


def test_xlsx_wrong_dimensions_are_not_believed() -> None:
    data = with_cells({"A1": "a", "B2": "b"})
    for said in ("A1:XFD1048576", "A1", "Z9:A1"):
        assert read_bytes(in_sheet(data, 'ref="A1:B2"', f'ref="{said}"'), "a.xlsx").text == "S\na\n\tb"


@pytest.mark.parametrize(("row", "place"), [("2", "XFD2"), ("1000000000", "B1000000000")])
def test_xlsx_sheet_that_spans_too_many_cells_is_refused(row: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_CELLS", 10_000)
    data = in_sheet(in_sheet(with_cells({"A1": "a", "B2": "b"}), '<row r="2"', f'<row r="{row}"'), "B2", place)
    with pytest.raises(DocumentError, match=r"^a\.xlsx: sheet S spans more than 10,000 cells"):
        read_bytes(in_sheet(data, 'r="B2"', f'r="{place}"'), "a.xlsx")


def test_xlsx_too_long_a_text_is_refused_before_it_is_read(small_limits: Callable[..., None]) -> None:
    small_limits(MAX_CHARACTERS=100)
    data = with_cells({f"A{row}": "twelve chars" for row in range(1, 30)})
    cut = in_sheet(data, '<row r="20"', "<row r='x'")
    with pytest.raises(DocumentError, match=r"^a\.xlsx: the text is longer than the limit of 100 characters"):
        read_bytes(cut, "a.xlsx")


@pytest.mark.parametrize("member", ["xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"])
def test_xlsx_entities_do_not_expand(member: str) -> None:
    levels = [f"<!ENTITY e{level + 1} '" + 10 * f"&e{level};" + "'>" for level in range(9)]
    bomb = f"<!DOCTYPE x [<!ENTITY e0 'long'>{''.join(levels)}]>"
    data = changed(
        shared_strings(), member, lambda text: bomb + re.sub("one|(?<=<v>)0", "&e9;", text.partition("?>")[2])
    )
    with pytest.raises(DocumentError, match=r"^a\.xlsx: not a readable XLSX file"):
        read_bytes(data, "a.xlsx")


def test_xlsx_shared_and_rich_strings_are_read() -> None:
    assert read_bytes(shared_strings(), "a.xlsx").text == "S\none\ttwo parts\t0"


def test_xlsx_what_openpyxl_warns_of_is_no_matter() -> None:
    data = changed(
        with_cells({"A1": "a"}), "xl/styles.xml", lambda styles: re.sub("<cellStyles.*</cellStyles>", "", styles)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        assert read_bytes(data, "a.xlsx").text == "S\na"
        assert list(warnings.filters) == before


def test_xlsx_without_values_is_refused() -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        read_bytes(save(Workbook()), "a.xlsx")


def test_xlsx_that_is_broken_is_refused() -> None:
    data = with_cells({"A1": "a"})
    for end in range(4, len(data), len(data) // 8):
        with pytest.raises(DocumentError, match=r"^a\.xlsx: not a readable XLSX file"):
            read_bytes(data[:end], "a.xlsx")


def test_xlsx_with_changed_bytes_is_read_or_refused() -> None:
    data = with_cells({"A1": "some text", "B2": 12})
    for position in range(4, len(data), len(data) // 40):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        with suppress(DocumentError):
            assert read_bytes(bytes(damaged), "a.xlsx").text.strip()
