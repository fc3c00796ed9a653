"""The scores of all pairs of languages as a picture."""

from typing import TYPE_CHECKING

import numpy as np

from polyspan.evaluation.crosslingual import SCORES, CrossLingual
from polyspan.evaluation.figures import draw_png, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS, EMPTY = "Blues", "lightgrey"
DARK = 0.6
"""From here on, 0 to 1, colours are so dark that figures on them are white."""
CELL, MARGIN = 0.5, 1.7
"""Inches, of one pair and of all around a panel."""
TITLES = {"exact": "exact match", "f1": "F1"}


def draw_heat_map(result: CrossLingual) -> bytes:
    """The content of a PNG file: exact match and F1, rows for questions' languages, columns for contexts'.

    Colours go from a panel's lowest score to its highest; pairs of one language are framed, those that the data lacks
    are grey. Raises MissingExtraError without matplotlib.
    """

    def draw(figure: "Figure") -> None:
        model, fonts = legible(str(result.averages["all_pairs"].signature["model"]))
        figure.suptitle(f"{model}, regime {result.regime}", fontsize="large", fontfamily=fonts, parse_math=False)
        for axes, score in zip(figure.subplots(1, len(SCORES)), SCORES, strict=True):
            _draw_matrix(axes, result, score)

    width = MARGIN + CELL * max(len(result.context_languages), 3)
    height = MARGIN + CELL * max(len(result.question_languages), 2)
    return draw_png(len(SCORES) * width, height, draw)


def _draw_matrix(axes: "Axes", result: CrossLingual, score: str) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = result.question_languages, result.context_languages
    values = np.array(result.matrix(score), dtype=np.float64)  # None becomes NaN, which is not drawn
    image = axes.imshow(values, cmap=COLOURS)
    low, high = np.nanmin(values), np.nanmax(values)
    for (row, column), value in np.ndenumerate(values):
        if rows[row] == columns[column]:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, clip_on=False, zorder=2))
        if not np.isnan(value):
            colour = "white" if value > low + DARK * (high - low) else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize="small")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("language of the context")
    axes.set_ylabel("language of the question")
    axes.set_facecolor(EMPTY)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    names = {"same_language": "same language", "cross_language": "across"}
    averages = [f"{names[name]} {one.scores[score]:.1f}" for name, one in result.averages.items() if name in names]
    axes.set_title("\n".join((TITLES[score], ", ".join(averages))), fontsize="medium")
    colorbar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
    colorbar.outline.set_visible(False)
