"""Run a reader over a dataset once, then score what it said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from polyspan.metrics import score_squad2
from polyspan.reader import Reader, ReadOptions
from polyspan.types import NoAnswerMode, QAExample, Reading, Report

LARGEST_MARGIN = 1e4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A report with what it was computed from.

    ``predictions`` maps ids to final texts, empty where the reader abstained; ``null_margins`` maps ids to
    null margins in logits, and is empty where the reader was not allowed to abstain.
    """

    report: Report
    predictions: Mapping[str, str]
    null_margins: Mapping[str, float]


def predict(reader: Reader, examples: Iterable[QAExample], options: ReadOptions) -> Iterator[Reading]:
    """A reading of each example's own context, in order, as they come."""
    return reader.read_stream(((example.question, [example.context]) for example in examples), options)


def evaluate(
    examples: Sequence[QAExample],
    readings: Iterable[Reading],
    threshold: float | None,
    source: Mapping[str, str | int | float] | None = None,
) -> Evaluation:
    """Score readings by SQuAD 2.0's official rules.

    Args:
        examples: the questions with their gold answers.
        readings: one for each, in the same order.
        threshold: on the null margin, in logits; above it the reading counts as abstained. None: never.
        source: what the report's signature says of data and model.
    """
    texts, margins = {}, {}
    for example, reading in zip(examples, readings, strict=True):
        best = next(iter(reading.answers or reading.candidates), None)
        texts[example.id] = best.text if best else ""
        margins[example.id] = max(-LARGEST_MARGIN, min(LARGEST_MARGIN, reading.no_answer.null_margin))
    if threshold is None:
        return Evaluation(score_squad2(examples, texts, source=source), texts, {})
    final = {key: "" if margins[key] > threshold else text for key, text in texts.items()}
    return Evaluation(_margin_report(examples, texts, margins, threshold, source), final, margins)


def _margin_report(
    examples: Sequence[QAExample],
    texts: Mapping[str, str],
    margins: Mapping[str, float],
    threshold: float,
    source: Mapping[str, str | int | float] | None,
) -> Report:
    """Official scores with thresholds in logits; the official rules know no negative ones, so all are shifted."""
    shifted = {key: margin + LARGEST_MARGIN for key, margin in margins.items()}
    report = score_squad2(examples, texts, shifted, threshold + LARGEST_MARGIN, source=source)
    best = {key: report.scores[key] - LARGEST_MARGIN for key in ("best_exact_thresh", "best_f1_thresh")}
    signature = {**report.signature, "na_threshold": threshold}
    return replace(report, scores={**report.scores, **best}, signature=signature)


def reading_options(reader: Reader, examples: Sequence[QAExample], mode: NoAnswerMode) -> ReadOptions:
    """The reader's own options for a dataset: one answer, abstaining as ``mode`` and the data say.

    "auto" abstains only where the data holds unanswerable questions.
    """
    abstain = mode == "on" or (mode == "auto" and any(not example.answers for example in examples))
    return replace(reader.defaults, top_k=1, return_no_answer=abstain)
