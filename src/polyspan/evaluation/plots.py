"""Plots of an evaluation: what its probabilities and its no-answer threshold are worth, and how datasets differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from polyspan.evaluation.figures import draw_png, legible
from polyspan.evaluation.reports import COVERAGES, Scored
from polyspan.evaluation.thresholds import Thresholds
from polyspan.metrics import reliability, risk_coverage
from polyspan.metrics.arrays import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by people of all kinds of colour vision (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#777777"
_WIDTH, _HEIGHT = 4.8, 4.0  # inches
_FIRST = 0.01  # of the questions: risks of fewer are noise, and do not set the scale


@dataclass(frozen=True, slots=True)
class Plot:
    """A PNG, the ``name`` of its file without ".png", its ``title``, and in words what it shows."""

    name: str
    title: str
    alt: str
    png: bytes


def draw_plots(whole: Scored, datasets: Sequence[Scored], thresholds: Thresholds) -> list[Plot]:
    """The plots of ``whole``, and one that compares the ``datasets`` that it is made of, if they are several.

    Raises MissingExtraError without matplotlib.
    """
    plots = [plot_risk_coverage(whole), plot_reliability(whole), plot_thresholds(thresholds)]
    return [*plots, plot_datasets(datasets)] if len(datasets) > 1 else plots


def plot_risk_coverage(scored: Scored) -> Plot:
    """The share of wrong answers among the shown, over the share that is shown, the most probable first."""
    graded, scores = scored.graded, scored.selective.scores
    curve = risk_coverage(graded.probability, graded.right, graded.weights)
    low, high = scored.selective.intervals["aurc"]
    reached = {accuracy: scores[name] for name, accuracy in COVERAGES.items()}

    def draw(axes: "Axes") -> None:
        axes.step(100 * np.r_[0, curve.coverage], 100 * np.r_[curve.risk[0], curve.risk], where="pre", color=BLUE)
        for (accuracy, shown), marker in zip(reached.items(), "os^", strict=True):
            axes.axhline(100 * (1 - accuracy), color=GREY, linewidth=0.8, linestyle=":")
            label = f"{_percent(accuracy)} right: {_percent(shown, 1)} shown"
            axes.plot(100 * shown, 100 * (1 - accuracy), marker, color=ORANGE, label=label, clip_on=False, zorder=3)
        steady = curve.risk[curve.coverage >= _FIRST].max()
        axes.set(xlim=(0, 100), ylim=(0, min(100.0, 110 * max(steady, 1 - min(reached)))))
        axes.set(xlabel="coverage: shown, % of all questions", ylabel="risk: wrong, % of the shown")
        axes.set_title(f"AURC {scores['aurc']:.4f} ({low:.4f} to {high:.4f})")

    shares = ", ".join(f"{_percent(shown, 1)} at {_percent(accuracy)} right" for accuracy, shown in reached.items())
    alt = (
        f"Risk over coverage. The area under the curve is {scores['aurc']:.4f}; with everything shown, "
        f"{_percent(1 - scores['accuracy'], 1)} is wrong. Of all questions can be shown: {shares}."
    )
    return Plot("risk-coverage", "Risk and coverage", alt, _draw(draw))


def plot_reliability(scored: Scored) -> Plot:
    """How often what was shown is right, over its probability: 15 bins of equal mass, the size of points is mass."""
    graded, scores = scored.graded, scored.selective.scores
    bins = reliability(graded.probability, graded.right, graded.weights)
    low, high = scored.selective.intervals["ece"]

    def draw(axes: "Axes") -> None:
        axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
        claimed, right = 100 * bins.probability, 100 * bins.accuracy
        axes.vlines(claimed, claimed, right, color=ORANGE, linewidth=1)
        axes.plot(claimed, right, color=BLUE, linewidth=1)
        axes.scatter(claimed, right, 600 * bins.mass, color=BLUE, label="bin; its size: mass")
        axes.set(xlim=(-2, 102), ylim=(-2, 102), xlabel="mean probability, %", ylabel="right, %")
        axes.set_title(f"ECE {scores['ece']:.4f} ({low:.4f} to {high:.4f})")

    rows = ", ".join(
        f"{_percent(probability)} claimed and {_percent(accuracy)} right"
        for probability, accuracy in zip(bins.probability, bins.accuracy, strict=True)
    )
    alt = f"Reliability diagram. The expected calibration error is {scores['ece']:.4f}. Bins: {rows}."
    return Plot("reliability", "Probabilities and what came true", alt, _draw(draw))


def plot_thresholds(thresholds: Thresholds) -> Plot:
    """The scores of all no-answer thresholds, the reader's own and the best one marked."""
    curve = thresholds.curve
    marks = {"best": (thresholds.best, GREEN, "--")}
    if thresholds.own is not None:
        marks["reader's own"] = (thresholds.own, "black", "-")
    lines = {"f1": ("F1", BLUE, "-"), "exact": ("exact", ORANGE, "--")}
    if "NoAns_f1" in curve and "HasAns_f1" in curve:
        lines |= {"HasAns_f1": ("HasAns F1", PURPLE, "-."), "NoAns_f1": ("NoAns F1", GREY, ":")}
    at = {name: _f1_at(thresholds, value) for name, (value, *_) in marks.items()}
    limits = _limits(curve["threshold"][1:], [value for value, *_ in marks.values()])

    def draw(axes: "Axes") -> None:
        for column, (label, colour, style) in lines.items():
            axes.step(curve["threshold"], curve[column], where="post", color=colour, linestyle=style, label=label)
        for name, (value, colour, style) in marks.items():
            label = f"{name}: {value:.2f}, F1 {at[name]:.2f}"
            axes.axvline(np.clip(value, *limits), color=colour, linestyle=style, linewidth=1, label=label)
        axes.set(xlim=limits, ylim=(-2, 102), xlabel="no-answer threshold on the null margin, logits", ylabel="score")

    figures = ", ".join(f"{name} threshold {value:.2f} has F1 {at[name]:.2f}" for name, (value, *_) in marks.items())
    alt = f"{', '.join(label for label, *_ in lines.values())} over the no-answer threshold: the {figures}."
    return Plot("thresholds", "No-answer thresholds", alt, _draw(draw))


def plot_datasets(datasets: Sequence[Scored]) -> Plot:
    """F1 of each dataset with its 95 % interval."""
    names = [f"{one.dataset} ({one.language})" if one.language else one.dataset for one in datasets]
    values = [one.main.scores["f1"] for one in datasets]
    ends = [one.main.intervals["f1"] for one in datasets]

    def draw(axes: "Axes") -> None:
        places = range(len(names))
        axes.hlines(places, *zip(*ends, strict=True), color=BLUE)
        axes.plot(values, places, "o", color=BLUE)
        shown, fonts = zip(*map(legible, names), strict=True)
        axes.set_yticks(places, shown, parse_math=False)
        for label, families in zip(axes.get_yticklabels(), fonts, strict=True):
            label.set_fontfamily(families)
        axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="F1 with 95 % interval")

    rows = "; ".join(
        f"{name}: {value:.2f} ({low:.2f} to {high:.2f})"
        for name, value, (low, high) in zip(names, values, ends, strict=True)
    )
    alt = f"F1 of each dataset with its 95 % interval. {rows}."
    return Plot("datasets", "F1 of each dataset", alt, _draw(draw, height=1.2 + 0.25 * len(names)))


def _f1_at(thresholds: Thresholds, value: float) -> float:
    """The F1 of a listed threshold."""
    (row,) = np.flatnonzero(thresholds.listed["threshold"] == value)
    return float(thresholds.listed["f1"][row])


def _limits(margins: Floats, marked: Sequence[float]) -> tuple[float, float]:
    """From where to where to draw: most margins, and what is marked unless it lies far off."""
    low, high = np.quantile(margins, [0.005, 0.995])
    width = high - low
    return max(low - width, min(low, *marked)) - 1, min(high + width, max(high, *marked)) + 1


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _draw(draw: Callable[["Axes"], None], height: float = _HEIGHT) -> bytes:
    """One pair of axes, its legend below it."""

    def fill(figure: "Figure") -> None:
        axes = figure.add_subplot()
        draw(axes)
        if axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside lower center", ncols=2)

    return draw_png(_WIDTH, height, fill)
