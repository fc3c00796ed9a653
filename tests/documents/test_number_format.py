"""Numbers as spreadsheets show them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.documents.number_format import show_number

ACCOUNTING = '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)'


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (7, "0", "7"),
        (7, "00000", "00007"),
        (1.005, "0.00", "1.01"),
        (0.125, "0.00", "0.13"),
        (-0.5, "0", "-1"),
        (3, "0.##", "3"),
        (3.14159, "0.##", "3.14"),
        (0.5, "#.00", ".50"),
        (1234567, "#,##0", "1,234,567"),
        (999.5, "#,##0", "1,000"),
        (1234567, "#,##0,", "1,235"),
        (1234567, '0.0,,"M"', "1.2M"),
        (0.256, "0%", "26%"),
        (-1234.5, "#,##0.00_);[Red](#,##0.00)", "(1,234.50)"),
        (12, ACCOUNTING, "$12.00"),
        (-12, ACCOUNTING, "$(12.00)"),
        (0, ACCOUNTING, "$-"),
        (5, "[$€-407] 0.00", "€ 5.00"),
        (5, '0 "a;b"', "5 a;b"),
        (5, "\\x0", "x5"),
        (1, '"Yes";"No";"None"', "Yes"),
        (-1, '"Yes";"No";"None"', "No"),
        (0, '"Yes";"No";"None"', "None"),
        (5, ";;;", ""),
        (1e20, "0", "1" + "0" * 20),
    ],
)
def test_number_format_shows_what_a_spreadsheet_shows(value: float, code: str, shown: str) -> None:
    assert show_number(value, code) == shown


@pytest.mark.parametrize("code", ["General", "GENERAL", "@", "0.00E+00", "# ?/?", "[>100]0;0.0", "#\\ ##0", "000-0000"])
def test_number_format_that_is_not_known_leaves_numbers_as_they_are(code: str) -> None:
    assert [show_number(value, code) for value in (12.5, 12.0, 0.1 + 0.2, -3, 9783161484100)] == [
        "12.5",
        "12",
        "0.3",
        "-3",
        "9783161484100",
    ]
    assert show_number(float("inf"), code) == "inf"


@given(st.floats() | st.integers(-(10**400), 10**400), st.text(st.sampled_from('0#?,.%/@EG"\\_*[]$<;x- '), max_size=12))
def test_number_format_any_code_shows_any_number(value: float, code: str) -> None:
    assert isinstance(show_number(value, code), str)


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_number_format_grouped_decimals_are_those_of_python(value: int, decimals: int) -> None:
    assert show_number(value, "#,##0." + "0" * decimals).rstrip(".") == f"{value:,.{decimals}f}"
