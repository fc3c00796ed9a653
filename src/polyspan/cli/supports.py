"""``polyspan supports``."""

import sys
from pathlib import Path

import click

from polyspan.cli.files import documents_of
from polyspan.cli.output import print_json, quote_lines
from polyspan.evidence import supports as judge
from polyspan.reader import Reader


@click.command()
@click.argument("question")
@click.argument("answer")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model", default="default", show_default=True, help="Model folder or hub id; default: the shipped reader."
)
@click.option("--fail-unless-supported", is_flag=True, help="Exit with 1 unless the answer is supported.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def supports(
    question: str, answer: str, paths: tuple[Path, ...], model: str, fail_unless_supported: bool, as_json: bool
) -> None:
    """Say whether files and folders support ANSWER to QUESTION; - is stdin.

    It is supported, contradicted (a confident quote says something else) or neither, and the quote is shown.
    """
    verdict = judge(question, answer, documents_of(paths), Reader.from_pretrained(model))
    if as_json:
        print_json({"question": question, "answer": answer, **verdict.to_json()})
    else:
        click.echo(f"{verdict.verdict} ({verdict.probability:.0%} sure)")
        for one in [] if verdict.quote is None else [verdict.quote, *verdict.others]:
            click.echo("\n" + quote_lines(one.sentence, one.sentence_start, one, one.probability))
    if fail_unless_supported and verdict.verdict != "supported":
        sys.exit(1)
