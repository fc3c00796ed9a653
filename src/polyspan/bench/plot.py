"""A benchmark as a picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from polyspan.bench.contest import BARE, READER, Contest
from polyspan.bench.run import Bench
from polyspan.bench.timing import growth_exponent, medians
from polyspan.bench.workloads import PAGE_CHARS
from polyspan.evaluation.figures import draw_png
from polyspan.evaluation.plots import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _BAR = 9.6, 6.4, 0.25  # inches; of one bar


def draw_bench(bench: Bench) -> bytes:
    """The content of a PNG file: throughput of all contestants, and what length and number of questions cost.

    Raises MissingExtraError without matplotlib.
    """

    def fill(figure: "Figure") -> None:
        figure.suptitle(f"{bench.model['name']} on {bench.source['dataset']}", fontsize="large", parse_math=False)
        panels = figure.subplots(2, 2, height_ratios=[bars, _HEIGHT / 2])
        for axes, contest in zip(panels[0], bench.contests, strict=True):
            _draw_contest(axes, contest)
        peaks = [one.peak_bytes for pages, one in bench.documents.items() if pages]
        _draw_growth(
            panels[1][0],
            bench.document_medians,
            f"pages of {PAGE_CHARS:,} characters, with the process's peak memory",
            peaks,
        )
        _draw_growth(panels[1][1], medians(bench.question_seconds), "questions, each on its own paragraph")

    bars = 1.0 + _BAR * len(bench.contests[0].seconds)
    return draw_png(_WIDTH, _HEIGHT / 2 + bars + 0.5, fill)


def _draw_contest(axes: "Axes", contest: Contest) -> None:
    """Throughput of each contestant, the quickest first; a line from the slowest run to the quickest."""
    middle = medians(contest.seconds)
    names = sorted(middle, key=middle.__getitem__)
    colours = {READER: BLUE, BARE: GREY}
    places = range(len(names))
    speeds = [contest.tokens / middle[name] for name in names]
    axes.barh(places, speeds, color=[colours.get(name, ORANGE) for name in names])
    ends = [
        (contest.tokens / max(contest.seconds[name]), contest.tokens / min(contest.seconds[name])) for name in names
    ]
    axes.hlines(places, *zip(*ends, strict=True), color="black", linewidth=1)
    for place, name, speed, (_, end) in zip(places, names, speeds, ends, strict=True):
        share = f" {middle[READER] / middle[name]:.2f}"
        axes.text(max(speed, end), place, share, va="center", fontsize="small")
    axes.set_yticks(places, names, parse_math=False)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="tokens a second; the figure: times the reader")
    axes.set_xlim(0, 1.15 * max(end for _, end in ends))
    axes.set_title(contest.workload, fontsize="medium")
    axes.grid(visible=False, axis="y")


def _draw_growth(
    axes: "Axes", seconds: Mapping[float, float] | Mapping[int, float], what: str, peaks: Sequence[int | None] = ()
) -> None:
    """Seconds over size, both in powers of 10, beside what they would be in proportion to the largest."""
    sizes, costs = list(seconds), list(seconds.values())
    axes.loglog(sizes, [costs[-1] * size / sizes[-1] for size in sizes], "--", color=GREY, label="in proportion")
    axes.loglog(sizes, costs, "o-", color=BLUE, label="reader")
    for size, cost, peak in zip(sizes, costs, peaks, strict=False):
        if peak is not None:
            label = f"{peak / 2**20:.0f} MiB"
            axes.annotate(label, (size, cost), (4, -4), textcoords="offset points", va="top", fontsize="small")
    axes.set_xticks(sizes, [f"{size:.3g}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_xlim(sizes[0] / 1.5, 2 * sizes[-1])
    axes.set(xlabel=what, ylabel="seconds")
    axes.set_title(f"grows with the power {growth_exponent(seconds):.2f}", fontsize="medium")
    axes.legend()
