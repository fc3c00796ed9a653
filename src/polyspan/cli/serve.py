"""``polyspan serve``."""

import logging
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from polyspan.cli.output import notice, print_json
from polyspan.reader import Reader


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--index",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the index, uploads and feedback; without it they are gone when the server stops.",
)
@click.option("--model", default="default", show_default=True, help="Model folder or hub id of the reader.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen at.")
@click.option("--token", envvar="POLYSPAN_TOKEN", help="Every request must carry it (or POLYSPAN_TOKEN).")
@click.option("--read-only", is_flag=True, help="Take neither documents nor feedback.")
@click.option("--origin", "origins", multiple=True, help="A site whose pages may ask (CORS); may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the address and what is held as JSON first.")
def serve(paths: tuple[Path, ...], **given: Any) -> None:
    """Answer questions over HTTP, about PATHS and what is uploaded."""
    import uvicorn

    from polyspan.serving import Collection, FeedbackStore, ServeOptions, create_app

    options = ServeOptions(token=given["token"], read_only=given["read_only"], origins=given["origins"])
    with ExitStack() as stack:
        folder = given["folder"] or Path(stack.enter_context(TemporaryDirectory(prefix="polyspan-"))) / "index"
        collection = Collection(Reader.from_pretrained(given["model"]), folder)
        for error in collection.index(paths).errors if paths else []:
            notice(f"skipped {error}")
        app = create_app(collection, FeedbackStore(folder), options)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        address, held = f"http://{given['host']}:{given['port']}", len(collection.documents())
        if given["as_json"]:
            print_json({"address": address, "documents": held})
        else:
            notice(f"{address} answers about {held:,} documents")
        uvicorn.run(app, host=given["host"], port=given["port"], access_log=False, log_level="warning")
