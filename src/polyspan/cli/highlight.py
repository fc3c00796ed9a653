"""``polyspan highlight``."""

from pathlib import Path
from typing import Literal, get_args, get_type_hints

import click

from polyspan.cli.files import documents_of
from polyspan.cli.output import print_json, quote_lines
from polyspan.evidence import HighlightOptions, highlight_all
from polyspan.reader import Reader


@click.command()
@click.argument("question")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model", default="default", show_default=True, help="Model folder or hub id; default: the shipped reader."
)
@click.option(
    "--level",
    type=click.Choice(get_args(get_type_hints(HighlightOptions)["level"])),
    default="span",
    show_default=True,
    help="Mark the words that answer, or their whole sentences.",
)
@click.option(
    "--min-probability", type=float, help="Least probability, 0 to 1; without it the reader decides of the first."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def highlight(
    question: str,
    paths: tuple[Path, ...],
    model: str,
    level: Literal["span", "sentence"],
    min_probability: float | None,
    as_json: bool,
) -> None:
    """Show every place of files and folders that answers QUESTION; - is stdin.

    Each is marked in its sentence, with the probability that an answer stands there. There may be none.
    """
    options = HighlightOptions(level, min_probability)
    found = highlight_all(question, documents_of(paths), Reader.from_pretrained(model), options)
    if as_json:
        print_json({"question": question, "highlights": [one.to_json() for one in found]})
    else:
        click.echo(
            "\n\n".join(quote_lines(one.sentence, one.sentence_start, one, one.probability) for one in found)
            or "Nothing in these documents answers that."
        )
