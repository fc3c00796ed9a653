from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.datasets.parallel import Pair
from polyspan.errors import InputError
from polyspan.evaluation.crosslingual import CrossLingual, LanguagePair, cross_lingual, questions_of
from polyspan.evaluation.predictions import Prediction
from polyspan.evaluation.reports import Answered, score_predictions
from polyspan.metrics import bootstrap_interval
from polyspan.types import GoldAnswer, QAExample

# What is said, by question id; the gold answer is always "one two".
SAID: Mapping[LanguagePair, Mapping[str, str]] = {
    ("de", "de"): {"a": "one two", "b": "one two", "c": "one", "d": ""},
    ("de", "en"): {"a": "one two", "b": "three", "c": "three", "d": ""},
    ("en", "en"): {"a": "one two", "b": "one two", "c": "one two", "d": "two"},
    ("en", "de"): {"a": "two", "b": "three", "c": "", "d": "two"},
}


def answered(languages: LanguagePair, said: Mapping[str, str], *, abstained: bool = False) -> Answered:
    examples = [QAExample(key, "?", "one two three", (GoldAnswer("one two", 0),)) for key in said]
    source = {"dataset": "-".join(languages), "dataset_sha256": languages[0], "model": "fake", "no_answer": "auto"}
    rows = {
        key: Prediction(key, text, 0, len(text), 0.5, 0.5, abstained=abstained, null_margin=0.0)
        for key, text in said.items()
    }
    return Answered(questions_of(Pair(*languages, examples, source)), rows, None)


def scored(said: Mapping[LanguagePair, Mapping[str, str]] = SAID, regime: str = "squad1") -> CrossLingual:
    return cross_lingual(regime, {languages: answered(languages, texts) for languages, texts in said.items()})


def test_crosslingual_matrices_hold_the_reports_of_pairs() -> None:
    result = scored()
    assert (result.question_languages, result.context_languages) == (["de", "en"], ["de", "en"])
    assert result.matrix("exact") == [[50, 25], [0, 75]]
    for languages, said in SAID.items():
        assert result.reports[languages] == score_predictions("squad1", answered(languages, said))


def test_crosslingual_averages_are_means_over_pairs() -> None:
    result = scored()
    exact = {name: report.scores["exact"] for name, report in result.averages.items()}
    assert exact == {"same_language": 62.5, "cross_language": 12.5, "all_pairs": 37.5}
    everything = result.averages["all_pairs"]
    assert everything.scores["f1"] == pytest.approx(fmean(value or 0 for row in result.matrix("f1") for value in row))
    assert everything.scores["total"] == 4
    signature = everything.signature
    assert (signature["dataset"], signature["n"], signature["model"]) == ("4 pairs", 4, "fake")
    assert signature["normaliser"] == "squad-v1-official"
    assert signature["dataset_sha256"] != result.averages["same_language"].signature["dataset_sha256"]


def test_crosslingual_intervals_draw_questions_with_all_their_pairs() -> None:
    result = scored()
    means = [100 * fmean(said[key] == "one two" for said in SAID.values()) for key in "abcd"]
    assert result.averages["all_pairs"].intervals["exact"] == pytest.approx(bootstrap_interval(means))


def test_crosslingual_pairs_may_lack_and_hold_other_questions() -> None:
    result = scored({("zh", "en"): {"a": "one two"}, ("en", "en"): {"b": "one two", "c": "three"}})
    assert (result.question_languages, result.context_languages) == (["zh", "en"], ["en"])
    assert result.matrix("exact") == [[100], [50]]
    report = result.averages["all_pairs"]
    assert (report.scores["exact"], report.scores["total"]) == (75, 3)
    assert "n" not in report.signature
    low, high = report.intervals["exact"]
    assert low < 75 < high
    assert scored({("zh", "en"): {"a": "one two"}, ("en", "zh"): {"a": "one"}}).matrix("exact") == [
        [None, 100],
        [0, None],
    ]
    assert set(scored({("zh", "zh"): {"a": "one"}}).averages) == {"same_language", "all_pairs"}


def test_crosslingual_scores_in_the_language_of_the_context() -> None:
    said = {("en", "de"): {"a": "die one two"}, ("de", "en"): {"a": "die one two"}}
    result = scored(said, "mlqa")
    assert result.matrix("exact") == [[None, 100], [0, None]]
    assert result.averages["all_pairs"].signature["normaliser"] == "mlqa-v1-de+mlqa-v1-en"
    with pytest.raises(InputError, match="MLQA's script knows only"):
        scored({("en", "fr"): {"a": "one two"}}, "mlqa")


def test_crosslingual_abstaining_counts_as_the_rules_of_the_regime_have_it() -> None:
    one = answered(("en", "en"), {"a": "one two"}, abstained=True)
    squad1, squad2 = (
        cross_lingual(regime, {("en", "en"): one}).averages["all_pairs"] for regime in ("squad1", "squad")
    )
    assert (squad1.scores["exact"], squad2.scores["exact"]) == (100, 0)
    assert (squad1.intervals["exact"], squad2.intervals["exact"]) == ((100, 100), (0, 0))
    unanswerable = replace(one.questions.examples[0], id="b", answers=(), is_impossible=True)
    questions = replace(one.questions, examples=[*one.questions.examples, unanswerable], languages=["en", "en"])
    rows = {**one.predictions, "b": replace(one.predictions["a"], id="b")}
    both = {("en", "en"): Answered(questions, rows, None)}
    totals = [cross_lingual(regime, both).averages["all_pairs"].scores["total"] for regime in ("squad1", "squad")]
    assert totals == [1, 2]


TEXTS = st.sampled_from(["one two", "one", "", "three"])
PAIRS = st.tuples(st.sampled_from("xyz"), st.sampled_from("xyz"))


@given(st.dictionaries(PAIRS, st.fixed_dictionaries(dict.fromkeys("abcde", TEXTS)), min_size=1))
def test_crosslingual_of_the_same_questions_draws_their_means(said: Mapping[LanguagePair, Mapping[str, str]]) -> None:
    questions = next(iter(said.values()))
    means = [100 * fmean(texts[key] == "one two" for texts in said.values()) for key in questions]
    assert scored(said).averages["all_pairs"].intervals["exact"] == pytest.approx(bootstrap_interval(means))


@given(PAIRS, st.dictionaries(st.sampled_from("abcdef"), TEXTS, min_size=1))
def test_crosslingual_average_of_one_pair_is_its_report(languages: LanguagePair, texts: Mapping[str, str]) -> None:
    result = scored({languages: texts})
    (report,) = result.reports.values()
    average = result.averages["all_pairs"]
    assert dict(average.scores) == pytest.approx(dict(report.scores))
    for name in ("exact", "f1"):
        assert average.intervals[name] == pytest.approx(report.intervals[name])


def test_crosslingual_intervals_of_different_questions_are_those_of_drawing_them() -> None:
    generator = np.random.default_rng(0)
    right = generator.random((3, 400)) < np.array([[0.4], [0.6], [0.8]])
    asked = generator.random((3, 400)) < 0.5
    said = {
        ("de", context): {
            str(number): "one two" if right[row, number] else "three" for number in np.flatnonzero(asked[row])
        }
        for row, context in enumerate(("de", "en", "zh"))
    }
    drawn = generator.integers(400, size=(2000, 400))
    means = ((right & asked)[:, drawn].sum(axis=2) / asked[:, drawn].sum(axis=2)).mean(axis=0)
    expected = 100 * np.quantile(means, [0.025, 0.975])
    assert scored(said).averages["all_pairs"].intervals["exact"] == pytest.approx(expected, abs=0.4)
