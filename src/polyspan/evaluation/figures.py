"""What all plots share: the library, its look, and their form as files."""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from polyspan.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN_FONT = "DejaVu Sans"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 144.0,
    "font.family": [OWN_FONT],
    "font.size": 9.0,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


def legible(text: str) -> tuple[str, list[str]]:
    r"""A text, and the families of fonts that have its characters; what none here has is escaped, as ``\u6a4b``.

    matplotlib's own font has Latin, Greek, Cyrillic, Hebrew and Arabic letters; those of the system are looked at only
    where it lacks something.
    """
    missing, families = set(text), {OWN_FONT: None}
    for family, file in _fonts():
        found = missing & _characters(file)
        if found:
            families[family] = None
            missing -= found
        if not missing:
            break
    shown = (one.encode("unicode_escape").decode() if one in missing else one for one in text)
    return "".join(shown), list(families)


def _fonts() -> Iterator[tuple[str, str]]:
    """Families and files: matplotlib's own, then the system's; what else it brings has signs in letters' places."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import findfont, fontManager

    yield OWN_FONT, findfont(OWN_FONT)
    files = {(one.name, one.fname) for one in fontManager.ttflist if not one.fname.startswith(get_data_path())}
    yield from sorted(files)


def _characters(file: str) -> set[str]:
    from matplotlib.font_manager import get_font

    try:
        return set(map(chr, get_font(file).get_charmap()))
    except (OSError, RuntimeError):  # such as coloured pictures, which matplotlib cannot draw
        return set()


def draw_png(width: float, height: float, draw: Callable[["Figure"], None]) -> bytes:
    """The content of a PNG file, the same at any time for the same drawing; no screen is needed.

    Args:
        width: inches, of 144 pixels each.
        height: the same.
        draw: puts axes and all else into the empty figure.

    Raises:
        MissingExtraError: without matplotlib.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("plotting", "plots") from error
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
