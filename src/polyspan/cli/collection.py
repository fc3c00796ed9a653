"""What the servers share: the collection that they answer from."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from polyspan.cli.output import notice
from polyspan.reader import Reader

if TYPE_CHECKING:
    from polyspan.serving import Collection

Command = TypeVar("Command", bound=Callable[..., Any])


def collection_options(command: Command) -> Command:
    """The arguments and options that ``open_collection`` takes."""
    for option in (
        click.option("--model", default="default", show_default=True, help="Model folder or hub id of the reader."),
        click.option(
            "--index",
            "folder",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder of the index, uploads and feedback; without it they are gone when the server stops.",
        ),
        click.argument("paths", nargs=-1, type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


def open_collection(
    stack: ExitStack, paths: Sequence[Path], folder: Path | None, model: str, *, takes_uploads: bool
) -> tuple["Collection", Path]:
    """What is in the index and in files and folders, and the index's folder; bad files are named on stderr."""
    from polyspan.serving import Collection

    if folder is None:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="polyspan-"))) / "index"
    collection = Collection(Reader.from_pretrained(model), folder, takes_uploads=takes_uploads)
    for error in collection.index(paths).errors if paths else []:
        notice(f"skipped {error}")
    return collection, folder
