"""``polyspan mcp``."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from polyspan.cli.collection import collection_options, open_collection
from polyspan.cli.output import notice, print_json


@click.command()
@collection_options
@click.option("--http", is_flag=True, help="Speak streamable HTTP at /mcp instead of stdio.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at with --http.")
@click.option(
    "--port", default=8001, show_default=True, type=click.IntRange(1, 65535), help="Port to listen at with --http."
)
@click.option("--token", envvar="POLYSPAN_TOKEN", help="With --http every request must carry it (or POLYSPAN_TOKEN).")
@click.option("--json", "as_json", is_flag=True, help="With --http, print the address and what is held as JSON first.")
def mcp(paths: tuple[Path, ...], **given: Any) -> None:
    """Let agents ask about PATHS and an index, by the Model Context Protocol.

    Over stdio, for a client that starts this command; nothing but the protocol is printed on stdout.
    """
    from polyspan.retrieval import PassageStore
    from polyspan.serving import ServeOptions
    from polyspan.serving.mcp import PATH, create_mcp, http_app

    if given["as_json"] and not given["http"]:
        raise click.UsageError("--json needs --http; over stdio, stdout is the protocol's")
    if not paths:
        if given["folder"] is None:
            raise click.UsageError("name what is asked: PATHS, or --index DIR, or both")
        PassageStore.open(given["folder"])  # says so where there is none
    options = ServeOptions(token=given["token"])
    with ExitStack() as stack:
        collection, _ = open_collection(stack, paths, given["folder"], given["model"], takes_uploads=False)
        server = create_mcp(collection, options)
        held = len(collection.documents())
        if not given["http"]:
            notice(f"answers about {held:,} documents over stdio")
            server.run()
            return
        import uvicorn

        address = f"http://{given['host']}:{given['port']}{PATH}"
        if given["as_json"]:
            print_json({"address": address, "documents": held})
        else:
            notice(f"{address} answers about {held:,} documents")
        app = http_app(server, given["host"], options)
        uvicorn.run(app, host=given["host"], port=given["port"], access_log=False, log_level="warning")
