import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from polyspan.evaluation import (
    Answered,
    Plot,
    Prediction,
    Questions,
    Scored,
    complete_reports,
    explore_thresholds,
    html_report,
    pool,
    score_predictions,
)
from polyspan.metrics import signature_text
from polyspan.types import GoldAnswer, QAExample

PLOTS = [Plot("one", "One & all", 'says "1 < 2"', b"\x89PNG")]
ATTACK = '</style></p><script>alert(\'x\')</script><img src="https://example.org/x" onerror=y> "q" &amp; $title'
WITHOUT_END = {"meta", "img"}


class Page(HTMLParser):
    """What a browser makes of a report: its tags, and its texts with the class or tag of the element they stand in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in WITHOUT_END:
            self.open.append((tag, dict(attrs).get("class") or tag))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1][1], data))

    def within(self, *elements: str) -> list[str]:
        return [text for element, text in self.texts if element in elements]

    def row(self, key: str) -> list[str]:
        """The texts of the cells, and of their notes, in the first row of a table that has the ``key`` in it."""
        row = next(row for row in re.findall("<tr.*?</tr>", self.html, re.DOTALL) if f">{key}<" in row)
        return [text.strip() for text in re.split("<[^>]*>", row) if text.strip()]


def scored(answered: Answered, regimes: Sequence[str], prior: float | None) -> Scored:
    return complete_reports({regime: score_predictions(regime, answered) for regime in regimes}, answered, prior)


def page_of(*sets: Answered, regimes: Sequence[str] = (), prior: float | None = None) -> Page:
    parts = [scored(one, regimes, prior) for one in sets]
    whole = scored(pool(sets), regimes, prior) if len(sets) > 1 else parts[0]
    return Page(html_report(whole, parts, explore_thresholds(whole.graded), PLOTS))


def one_error(context: str, gold: str, said: str, language: str = "", text: str = "?") -> Answered:
    """A question that was answered wrong, and one that was answered right; ``text`` is whatever else a dataset says."""
    start = context.index(said)
    examples = [
        QAExample(text, text, context, (GoldAnswer(gold, context.index(gold)),), title=text),
        QAExample("right", "?", "yes", (GoldAnswer("yes", 0),)),
    ]
    rows = [
        Prediction(text, said, start, start + len(said), 0.875, 0.0625, abstained=False, null_margin=-2.0),
        Prediction("right", "yes", 0, 3, 0.5, 0.25, abstained=False, null_margin=-1.0),
    ]
    source = {"dataset": text, "dataset_sha256": "0a", "model": text}
    return Answered(Questions(examples, [language] * 2, source), {row.id: row for row in rows}, 0.0)


def test_html_has_the_numbers_of_the_reports(answered: Answered) -> None:
    page = page_of(answered, regimes=("squad", "squad1"), prior=0.5)
    squad, squad1 = (score_predictions(name, answered) for name in ("squad", "squad1"))
    selective = score_predictions("selective", answered, prior=0.5)
    for report, digits, rest in ((squad, 2, squad1), (selective, 4, None)):
        for name, value in report.scores.items():
            if report is selective and name == "total":
                continue  # the row of the other table comes first
            shown = [f"{value:.{digits}f}" if isinstance(value, float) else f"{value}"]
            if name in report.intervals:
                shown.append(" to ".join(f"{end:.{digits}f}" for end in report.intervals[name]))
            assert set(shown) <= set(page.row(name))
            if rest is not None and name not in rest.scores:
                assert page.row(name)[-1] == "–"
        assert signature_text(report) in page.within("signature")
    assert signature_text(squad1) in page.within("signature")
    assert page.within("b") == [
        *(f"{squad.scores[name]:.2f}" for name in ("f1", "exact", "HasAns_f1", "NoAns_f1")),
        *(f"{selective.scores[name]:.4f}" for name in ("accuracy", "coverage_at_90", "ece")),
    ]
    assert "8 questions, 3 of them unanswerable, probabilities and thresholds for a prior of 0.5" in page.within("p")


def test_html_has_the_threshold_table(answered: Answered) -> None:
    page, squad = page_of(answered), score_predictions("squad", answered).scores
    own, best = page.row("the reader&#x27;s own"), page.row("best F1")
    shown = [f"{squad[name]:.2f}" for name in ("f1", "exact", "HasAns_f1", "NoAns_f1")]
    assert own == ["0.00", "the reader&#x27;s own", *shown, "50.00"]
    assert best[:3] == [f"{squad['best_f1_thresh']:.2f}", "best F1", f"{squad['best_f1']:.2f}"]
    never = page_of(one_error("ab", "a", "b"))
    assert "NoAns F1" not in never.within("th")


def test_html_of_several_datasets_has_a_row_each(answered: Answered) -> None:
    other = one_error("in der Stadt", "der Stadt", "in", "de", "zwei.json")
    page = page_of(answered, other)
    for one in (answered, other, pool([answered, other])):
        scores = score_predictions("squad", one).scores
        row = page.row(str(one.questions.source["dataset"]))
        assert row[:2] == [one.questions.source["dataset"], "de" if one is other else "–"]
        assert row[2] == str(scores["total"])
        assert f"{scores['f1']:.2f}" in row
        assert f"{score_predictions('selective', one).scores['ece']:.4f}" in row
    assert "Datasets" not in page_of(answered).within("h2")


def test_html_escapes_whatever_comes() -> None:
    page = page_of(one_error(f"{ATTACK} gold {ATTACK}", "gold", ATTACK, '"><b>', text=ATTACK))
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "link", "object", "form", "a"} == set()
    assert page.html.count("<style>") == page.html.count("</style>") == 1
    assert page.html.lower().count("<script") == 0
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.within("h3") == [ATTACK]
    assert ATTACK in page.within("said")
    assert page.within("title") == [f"Evaluation of {ATTACK} on {ATTACK}"]


def test_html_needs_no_other_file_and_no_network(answered: Answered) -> None:
    page = page_of(answered, one_error("ab", "a", "b"))
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert addresses == ["data:image/png;base64,iVBORw=="]
    assert "@import" not in page.html
    assert "url(" not in page.html
    assert "://" not in page.html
    (policy,) = (attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    (image,) = (attributes for tag, attributes in page.tags if tag == "img")
    assert image["alt"] == 'says "1 < 2"'
    assert page.within("figcaption") == ["One & all"]


def test_html_lists_the_most_confident_errors(answered: Answered) -> None:
    page = page_of(answered)
    asked = {example.id: example.question for example in answered.questions.examples}
    assert page.within("h3") == [asked[key] for key in ("sure", "false", "unsure", "quiet", "silent")]
    assert "Answers that are not exactly right: 3. The most confident come first." in page.within("quiet")
    assert "Answerable questions without an answer: 2. The most confident come first." in page.within("quiet")
    shown = [text for text in page.within("dd") if "%" in text]
    assert shown == [", 80.00 %", ", 60.00 %", ", 40.00 %", ", 70.00 %", ", 10.00 %", ", 60.00 %", ", 30.00 %"]
    assert page.within("dt").count("Withheld") == page.within("dt").count("Shown") == 2


def test_html_lists_twenty_errors_of_a_kind() -> None:
    wrong = [one_error("a b", "a", "b", text=f"q{number}") for number in range(25)]
    page = page_of(*wrong)
    assert page.within("h3") == [f"q{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("context", "gold", "said", "language", "direction"),
    [
        ("Anna lives in Oslo, Norway.", "Oslo", "in", "", "ltr"),
        ("F-15E הוא דגם של מטוס קרב", "דגם", "מטוס", "he", "rtl"),
        ("橋は1874年に開通しました。", "1874年", "橋", "ja", "ltr"),
        ("Половина\n🎉 города", "🎉", "города", "ru", "ltr"),
    ],
)
def test_html_marks_gold_and_prediction_in_the_context(
    context: str, gold: str, said: str, language: str, direction: str
) -> None:
    page = page_of(one_error(context, gold, said, language))
    assert (page.within("gold"), page.within("said")) == ([gold], [said])
    assert [attributes["data-label"] for tag, attributes in page.tags if tag == "mark"] == (
        ["gold", "predicted"] if context.index(gold) < context.index(said) else ["predicted", "gold"]
    )
    assert "".join(page.within("context", "gold", "said")) == context
    (written,) = (attributes for _, attributes in page.tags if attributes.get("class") == "context")
    assert (written["dir"], written["lang"]) == (direction, language)


def test_html_marks_what_is_both_and_the_withheld(answered: Answered) -> None:
    page = page_of(answered)
    assert page.within("gold said") == ["Rome", "two", "Oslo"]  # of "Oslo to Rome", "two boats" and "Oslo"
    labels = [attributes.get("data-label") for tag, attributes in page.tags if tag == "mark"]
    assert labels == ["predicted", "gold", "predicted", "predicted", "gold", "gold, withheld", None, "gold, withheld"]


def test_html_writes_halves_of_surrogate_pairs_as_escapes() -> None:
    assert "\\ud83d" in page_of(one_error("a \ud83d b", "a", "\ud83d")).within("said")
