import sys

import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure

from polyspan.errors import MissingExtraError
from polyspan.evaluation.figures import STYLE, draw_png


def _line(figure: Figure) -> None:
    figure.add_subplot().plot([0, 1], [1, 0])


def test_draw_png_gives_a_png_that_is_the_same_each_time_and_leaves_the_library_as_it_was() -> None:
    before = {key: rcParams[key] for key in STYLE}
    drawn = draw_png(2, 1, _line)
    assert drawn.startswith(b"\x89PNG\r\n")
    assert drawn == draw_png(2, 1, _line)
    assert {key: rcParams[key] for key in STYLE} == before


def test_draw_png_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'pip install "polyspan\[plots\]"'):
        draw_png(2, 1, _line)
