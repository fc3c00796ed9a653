import sys

import pytest
from matplotlib.figure import Figure

from polyspan.errors import MissingExtraError
from polyspan.evaluation import heatmap
from polyspan.evaluation.crosslingual import CrossLingual
from polyspan.types import Report


def result() -> CrossLingual:
    scores = {("de", "de"): 71.0, ("de", "en"): 52.5, ("en", "de"): 61.0}
    reports = {languages: Report({"exact": score / 2, "f1": score}, {}) for languages, score in scores.items()}
    signature = {"model": "fake"}
    averages = {
        "same_language": Report({"exact": 35.5, "f1": 71.0}, signature),
        "cross_language": Report({"exact": 28.375, "f1": 56.75}, signature),
        "all_pairs": Report({"exact": 30.75, "f1": 61.5}, signature),
    }
    return CrossLingual("mlqa", reports, averages)


def test_heatmap_shows_every_score_averages_and_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []

    def draw(_width: float, _height: float, fill: object) -> bytes:
        figure = Figure()
        assert callable(fill)
        fill(figure)
        figures.append(figure)
        return b"drawn"

    monkeypatch.setattr(heatmap, "draw_png", draw)
    assert heatmap.draw_heat_map(result()) == b"drawn"
    (figure,) = figures
    panels = [axes for axes in figure.axes if axes.get_images()]
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [
        ["35.5", "26.2", "30.5"],
        ["71.0", "52.5", "61.0"],
    ]
    assert panels[1].get_title() == "F1\nsame language 71.0, across 56.8"
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["de", "en"]
    assert len(panels[0].patches) == 2
    assert figure.get_suptitle() == "fake, regime mlqa"


def test_heatmap_is_a_png_that_is_the_same_each_time() -> None:
    drawn = heatmap.draw_heat_map(result())
    assert drawn.startswith(b"\x89PNG\r\n")
    assert drawn == heatmap.draw_heat_map(result())


def test_heatmap_of_equal_scores_and_one_pair() -> None:
    one = CrossLingual(
        "squad1", {("en", "en"): Report({"exact": 0.0, "f1": 0.0}, {})}, {"all_pairs": Report({}, {"model": "m"})}
    )
    assert heatmap.draw_heat_map(one).startswith(b"\x89PNG\r\n")


def test_heatmap_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError):
        heatmap.draw_heat_map(result())
