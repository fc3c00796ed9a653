"""``polyspan score``."""

from pathlib import Path

import click

from polyspan.cli.output import print_report
from polyspan.datasets import file_signature, read_na_probs, read_predictions, read_squad
from polyspan.metrics import score_squad1, score_squad2


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--na-probs", type=click.Path(path_type=Path), help="Probabilities of no answer by id.")
@click.option("--na-threshold", default=1.0, show_default=True, help="Above it a prediction counts as no answer.")
@click.option("--squad1", is_flag=True, help="By the rules of SQuAD 1.1: missing predictions count 0.")
@click.option("--allow-missing", is_flag=True, help="Score the ids that are there, instead of refusing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def score(
    predictions: Path,
    dataset: Path,
    na_probs: Path | None,
    na_threshold: float,
    squad1: bool,
    allow_missing: bool,
    as_json: bool,
) -> None:
    """Score PREDICTIONS (JSON: id to text) on DATASET (SQuAD JSON, also .gz) by SQuAD's official rules."""
    if squad1 and na_probs is not None:
        raise click.UsageError("SQuAD 1.1 has no unanswerable questions: leave --na-probs out")
    examples, texts, source = read_squad(dataset), read_predictions(predictions), file_signature(dataset)
    if squad1:
        report = score_squad1(examples, texts, allow_missing=allow_missing, source=source)
    else:
        margins = None if na_probs is None else read_na_probs(na_probs)
        report = score_squad2(examples, texts, margins, na_threshold, allow_missing=allow_missing, source=source)
    print_report(report, as_json)
