"""One HTML file that shows an evaluation: scores, plots and the worst errors; it needs no other file and no network."""

from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from string import Template
from unicodedata import bidirectional

from polyspan.evaluation.plots import Plot
from polyspan.evaluation.reports import COVERAGES, SELECTIVE, Scored
from polyspan.evaluation.thresholds import Thresholds
from polyspan.evaluation.worst import (
    Piece,
    WorstError,
    context_pieces,
    gold_spans,
    predicted_span,
    wrong_abstentions,
    wrong_answers,
)
from polyspan.metrics import signature_text
from polyspan.types import Report

_LISTED = 20  # errors of each kind
_NONE = "–"

_TEXT_SCORES = {
    "exact": "Exact match",
    "f1": "F1",
    "total": "Questions",
    "HasAns_exact": "HasAns exact match",
    "HasAns_f1": "HasAns F1",
    "HasAns_total": "HasAns questions",
    "NoAns_exact": "NoAns exact match",
    "NoAns_f1": "NoAns F1",
    "NoAns_total": "NoAns questions",
    "best_exact": "Exact match at its best no-answer threshold",
    "best_exact_thresh": "That threshold, logits",
    "best_f1": "F1 at its best no-answer threshold",
    "best_f1_thresh": "That threshold, logits",
}
_SELECTIVE_SCORES = {
    "accuracy": ("Accuracy", "share of the questions whose shown answer, or abstention, is exactly right"),
    "aurc": ("AURC", "area under the risk-coverage curve; less is better"),
    "ece": ("ECE", "mean difference of probability and accuracy, in 15 bins of equal mass; less is better"),
    "brier": ("Brier score", "mean squared difference of probability and outcome; less is better"),
    **{
        name: (
            f"Coverage at {100 * accuracy:.0f} % accuracy",
            f"largest share of the questions, the most probable first, of which {100 * accuracy:.0f} % are right",
        )
        for name, accuracy in COVERAGES.items()
    },
    "no_answer_precision": ("No-answer precision", "share of the abstentions that are right"),
    "no_answer_recall": ("No-answer recall", "share of the unanswerable questions that were abstained from"),
    "no_answer_f1": ("No-answer F1", "harmonic mean of the two"),
    "total": ("Questions", ""),
}
_THRESHOLD_COLUMNS = {
    "threshold": "Threshold, logits",
    "f1": "F1",
    "exact": "Exact match",
    "HasAns_f1": "HasAns F1",
    "NoAns_f1": "NoAns F1",
    "abstained": "Abstained, %",
}
_ABSTENTION = '<span class="quiet">no answer</span>'


def html_report(whole: Scored, datasets: Sequence[Scored], thresholds: Thresholds, plots: Iterable[Plot]) -> str:
    """The report as a whole HTML document.

    Args:
        whole: all questions.
        datasets: those of each dataset, one or more, whose errors are shown.
        thresholds: those of ``whole``.
        plots: what ``draw_plots`` drew of the same.
    """
    model = whole.main.signature.get("model")
    title = f"Evaluation {'' if model is None else f'of {model} '}on {whole.dataset}"
    graded = [one.graded for one in datasets]
    sections = [
        _scores(whole),
        _datasets(datasets, whole) if len(datasets) > 1 else "",
        _selective(whole),
        _thresholds(thresholds, whole),
        _plots(plots),
        _errors("Wrong answers", "Answers that are not exactly right", wrong_answers(graded), "predicted"),
        _errors("Wrong abstentions", "Answerable questions without an answer", wrong_abstentions(graded), "withheld"),
    ]
    page = Template((files("polyspan.evaluation") / "report.html").read_text(encoding="utf-8"))
    text = page.substitute(
        title=escape(title),
        subtitle=escape(_subtitle(whole, len(datasets))),
        tiles="\n".join(_tiles(whole)),
        signature=escape(signature_text(whole.main)),
        sections="\n".join(sections),
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # halves of surrogate pairs stay escaped


def _subtitle(whole: Scored, datasets: int) -> str:
    unanswerable = int(whole.graded.unanswerable.sum())
    parts = [f"{len(whole.graded.rows):,} questions", f"{unanswerable:,} of them unanswerable"]
    if datasets > 1:
        parts.append(f"from {datasets} files")
    if "prior" in whole.graded.settings:
        parts.append(f"probabilities and thresholds for a prior of {whole.graded.settings['prior']}")
    return ", ".join(parts)


def _tiles(whole: Scored) -> Iterator[str]:
    labels = {**_TEXT_SCORES, **{name: label for name, (label, _) in _SELECTIVE_SCORES.items()}}
    for report, names in (
        (whole.main, ("f1", "exact", "HasAns_f1", "NoAns_f1")),
        (whole.selective, ("accuracy", "coverage_at_90", "ece")),
    ):
        for name in names:
            if name in report.scores:
                interval = _interval(report, name)
                yield f'<li>{labels[name]}<b>{_value(report, name)}</b><span class="quiet">{interval}</span></li>'


def _scores(whole: Scored) -> str:
    """The reports of all regimes that compare texts, one a column."""
    reports = {regime: report for regime, report in whole.reports.items() if regime != SELECTIVE}
    rows = [
        [f"{label} <code>{name}</code>", *(_cell(report, name) for report in reports.values())]
        for name, label in _TEXT_SCORES.items()
        if any(name in report.scores for report in reports.values())
    ]
    note = '<p class="quiet">HasAns are the answerable questions, NoAns the unanswerable ones.</p>'
    table = _table("From 0 to 100, with 95 % intervals, by regime", ["", *map(escape, reports)], rows)
    return _section("Scores", table, note, *map(_signature, list(reports.values())[1:]))


def _datasets(datasets: Sequence[Scored], whole: Scored) -> str:
    texts = ("total", "exact", "f1", "HasAns_f1", "NoAns_f1")
    shares = ("accuracy", "coverage_at_90", "ece", "no_answer_precision", "no_answer_recall")
    header = ["Dataset", "Language", *(_TEXT_SCORES[name] for name in texts)]
    rows = [
        [
            escape(one.dataset),
            escape(one.language) or _NONE,
            *(_cell(one.main, name) for name in texts),
            *(_cell(one.selective, name) for name in shares),
        ]
        for one in (*datasets, whole)
    ]
    header += [_SELECTIVE_SCORES[name][0] for name in shares]
    return _section("Datasets", _table(f"By dataset; regime {whole.regime}", header, rows, {len(datasets)}))


def _selective(whole: Scored) -> str:
    rows = [
        [_noted(f"{label} <code>{name}</code>", meaning), _cell(whole.selective, name)]
        for name, (label, meaning) in _SELECTIVE_SCORES.items()
        if name in whole.selective.scores
    ]
    table = _table("From 0 to 1, with 95 % intervals", ["", "Value"], rows)
    return _section("Probabilities and abstaining", table, _signature(whole.selective))


def _thresholds(thresholds: Thresholds, whole: Scored) -> str:
    columns = {name: label for name, label in _THRESHOLD_COLUMNS.items() if name in thresholds.listed}
    notes = {thresholds.best: "best F1"}
    if thresholds.own is not None:
        notes[thresholds.own] = ", ".join(filter(None, ["the reader's own", notes.get(thresholds.own)]))
    values = list(zip(*(thresholds.listed[name] for name in columns), strict=True))
    shown = ([f"{value:z.2f}" for value in row] for row in values)
    rows = [
        [_noted(first, notes.get(row[0], "")), *others] for row, (first, *others) in zip(values, shown, strict=True)
    ]
    marked = {number for number, row in enumerate(values) if row[0] in notes}
    note = f'<p class="quiet">Texts are compared by {escape(whole.graded.normaliser)}.</p>'
    return _section("No-answer thresholds", _table("From 0 to 100", columns.values(), rows, marked), note)


def _plots(plots: Iterable[Plot]) -> str:
    figures = "\n".join(
        f'<figure><figcaption>{escape(plot.title)}</figcaption><img alt="{escape(plot.alt)}" '
        f'src="data:image/png;base64,{b64encode(plot.png).decode("ascii")}"></figure>'
        for plot in plots
    )
    return _section("Plots", f'<div class="plots">\n{figures}\n</div>')


def _errors(heading: str, what: str, errors: Sequence[WorstError], role: str) -> str:
    """The first errors; the best span of each plays the ``role``."""
    note = f'<p class="quiet">{what}: {len(errors):,}. The most confident come first.</p>'
    items = "\n".join(_error(error, role) for error in errors[:_LISTED])
    return _section(heading, note, f"<ol>\n{items}\n</ol>")


def _error(error: WorstError, role: str) -> str:
    example, row = error.example, error.row
    golds = dict.fromkeys(answer.text for answer in example.answers if answer.text)
    gold = "".join(f"<dd>{_quoted(text, error.language)}</dd>" for text in golds) or f"<dd>{_ABSTENTION}</dd>"
    said = f"{_ABSTENTION}, {_percent(row.no_answer_score)}" if row.abstained else ""
    best = f"{_quoted(row.text, error.language) if row.text else _ABSTENTION}, {_percent(row.score)}"
    facts = " · ".join(_quoted(text, "") for text in (error.dataset, example.title, example.id) if text)
    context = context_pieces(example.context, {"gold": gold_spans(example), role: predicted_span(error)})
    return f"""<li class="error">
<h3 {_written(example.question, "")}>{escape(example.question)}</h3>
<dl>
<dt>Gold</dt>{gold}
{f"<dt>Shown</dt><dd>{said}</dd>" if said else ""}
<dt>{role.capitalize()}</dt><dd>{best}</dd>
</dl>
<p class="context" {_written(example.context, error.language)}>{"".join(map(_piece, context))}</p>
<p class="quiet">{facts}</p>
</li>"""


def _quoted(text: str, language: str) -> str:
    return f"<bdi {_written(text, language)}>{escape(text)}</bdi>"


def _written(text: str, language: str) -> str:
    """Attributes that say how a text is written: the direction of most of its letters, not of the first as "auto" does.

    A Hebrew text may begin with a Latin name.
    """
    kinds = Counter(map(bidirectional, text))
    direction = "rtl" if kinds["R"] + kinds["AL"] > kinds["L"] else "ltr"
    return f'dir="{direction}" lang="{escape(language)}"'


def _piece(piece: Piece) -> str:
    if not piece.text:
        return '<span class="quiet"> … </span>'
    if not piece.roles:
        return escape(piece.text)
    kinds = " ".join("gold" if role == "gold" else "said" for role in piece.roles)
    label = f' data-label="{", ".join(piece.beginning)}"' if piece.beginning else ""
    return f'<mark class="{kinds}"{label}>{escape(piece.text)}</mark>'


def _section(heading: str, *content: str) -> str:
    return "\n".join(["<section>", f"<h2>{heading}</h2>", *content, "</section>"])


def _table(
    caption: str, header: Iterable[str], rows: Iterable[Sequence[str]], marked: Collection[int] = frozenset()
) -> str:
    """A table of HTML cells, the first of each row its heading, some rows ``marked`` by number; a wide one scrolls."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "\n".join(
        f'<tr{" class=marked" if number in marked else ""}><th scope="row">{first}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in others)}</tr>"
        for number, (first, *others) in enumerate(rows)
    )
    return (
        f'<div class="wide" tabindex="0"><table>\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _signature(report: Report) -> str:
    return f'<code class="signature">{escape(signature_text(report))}</code>'


def _cell(report: Report, name: str) -> str:
    return _noted(_value(report, name), _interval(report, name))


def _noted(text: str, note: str) -> str:
    return f"{text}<small>{escape(note)}</small>" if note else text


def _value(report: Report, name: str) -> str:
    """A score as the commands print it."""
    value = report.scores.get(name)
    if value is None:
        return _NONE
    return f"{value:.{_digits(report)}f}" if isinstance(value, float) else f"{value}"


def _interval(report: Report, name: str) -> str:
    if name not in report.intervals:
        return ""
    low, high = report.intervals[name]
    return f"{low:.{_digits(report)}f} to {high:.{_digits(report)}f}"


def _digits(report: Report) -> int:
    return 4 if report.signature["metric"] == SELECTIVE else 2  # 0 to 1, others 0 to 100


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
