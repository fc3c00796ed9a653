"""The HTTP interface."""

import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from polyspan.errors import PolyspanError
from polyspan.microbatch import BatcherOptions, MicroBatcher
from polyspan.serving.collection import Collection
from polyspan.serving.feedback import FeedbackStore
from polyspan.serving.gate import Gate
from polyspan.serving.limits import Guard
from polyspan.serving.metrics import Metrics
from polyspan.serving.options import ServeOptions
from polyspan.serving.problems import Problem
from polyspan.serving.routes import Server, add_routes

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LOG = logging.getLogger("polyspan.serving")


def create_app(collection: Collection, feedback: FeedbackStore, options: ServeOptions | None = None) -> FastAPI:
    """A server of what a collection holds.

    Args:
        collection: what is asked.
        feedback: where judgements are kept.
        options: limits and access.
    """
    options = ServeOptions() if options is None else options
    metrics = Metrics()
    gate = Gate(options, metrics)
    batcher = None
    if options.batch_seconds is not None:
        batcher = MicroBatcher(collection.reader, BatcherOptions(options.batch_seconds))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        gate.close()
        if batcher is not None:
            batcher.close()

    app = FastAPI(
        title="polyspan",
        version=version("polyspan"),
        summary="Exact quotes from documents, or an honest no answer.",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
    )
    add_routes(app, Server(collection, feedback, options, metrics, gate, batcher))
    _add_page(app)
    _add_refusals(app)
    app.add_middleware(Guard, options=options)
    if options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
        )
    _add_records(app, metrics)
    return app


def _add_page(app: FastAPI) -> None:
    """The page, which runs no script but its own."""
    folder = Path(str(files("polyspan") / "serving" / "page"))
    app.mount("/page", StaticFiles(directory=folder))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(folder / "index.html", headers={"Content-Security-Policy": POLICY})


def _add_refusals(app: FastAPI) -> None:
    """Every error as a problem body."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(PolyspanError)
    async def expected(_: Request, error: PolyspanError) -> Response:
        return Problem.of(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return Problem(422, faults).response()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, str(error.detail), error.headers).response()


def _add_records(app: FastAPI, metrics: Metrics) -> None:
    """Count and log each request, without what it asks or holds."""

    @app.middleware("http")
    async def record(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began, status = time.perf_counter(), 500
        try:
            response = await call_next(request)
            status = response.status_code
            return response
        finally:
            seconds = time.perf_counter() - began
            route = getattr(request.scope.get("route"), "path", "other")
            metrics.requests.labels(request.method, route, status).inc()
            metrics.seconds.labels(route).observe(seconds)
            line = {"method": request.method, "route": route, "status": status, "ms": round(1000 * seconds, 1)}
            LOG.info(json.dumps(line))
