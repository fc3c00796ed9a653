from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from polyspan.serving import FeedbackStore, ServeOptions, create_app
from serving_fakes import open_collection

Serve = Callable[..., TestClient]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    """Starts a server of a collection with one document."""
    clients = []

    def start(**options: object) -> TestClient:
        collection = open_collection(folder)
        if not collection.documents():
            collection.add("anna.txt", b"Anna lives in Rome .")
        app = create_app(collection, FeedbackStore(folder), ServeOptions(**options))  # type: ignore[arg-type]
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)
