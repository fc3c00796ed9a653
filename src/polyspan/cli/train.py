"""``polyspan train``."""

from typing import Any

import click

from polyspan.cli.runs import run, run_content, run_options, run_retriever


@click.command()
@click.argument("source", metavar="RECIPE|MODEL")
@click.option(
    "--task",
    type=click.Choice(["reader", "retriever"]),
    default="reader",
    show_default=True,
    help="What is trained: a reader, or an encoder that finds the passages to read.",
)
@run_options
def train(source: str, task: str, **given: Any) -> None:
    """Fine-tune a reader, or an encoder, by a RECIPE (YAML), or from a MODEL (folder or hub id) with --data.

    A reader's recipe may name teachers, which are left out. Run again, an interrupted run goes on from its last
    checkpoint, to the same weights.
    """
    content = run_content(source, given)
    if task == "retriever":
        run_retriever(content, given)
    else:
        run({**content, "distillation": None}, given)
