"""What all plots share: the library, its look, and their form as files."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from polyspan.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 144.0,
    "font.size": 9.0,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


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
