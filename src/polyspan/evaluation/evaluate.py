"""Run a reader over a dataset once, then score what it said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from polyspan.datasets.writing import json_text
from polyspan.evaluation.predictions import Origin, as_predictions
from polyspan.evaluation.reports import Answered, Questions, score_predictions
from polyspan.metrics import Signature
from polyspan.reader import Reader, ReadOptions
from polyspan.types import NoAnswerMode, QAExample, Reading, Report


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
    source: Signature | None = None,
) -> Evaluation:
    """Score readings by SQuAD 2.0's official rules.

    Args:
        examples: the questions with their gold answers.
        readings: one for each, in the same order.
        threshold: on the null margin, in logits; above it the reading counts as abstained. None: never.
        source: what the report's signature says of data and model.
    """
    rows = {
        row.id: replace(row, abstained=threshold is not None and row.null_margin > threshold)
        for row in as_predictions(examples, readings)
    }
    questions = Questions(examples, [""] * len(examples), {} if source is None else source)
    return Evaluation(
        score_predictions("squad", Answered(questions, rows, threshold)),
        {key: row.shown for key, row in rows.items()},
        {} if threshold is None else {key: row.null_margin for key, row in rows.items()},
    )


def reading_options(
    reader: Reader, examples: Sequence[QAExample], mode: NoAnswerMode, language: str = ""
) -> ReadOptions:
    """The reader's own options for a dataset: one answer, abstaining as ``mode`` and the data say.

    "auto" abstains only where the data holds unanswerable questions; by the threshold of a ``language`` (ISO 639-1)
    that has its own.
    """
    abstain = mode == "on" or (mode == "auto" and any(not example.answers for example in examples))
    options = replace(reader.defaults, top_k=1, return_no_answer=abstain)
    return replace(options, language=language) if language in reader.settings.calibration.languages else options


def origin_of(reader: Reader, weights: str, dataset: Signature, options: ReadOptions) -> Origin:
    """What predictions are made from: a reader whose weights have that digest, a dataset's signature, and options."""
    return Origin(
        model=reader.scorer.name,
        weights=weights,
        settings=sha256(json_text(reader.settings.to_json()).encode()).hexdigest()[:12],
        dataset=str(dataset["dataset"]),
        dataset_sha256=str(dataset["dataset_sha256"]),
        threshold=reader.threshold(options) if options.return_no_answer else None,
        options=asdict(options),
    )
