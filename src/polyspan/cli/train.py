"""``polyspan train``."""

from typing import Any

import click

from polyspan.cli.runs import run, run_content, run_options


@click.command()
@click.argument("source", metavar="RECIPE|MODEL")
@run_options
def train(source: str, **given: Any) -> None:
    """Fine-tune a reader by a RECIPE (YAML), or from a MODEL (folder or hub id) with --data.

    A recipe's teachers are left out. Run again, an interrupted run goes on from its last checkpoint, to the same
    weights.
    """
    run({**run_content(source, given), "distillation": None}, given)
