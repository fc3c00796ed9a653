"""A collection that goes by words, and a server that listens."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from fake_encoder import FakeEncoder
from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.serving import Collection

WORDS = "anna bert lives in oslo rome paris"


def open_collection(folder: Path) -> Collection:
    return Collection(Reader(FakeScorer(WORDS), NativeSettings(no_answer=True)), folder, FakeEncoder())


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address of a server in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
