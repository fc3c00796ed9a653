"""``polyspan export``."""

import sys
from pathlib import Path
from typing import Any

import click

from polyspan.backends import find_model
from polyspan.cli.output import notice, print_json, progress
from polyspan.cli.scoring import dataset_and_language
from polyspan.evaluation import Questions, read_questions

PRECISIONS = ("float32", "float16", "int8", "int8-static", "int8-openvino", "int8-stored", "weights8", "weights4")


@click.command()
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True, help="The matrices' format."
)
@click.option(
    "--embeddings",
    type=click.Choice(["float", "8", "4"]),
    help="Bits of the word embeddings.  [default: 8, float with --precision float32 and float16]",
)
@click.option("--gate", multiple=True, metavar="FILE[:LANG]", help="Measure the loss on this SQuAD JSON file.")
@click.option(
    "--max-loss",
    type=click.FloatRange(0, 100),
    default=0.5,
    show_default=True,
    help="Points of F1 that may be lost over all, and in a language beyond chance.",
)
@click.option(
    "--calibration-data",
    multiple=True,
    metavar="FILE",
    help="A SQuAD JSON file that int8-static and int8-openvino take ranges from.",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    metavar="N",
    help="Take N questions at most of a file, at random.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written and measured as JSON.")
def export(model: str, out: Path, as_json: bool, **given: Any) -> None:
    """Write MODEL as an ONNX model to the new folder OUT.

    MODEL is a hub id or a folder with weights for torch or a float ONNX file, or "default", the shipped reader.

    With --gate, what the export loses against MODEL is measured in each language and written to its card. While it is
    too much, the worst matrices are left in float; where that does not help, nothing is written and the exit code is 1.
    """
    gate = [_questions(text, given["sample"]) for text in given["gate"]]
    calibration = [_questions(text, given["sample"]) for text in given["calibration_data"]]
    from polyspan.export import ExportSettings, export_reader

    settings = ExportSettings(given["precision"], given["embeddings"], gate, given["max_loss"], calibration)
    result = export_reader(find_model(model), out, settings, progress)
    if as_json:
        print_json({"folder": None if result.failures else str(out), **result.to_json()})
    else:
        if result.report is not None:
            click.echo(result.report.table())
        if result.excluded:
            click.echo(f"left out of quantisation, worst first: {', '.join(result.excluded)}")
        if not result.failures:
            click.echo(f"{out}: written, {result.megabytes:.1f} MB")
    if result.report is not None and not result.failures and (doubt := result.report.doubt(given["max_loss"])):
        notice(doubt)
    for failure in result.failures:
        notice(f"refused: {failure}")
    if result.failures:
        sys.exit(1)


def _questions(text: str, sample: int | None) -> Questions:
    questions = read_questions(*dataset_and_language(text, ""))
    return questions if sample is None else questions.sample(sample)
