import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.errors import InputError
from polyspan.metrics.mlqa import mlqa, mlqa_extended
from polyspan.metrics.regime import Regime
from polyspan.metrics.squad import exact_match, score_squad1, token_f1
from polyspan.types import GoldAnswer, QAExample

LANGUAGES = ["ar", "de", "en", "es", "hi", "vi", "zh"]
texts = st.text() | st.lists(st.sampled_from(["der", "The", "ال", "東京", "서울", "กรุงเทพ", "-", "。", "\u00a0"])).map(
    "".join
)


def scores(regime: Regime, gold: str, prediction: str) -> list[float]:
    """Exact match and F1 (0 to 100) of one pair, by SQuAD 1.1's rules for empty answers, which are the script's."""
    examples = [QAExample("1", "?", "context", (GoldAnswer(gold, 0),))]
    report = score_squad1(examples, {"1": prediction}, resamples=0, regime=regime)
    return [report.scores["exact"], report.scores["f1"]]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Einer der  Türme des Domes", "türme domes"),
        ("en", "The cat — an owl’s «a»", "cat owls"),
        ("en", "5 $ + 3 €", "5 3 €"),
        ("es", "¿La ciudad de las Artes?", "ciudad de artes"),
        ("es", "el the der", "the der"),
        ("vi", "những ngày ấy", "ngày ấy"),
        ("hi", "दिल्ली में।", "दिल्ली में"),
        ("ar", "في الشرق الأوسط،", "في شرق أوسط"),
        ("ar", "خيالي", "خي ي"),
        ("zh", "桃园、ABC Def市！", "桃 园 abc def 市"),
        ("zh", "龥龦龦", "龥 龦龦"),  # the last character that the script counts alone, and two past it
        ("en", "桃园", "桃园"),
        ("de", "Der, die!", ""),
    ],
)
def test_mlqa_normalises_as_official(language: str, text: str, expected: str) -> None:
    assert mlqa(language).normalise(text) == expected
    assert mlqa_extended(language).normalise(text) == expected


def test_mlqa_scores_by_hand() -> None:
    assert scores(mlqa("de"), "ein Haus am See", "das Haus am See") == [100, 100]
    assert scores(mlqa("de"), "ein Haus am See", "ein am See") == [0, 80]
    assert scores(mlqa("zh"), "桃园市大溪区", "园市大溪区") == [0, 100 * 10 / 11]
    assert scores(mlqa("es"), "ein Haus", "Haus") == [0, pytest.approx(100 * 2 / 3)]
    assert scores(mlqa("de"), "der", "die.") == [100, 0]


def test_mlqa_refuses_a_language_that_its_script_does_not_know() -> None:
    with pytest.raises(InputError, match="language 'ja': MLQA's script knows only ar, de, en, es, hi, vi, zh"):
        mlqa("ja")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ja", "「東京タワー」です。", "東 京 タ ワ ー で す"),
        ("ko", "서울특별시, 2002년", "서 울 특 별 시 2002 년"),
        ("th", "กรุงเทพ 10", "ก ร ุ ง เ ท พ 10"),
        ("fr", "La Tour, Eiffel", "la tour eiffel"),
        ("", "Der 東京", "der 東 京"),
    ],
)
def test_mlqa_extended_counts_characters_where_words_are_not_spaced(language: str, text: str, expected: str) -> None:
    assert mlqa_extended(language).normalise(text) == expected


@given(st.sampled_from(LANGUAGES), texts)
def test_mlqa_extended_equals_the_official_regime_in_its_languages(language: str, text: str) -> None:
    assert mlqa_extended(language).normalise(text) == mlqa(language).normalise(text)


@given(st.sampled_from([*LANGUAGES, "ja", "ko", "th", ""]), texts, texts)
def test_mlqa_f1_is_symmetric_bounded_and_not_below_exact(language: str, one: str, other: str) -> None:
    regime = mlqa_extended(language)
    f1 = token_f1([one], other, regime)
    assert f1 == token_f1([other], one, regime)
    assert exact_match([one], other, regime) <= f1 <= 1
    assert exact_match([one], one, regime) == 1


def test_mlqa_signatures_tell_languages_and_the_extension_apart() -> None:
    regimes = [mlqa("de"), mlqa("zh"), mlqa_extended("de"), mlqa_extended("")]
    assert [one.normaliser for one in regimes] == ["mlqa-v1-de", "mlqa-v1-zh", "mlqa-extended-de", "mlqa-extended-any"]


@pytest.mark.shared
def test_mlqa_equals_the_official_script_on_every_pair(shared: Path) -> None:
    lines = (shared / "fixtures/answer-pairs.jsonl").read_text(encoding="utf-8").split("\n")
    pairs = [json.loads(line) for line in lines if line]
    assert {pair["language"] for pair in pairs} == set(LANGUAGES)
    for pair in pairs:
        for regime in (mlqa(pair["language"]), mlqa_extended(pair["language"])):
            assert scores(regime, pair["gold"], pair["prediction"]) == [100.0 * one for one in pair["mlqa"]], pair
