from importlib.metadata import version

from polyspan.metrics.signature import signature_text
from polyspan.metrics.squad import score_squad1, score_squad2
from polyspan.types import GoldAnswer, QAExample

EXAMPLES = [QAExample("1", "?", "cat", (GoldAnswer("cat", 0),))]


def test_signature_says_what_was_measured() -> None:
    source = {"dataset": "dev.json", "dataset_sha256": "0123456789ab"}
    report = score_squad2(EXAMPLES, {"1": "cat"}, source=source)
    assert signature_text(report) == (
        "metric:squad2|normaliser:squad-v2-official|dataset:dev.json|dataset_sha256:0123456789ab|n:1|"
        f"na_threshold:1.0|polyspan:{version('polyspan')}"
    )


def test_signature_tells_metrics_and_thresholds_apart() -> None:
    reports = [
        score_squad1(EXAMPLES, {"1": "cat"}),
        score_squad2(EXAMPLES, {"1": "cat"}),
        score_squad2(EXAMPLES, {"1": "cat"}, na_threshold=0.5),
    ]
    assert len({signature_text(report) for report in reports}) == 3
