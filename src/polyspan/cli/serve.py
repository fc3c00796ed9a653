"""``polyspan serve``."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from polyspan.cli.collection import collection_options, open_collection
from polyspan.cli.output import notice, print_json


@click.command()
@collection_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen at.")
@click.option("--token", envvar="POLYSPAN_TOKEN", help="Every request must carry it (or POLYSPAN_TOKEN).")
@click.option("--read-only", is_flag=True, help="Take neither documents nor feedback.")
@click.option("--origin", "origins", multiple=True, help="A site whose pages may ask (CORS); may be repeated.")
@click.option(
    "--micro-batch",
    "batch_ms",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Read together what is asked within so many milliseconds; 0: each question by itself.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the address and what is held as JSON first.")
def serve(paths: tuple[Path, ...], **given: Any) -> None:
    """Answer questions over HTTP, about PATHS and what is uploaded."""
    import uvicorn

    from polyspan.microbatch import BatcherOptions
    from polyspan.serving import FeedbackStore, ServeOptions, create_app

    options = ServeOptions(token=given["token"], read_only=given["read_only"], origins=given["origins"])
    if given["batch_ms"]:
        options = replace(options, batch_seconds=given["batch_ms"] / 1000, threads=BatcherOptions().most_calls)
    with ExitStack() as stack:
        collection, folder = open_collection(stack, paths, given["folder"], given["model"], takes_uploads=True)
        app = create_app(collection, FeedbackStore(folder), options)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        address, held = f"http://{given['host']}:{given['port']}", len(collection.documents())
        if given["as_json"]:
            print_json({"address": address, "documents": held})
        else:
            notice(f"{address} answers about {held:,} documents")
        uvicorn.run(app, host=given["host"], port=given["port"], access_log=False, log_level="warning")
