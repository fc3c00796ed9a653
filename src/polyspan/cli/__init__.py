"""The command line: one thin file per command, imported when the command is used."""

import sys
from importlib import import_module

import click

from polyspan.errors import PolyspanError

COMMANDS = {
    "ask": "Answer a question with quotes from files and folders.",
    "average": "Write the mean of several readers' weights as one reader.",
    "bench": "Measure what a reader costs on this machine.",
    "calibrate": "Fit a reader's probabilities and its no-answer threshold.",
    "compare": "Say what one file of predictions changes over another, and whether by chance.",
    "convert": "Write a reader in FARM's layout as one in transformers', or back.",
    "cross-lingual": "Score a reader on questions of one language and contexts of another.",
    "data": "Check, mend and convert datasets.",
    "distill": "Train a small reader on the answers of larger ones.",
    "evaluate": "Run a reader over datasets and score it.",
    "export": "Write a reader as an ONNX model, smaller if asked to, and measure what it loses.",
    "highlight": "Show every place of files that answers a question.",
    "index": "Keep an index of files and folders, to ask many documents.",
    "mcp": "Let agents ask: an MCP server, over stdio or HTTP.",
    "open-domain": "Ask questions of a whole collection, and score ranking and answers.",
    "push": "Upload a model folder to a hub.",
    "score": "Score a file of predictions, by SQuAD's official rules or others.",
    "serve": "Answer questions over HTTP.",
    "supports": "Say whether files support an answer, contradict it, or do neither.",
    "text": "Print the text of a file as offsets count it.",
    "train": "Fine-tune a reader, or an encoder for retrieval, on questions in SQuAD's JSON.",
    "trim": "Cut a reader's vocabulary down to some languages.",
}


class _Commands(click.Group):
    """A group that imports a command's file only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- likewise
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"polyspan.cli.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"polyspan.cli.{name} holds no command of that name")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- likewise
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="polyspan", prog_name="polyspan")
def commands() -> None:
    """Extractive question answering: exact quotes from your own documents, or an honest "no answer"."""


def main() -> None:
    """Run the command line; an expected failure is one line on stderr and exit code 2."""
    try:
        commands(prog_name="polyspan")
    except PolyspanError as error:
        click.echo(f"polyspan: {error}", err=True)
        sys.exit(2)
