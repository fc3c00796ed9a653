import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from matplotlib.figure import Figure

from polyspan.evaluation import (
    Answered,
    Plot,
    complete_reports,
    draw_plots,
    explore_thresholds,
    plots,
    pool,
)
from polyspan.evaluation.figures import draw_png

NAMES = ["risk-coverage", "reliability", "thresholds"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn."""
    drawn: list[Any] = []

    def remember(width: float, height: float, draw: Callable[[Figure], None]) -> bytes:
        def fill(figure: Figure) -> None:
            drawn.append(figure)
            draw(figure)

        return draw_png(width, height, fill)

    monkeypatch.setattr(plots, "draw_png", remember)
    return drawn


def drawn(*sets: Answered, prior: float | None = None) -> list[Plot]:
    datasets = [complete_reports({}, one, prior) for one in sets]
    whole = complete_reports({}, pool(sets), prior) if len(sets) > 1 else datasets[0]
    return draw_plots(whole, datasets, explore_thresholds(whole.graded))


def labels(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def lines(figure: Any) -> dict[str, Any]:
    return {str(line.get_label()): line for line in figure.axes[0].lines}


def test_plots_of_one_dataset(answered: Answered) -> None:
    made = drawn(answered)
    assert [plot.name for plot in made] == NAMES
    for plot in made:
        assert plot.png.startswith(b"\x89PNG\r\n")
        width, height = struct.unpack(">II", plot.png[16:24])
        assert 600 < width < 1000 > height > 300
    assert made == drawn(answered)


def test_plots_risk_coverage_marks_what_the_report_says(answered: Answered, figures: list[Any]) -> None:
    for prior in (None, 0.5):
        scores = complete_reports({}, answered, prior).selective.scores
        plot = drawn(answered, prior=prior)[0]
        figure = figures[-3]
        assert f"{scores['aurc']:.4f}" in figure.axes[0].get_title()
        assert f"{scores['aurc']:.4f}" in plot.alt
        for percent in (80, 90, 95):
            (label,) = (label for label in labels(figure) if label.startswith(f"{percent} %"))
            reached = 100 * scores[f"coverage_at_{percent}"]
            assert label == f"{percent} % right: {reached:.1f} % shown"
            assert lines(figure)[label].get_xydata().tolist() == [[reached, pytest.approx(100 - percent)]]
        curve = figure.axes[0].lines[0].get_xydata()
        assert curve[-1].tolist() == pytest.approx([100, 100 * (1 - scores["accuracy"])])
        area = sum((right - left) * risk for (left, _), (right, risk) in pairwise(curve))
        assert area / 1e4 == pytest.approx(scores["aurc"])


def test_plots_reliability_shows_the_bins_of_the_error(answered: Answered, figures: list[Any]) -> None:
    error = complete_reports({}, answered).selective.scores["ece"]
    plot = drawn(answered)[1]
    (points,) = (one for one in figures[1].axes[0].collections if one.get_label() == "bin; its size: mass")
    sizes = points.get_sizes() / 600
    gaps = [abs(probability - right) / 100 for probability, right in points.get_offsets()]
    assert sum(gap * size for gap, size in zip(gaps, sizes, strict=True)) == pytest.approx(error)
    assert sum(sizes) == pytest.approx(1)
    assert f"{error:.4f}" in figures[1].axes[0].get_title()
    assert plot.alt.count("claimed") == len(sizes)


def test_plots_thresholds_mark_the_best_and_the_readers_own(answered: Answered, figures: list[Any]) -> None:
    scores = complete_reports({}, answered).main.scores
    plot = drawn(answered)[2]
    marks = labels(figures[2])[-2:]
    best = f"{scores['best_f1_thresh']:.2f}"
    assert marks == [f"best: {best}, F1 {scores['best_f1']:.2f}", f"reader's own: 0.00, F1 {scores['f1']:.2f}"]
    assert lines(figures[2])[marks[1]].get_xdata() == [0, 0]
    assert f"best threshold {best} has F1 {scores['best_f1']:.2f}" in plot.alt
    assert {"F1", "exact", "HasAns F1", "NoAns F1"} <= set(labels(figures[2]))
    drawn(replace(answered, threshold=1e6))
    assert figures[-1].axes[0].get_xlim()[1] < 40  # a threshold far off does not squeeze the others
    drawn(replace(answered, threshold=None))
    assert not any("own" in label for label in labels(figures[-1]))


def renamed(answered: Answered, name: str, language: str = "") -> Answered:
    questions = answered.questions
    languages = [language] * len(questions.examples)
    source = {**questions.source, "dataset": name}
    return replace(answered, questions=replace(questions, languages=languages, source=source))


def test_plots_of_several_datasets_compare_them(answered: Answered, figures: list[Any]) -> None:
    made = drawn(renamed(answered, "$a_1$.json", "de"), renamed(answered, "Ελληνικά \U000e0001.json"))
    assert [plot.name for plot in made] == [*NAMES, "datasets"]
    assert [label.get_text() for label in figures[3].axes[0].get_yticklabels()] == [
        "$a_1$.json (de)",
        "Ελληνικά \\U000e0001.json",
    ]
    report = complete_reports({}, answered).main
    f1, (low, high) = report.scores["f1"], report.intervals["f1"]
    assert f"Ελληνικά \U000e0001.json: {f1:.2f} ({low:.2f} to {high:.2f})" in made[3].alt


@pytest.mark.parametrize("kept", [["right"], ["never"], ["silent"], ["right", "never"]])
def test_plots_of_very_few_questions(answered: Answered, kept: list[str]) -> None:
    questions = answered.questions.those(lambda example: example.id in kept)
    assert len(drawn(Answered(questions, {key: answered.predictions[key] for key in kept}, 0.0))) == 3
