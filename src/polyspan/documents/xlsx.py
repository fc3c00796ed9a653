"""XLSX (Office Open XML) to text, sheet by sheet."""

import re
import threading
import warnings
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

from polyspan.documents.archives import open_archive
from polyspan.documents.broken import refuse_broken
from polyspan.documents.limits import check_length
from polyspan.documents.number_format import show_number
from polyspan.documents.pages import join_pages
from polyspan.errors import DocumentError

MAX_CELLS = 20_000_000

_NO_CODES = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
# Warnings are filtered for the whole process, and openpyxl warns of all that it does not keep.
_LOCK = threading.Lock()


def read_xlsx(data: bytes, name: str) -> tuple[str, tuple[int, ...]]:
    """Return the text of all sheets, also of hidden ones, and the character at which each begins.

    A sheet is its name and its rows, one a line, with cells parted by tabs. Numbers are written as their cells show
    them, dates and times as ISO 8601 does, formulas as the values that were stored with them. Charts and comments are
    left out, as are rows that are empty, but for one between others. A sheet without values has no text.

    Raises:
        DocumentError: the file is broken, too large when unpacked, or has too many cells.
    """
    from openpyxl import load_workbook

    with _LOCK, warnings.catch_warnings(), refuse_broken(name, "XLSX", "a spreadsheet program"):
        warnings.simplefilter("ignore")
        open_archive(data, name).close()
        workbook = load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
        return join_pages((_sheet_text(sheet, name) for sheet in workbook.worksheets), name)


def _sheet_text(sheet: Any, name: str) -> str:
    sheet.reset_dimensions()  # what a file says of them may be wrong, and would be filled with empty cells
    lines: list[str] = []
    length = cells = 0
    for row in sheet.iter_rows():
        cells += len(row) + 1
        if cells > MAX_CELLS:
            raise DocumentError(
                f"{name}: sheet {sheet.title} spans more than {MAX_CELLS:,} cells; save what is used of it"
            )
        line = "\t".join(map(_cell_text, row)).rstrip()
        if line or (lines and lines[-1]):
            lines.append(line)
            length += len(line) + 1
            check_length(length, name)
    return "\n".join([sheet.title, *lines]).rstrip("\n") if lines else ""


def _cell_text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return show_number(value, cell.number_format)
    if isinstance(value, date | time | timedelta):
        return _moment(value, cell.number_format)
    return " ".join(str(value).split())


def _moment(value: date | time | timedelta, code: str) -> str:
    """A date, a time of day, both, or a duration in hours, minutes and seconds, as the number format shows it."""
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, datetime):
        codes = _NO_CODES.sub("", code).lower()
        if not re.search("[hs]", codes):
            return value.date().isoformat()
        if not re.search("[dy]", codes):
            value = value.time()
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    if isinstance(value, time):
        return value.isoformat("seconds" if value.second else "minutes")
    return value.isoformat()
