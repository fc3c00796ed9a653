"""Numbers as a spreadsheet shows them, by the number format of their cell (ECMA-376 Part 1, 18.8.31)."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from math import isfinite

# Quoted and escaped text, blanks as wide as a character, fillers, currencies, and colours or conditions.
_TOKENS = re.compile(r'"([^"]*)"|\\(.)|[_*].|\[\$([^\]-]*)[^\]]*\]|\[([^\]]*)\]|(.)', re.DOTALL)
# Text, integers, decimals, thousands to leave out and text again, where every character of text is a T.
_SECTION = re.compile(r"([T%]*)([0#?,]*)(\.[0#?]*)?(,*)([T%]*)")
_SPECIAL = "0#?,.%/@Ee"
_MAX_DECIMALS = 30
_CONTEXT = Context(prec=5000)  # more than the digits of any number that Python reads


@dataclass(frozen=True, slots=True)
class _Section:
    """How the numbers of one sign are shown: text around digits, of a number that is scaled by a power of ten."""

    before: str
    after: str
    scale: int
    min_integers: int
    min_decimals: int
    max_decimals: int
    is_grouped: bool
    has_digits: bool


def show_number(value: float, code: str) -> str:
    """Return a number as a cell with the number format ``code`` shows it, in the notation of English.

    Where the format is "General", or has exponents, fractions, conditions or text between digits, the number is
    written with up to 15 digits, which is what a spreadsheet keeps.
    """
    sections = _sections(code)
    if not sections or (isinstance(value, float) and not isfinite(value)):
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    if value == 0 and len(sections) > 2:
        return _show(value, sections[2])
    if value < 0:
        return _show(-value, sections[1]) if len(sections) > 1 else f"-{_show(-value, sections[0])}"
    return _show(value, sections[0])


def _show(value: float, section: _Section) -> str:
    if not section.has_digits:
        return section.before + section.after
    exact = Decimal(repr(value)).scaleb(section.scale, _CONTEXT)
    rounded = exact.quantize(Decimal(1).scaleb(-section.max_decimals), ROUND_HALF_UP, _CONTEXT)
    integer, _, fraction = f"{rounded:f}".partition(".")
    integer = integer.lstrip("0").zfill(section.min_integers)
    if section.is_grouped:
        integer = re.sub(r"(?<=\d)(?=(?:\d{3})+$)", ",", integer)
    fraction = fraction.rstrip("0").ljust(section.min_decimals, "0")
    return f"{section.before}{integer}{'.' * bool(fraction)}{fraction}{section.after}"


@lru_cache(maxsize=1000)
def _sections(code: str) -> tuple[_Section, ...]:
    """The sections for positive, negative and zero, as many as there are; none where a number is shown as it is."""
    shapes, texts = [""], [""]
    for quoted, escaped, currency, bracket, plain in _TOKENS.findall(code):
        if bracket[:1] in ("<", ">", "="):
            return ()
        if plain == ";":
            shapes.append("")
            texts.append("")
        elif plain and plain in _SPECIAL:
            shapes[-1] += plain
            texts[-1] += plain
        else:
            text = quoted + escaped + currency + plain
            shapes[-1] += "T" * len(text)
            texts[-1] += text
    sections = [_section(shape, text) for shape, text in zip(shapes[:3], texts[:3], strict=True)]
    return () if "general" in code.lower() or None in sections else tuple(filter(None, sections))


def _section(shape: str, text: str) -> _Section | None:
    match = _SECTION.fullmatch(shape)
    if match is None:
        return None
    integers, decimals = match[2].rstrip(","), (match[3] or ".")[1:][:_MAX_DECIMALS]
    thousands = len(match[2]) - len(integers) + len(match[4])
    return _Section(
        before=text[: match.end(1)],
        after=text[match.start(5) :],
        scale=2 * shape.count("%") - 3 * thousands,
        min_integers=integers.count("0"),
        min_decimals=len(decimals.rstrip("#?")),
        max_decimals=len(decimals),
        is_grouped="," in integers,
        has_digits=bool(integers or decimals),
    )
