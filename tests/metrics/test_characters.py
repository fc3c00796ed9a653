import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.metrics.characters import CMRC2018, JSQUAD
from polyspan.metrics.regime import Regime
from polyspan.metrics.squad import exact_match, token_f1

texts = st.text() | st.text("東京京都 ,.。…、Ab1")


def scores(regime: Regime, gold: str, prediction: str) -> tuple[int, float]:
    return exact_match([gold], prediction, regime), token_f1([gold], prediction, regime)


@pytest.mark.parametrize(
    ("text", "normalised", "tokens"),
    [
        (" 《红楼梦》 ", "红楼梦", ["红", "楼", "梦"]),
        ("2008-08 (GDP): 1,234.5万", "200808 (gdp) 1,234.5万", ["200808", "(", "gdp", ")", "1,234.5", "万"]),
        ("50%、a, b.", "50%a, b.", ["50", "%", "a", ",", "b", "."]),
        ("U.S.A. 等……‘x’", "u.s.a. 等……‘x", ["u.s.a", ".", "等", "……‘x"]),
        ("", "", []),
    ],
)
def test_cmrc_normalises_and_segments(text: str, normalised: str, tokens: list[str]) -> None:
    assert CMRC2018.normalise(text) == normalised
    assert CMRC2018.split(normalised) == tokens


def test_cmrc_f1_is_over_the_longest_common_run() -> None:
    # 4 of 6 tokens and 4 of 7: 北京大学 runs on, 1898年 stands behind the odd character.
    f1 = 2 * (4 / 7) * (4 / 6) / (4 / 7 + 4 / 6)
    assert scores(CMRC2018, "北京大学1898年", "北京大学在1898年") == (0, f1)
    assert scores(CMRC2018, "北京", "京北") == (0, 0.5)
    assert scores(CMRC2018, "北京", "上海") == (0, 0)
    assert scores(CMRC2018, "“北京”。", "北京") == (1, 1)


def test_cmrc_white_space_counts_in_exact_match_only() -> None:
    assert scores(CMRC2018, "中国 人", "中国人") == (0, 1)


def test_cmrc_f1_finds_runs_of_frequent_characters() -> None:
    gold = "的" * 300 + "北京"
    assert scores(CMRC2018, gold, "的" * 300)[1] == pytest.approx(2 * 300 / (300 + 302))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("東京都。。", "東京都"), (" A  b\n。", "a b"), ("「東京」、", "「東京」、"), ("東京。 ", "東京。"), ("。", "")],
)
def test_jsquad_normalises_as_official(text: str, expected: str) -> None:
    assert JSQUAD.normalise(text) == expected


def test_jsquad_f1_is_over_the_bag_of_characters() -> None:
    assert scores(JSQUAD, "東京都。", "東京都") == (1, 1)
    assert scores(JSQUAD, "東京都", "東京") == (0, 0.8)
    assert scores(JSQUAD, "東京都", "京都東") == (0, 1)
    assert scores(JSQUAD, "ab c", "abc") == (0, 6 / 7)
    assert scores(JSQUAD, "", "。") == (1, 1)


@pytest.mark.parametrize("regime", [CMRC2018, JSQUAD])
@given(one=texts, other=texts)
def test_characters_f1_is_symmetric_bounded_and_not_below_exact(regime: Regime, one: str, other: str) -> None:
    exact, f1 = scores(regime, one, other)
    assert (exact, f1) == (*scores(regime, other, one),)
    assert exact <= f1 <= 1
    assert scores(regime, one, one) == (1, 1)
