"""``polyspan evaluate``."""

from pathlib import Path
from typing import Any

import click

from polyspan.cli.output import print_report, progress
from polyspan.datasets import file_signature, read_squad, write_json
from polyspan.evaluation import evaluate as evaluate_readings
from polyspan.evaluation import predict, reading_options
from polyspan.reader import Reader


@click.command()
@click.argument("model")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--no-answer",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether the reader may abstain; auto: only where the data holds unanswerable questions.",
)
@click.option("--predictions", type=click.Path(path_type=Path), help="Write the final texts by id to this file.")
@click.option("--na-probs", type=click.Path(path_type=Path), help="Write the null margins by id to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def evaluate(model: str, dataset: Path, **given: Any) -> None:
    """Run MODEL (a folder, a hub id, or "default") over DATASET (SQuAD JSON, also .gz) and score it."""
    examples = read_squad(dataset)
    reader = Reader.from_pretrained(model)
    options = reading_options(reader, examples, given["no_answer"])
    readings = progress(predict(reader, examples, options), len(examples), "reading")
    threshold = reader.settings.calibration.no_answer_threshold if options.return_no_answer else None
    source = {**file_signature(dataset), "model": reader.scorer.name, "no_answer": given["no_answer"]}
    evaluation = evaluate_readings(examples, readings, threshold, source)
    if given["predictions"]:
        write_json(given["predictions"], evaluation.predictions)
    if given["na_probs"]:
        write_json(given["na_probs"], evaluation.null_margins)
    print_report(evaluation.report, given["as_json"])
