import pytest

from polyspan.metrics import REGIMES, score_squad1, score_squad2
from polyspan.types import GoldAnswer, QAExample

EXAMPLES = [QAExample("1", "?", "context", (GoldAnswer("die 北京。", 0),)), QAExample("2", "?", "context")]
PREDICTIONS = {"1": "北 京", "2": ""}


def test_registry_computes_every_regime_from_the_same_predictions() -> None:
    answered = {
        name: score_squad1(EXAMPLES[:1], PREDICTIONS, resamples=0, regime=REGIMES[name]("de")) for name in REGIMES
    }
    f1 = {name: report.scores["f1"] for name, report in answered.items()}
    assert f1 == {
        "squad": 0,  # of "die", "北京。" and "北", "京" nothing is shared
        "mlqa": 0,  # nor of "北京" and "北", "京"
        "mlqa-extended": 0,
        "cmrc2018": 100 * (2 * 1 * (2 / 3) / (1 + 2 / 3)),  # 北京 of die北京
        "jsquad": pytest.approx(100 * (2 * 1 * (3 / 6) / (1 + 3 / 6))),  # "北", " ", "京" of "die 北京"
    }
    normalisers = [report.signature["normaliser"] for report in answered.values()]
    assert normalisers == ["squad-v1-official", "mlqa-v1-de", "mlqa-extended-de", "cmrc2018-style", "jsquad-v1"]


@pytest.mark.parametrize("name", REGIMES)
def test_registry_keeps_the_rules_for_unanswerable_questions(name: str) -> None:
    report = score_squad2(EXAMPLES, PREDICTIONS, {"1": 0.9, "2": 0.1}, 0.5, regime=REGIMES[name]("zh"))
    assert (report.scores["HasAns_f1"], report.scores["NoAns_exact"]) == (0, 100)
    assert report.scores["best_f1"] >= 50
    assert report.signature["metric"] == "squad2"


def test_registry_default_is_squad() -> None:
    assert score_squad1(EXAMPLES[:1], PREDICTIONS, regime=REGIMES["squad"]("de")) == score_squad1(
        EXAMPLES[:1], PREDICTIONS
    )
    report = score_squad2(EXAMPLES, PREDICTIONS, regime=REGIMES["squad"](""))
    assert report == score_squad2(EXAMPLES, PREDICTIONS)
    assert report.signature["normaliser"] == "squad-v2-official"
