import sys

import pytest
from matplotlib import font_manager, rcParams
from matplotlib.figure import Figure

from polyspan.errors import MissingExtraError
from polyspan.evaluation import figures
from polyspan.evaluation.figures import OWN_FONT, STYLE, draw_png, legible


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


def test_legible_keeps_what_a_font_here_has_and_escapes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "Łódź Ελληνικά русский עברית"
    assert legible(names) == (names, [OWN_FONT])
    have = {OWN_FONT: set("ab"), "One": set("b橋"), "Other": set("ก橋"), "Unread": set("橋")}
    monkeypatch.setattr(figures, "_fonts", lambda: iter(zip(have, have, strict=True)))
    monkeypatch.setattr(figures, "_characters", have.__getitem__)
    assert legible("a橋bก") == ("a橋bก", [OWN_FONT, "One", "Other"])
    assert legible("a👩") == ("a\\U0001f469", [OWN_FONT])


def test_legible_passes_over_fonts_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str) -> None:
        raise RuntimeError("no outlines")

    monkeypatch.setattr(font_manager, "get_font", refuse)
    assert legible("a") == ("a", [OWN_FONT])


def test_draw_png_of_any_text_gives_no_warning() -> None:
    def draw(figure: Figure) -> None:
        shown, fonts = legible("數據 ไทย हिन्दी \U000e0001 русский.json")
        figure.suptitle(shown, fontfamily=fonts)

    assert draw_png(4, 1, draw).startswith(b"\x89PNG")
