"""What can be asked of a server."""

from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import FastAPI, File, Header, Query, Response, UploadFile
from fastapi import Path as PathParameter

from polyspan.errors import DocumentError, InputError
from polyspan.microbatch import MicroBatcher
from polyspan.serving import pages, schemas
from polyspan.serving.answering import answer, check_request, explanation
from polyspan.serving.collection import Collection
from polyspan.serving.feedback import FeedbackStore, judged
from polyspan.serving.gate import Gate
from polyspan.serving.metrics import Metrics
from polyspan.serving.options import ServeOptions
from polyspan.serving.problems import Problem
from polyspan.types import Document


@dataclass(frozen=True, slots=True)
class Server:
    """What the operations share."""

    collection: Collection
    feedback: FeedbackStore
    options: ServeOptions
    metrics: Metrics
    gate: Gate
    batcher: MicroBatcher | None = None

    def answer(self, requests: list[schemas.AnswerRequest]) -> list[schemas.ReadingBody]:
        """What ``ask --json`` prints, for each request; several follow one another and wait for no others."""
        batcher = self.batcher if len(requests) == 1 else None
        return [self._answer(request, batcher) for request in requests]

    def _answer(self, request: schemas.AnswerRequest, batcher: MicroBatcher | None) -> schemas.ReadingBody:
        found = answer(self.collection, request, batcher)
        self.metrics.questions.inc()
        if not found.answers:
            self.metrics.no_answers.inc()
        return found

    def check_writable(self) -> None:
        """Refuse changes where none are taken."""
        if self.options.read_only:
            raise Problem(HTTPStatus.FORBIDDEN, "this server is read-only; ask whoever runs it to add documents")

    def pdf(self, name: str) -> FilePath:
        """A PDF's file; a problem where there is none."""
        found = self.collection.pdf(name)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no PDF {name!r:.200}; only PDFs have pictures of their pages"
            )
        return found

    def document(self, name: str) -> Document:
        """A document's text; a problem where there is none."""
        found = self.collection.text(name)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no document {name!r:.200}; see GET /v1/documents")
        return found


def add_routes(app: FastAPI, server: Server) -> None:
    """All operations."""
    _add_answering(app, server)
    _add_documents(app, server)
    _add_looking(app, server)
    _add_feedback(app, server)
    _add_health(app, server)


def _add_answering(app: FastAPI, server: Server) -> None:
    refusals = schemas.problems(400, 401, 408, 413, 422, 429, 503)

    @app.post("/v1/answer", responses=refusals, tags=["answers"])
    async def answer_one(request: schemas.AnswerRequest) -> schemas.ReadingBody:
        """Quotes that answer a question, or no answer."""
        check_request(request, server.options)
        server.metrics.batch.observe(1)
        (found,) = await server.gate.run(lambda: server.answer([request]))
        return found

    @app.post("/v1/answer/batch", responses=refusals, tags=["answers"])
    async def answer_batch(request: schemas.BatchRequest) -> schemas.BatchBody:
        """The same for several questions."""
        most = server.options.max_questions
        if len(request.questions) > most:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"questions: at most {most}, not {len(request.questions)}")
        for one in request.questions:
            check_request(one, server.options)
        server.metrics.batch.observe(len(request.questions))
        found = await server.gate.run(lambda: server.answer(request.questions))
        return schemas.BatchBody(readings=found)


def _add_documents(app: FastAPI, server: Server) -> None:
    collection = server.collection

    @app.get("/v1/documents", responses=schemas.problems(401, 503), tags=["documents"])
    def documents() -> schemas.DocumentsBody:
        """What can be asked."""
        return schemas.DocumentsBody(documents=[schemas.DocumentBody(**one) for one in collection.documents()])

    @app.post("/v1/documents", responses=schemas.problems(400, 401, 403, 408, 413, 422, 429, 503), tags=["documents"])
    async def upload(
        files: Annotated[list[UploadFile], File(description="Any of the formats of polyspan ask.")],
    ) -> schemas.UploadBody:
        """Add files; one of a name that is there already takes its place."""
        server.check_writable()
        contents = [(file.filename or "", await file.read()) for file in files]

        def add() -> schemas.UploadBody:
            body = schemas.UploadBody(added=[], refused=[])
            for name, content in contents:
                try:
                    body.added.append(collection.add(name, content))
                except (DocumentError, InputError) as error:
                    body.refused.append({"name": name, "detail": str(error)})
            return body

        body = await server.gate.run(add)
        if not body.added:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(one["detail"] for one in body.refused))
        return body

    @app.delete("/v1/documents/{name:path}", responses=schemas.problems(401, 403, 404, 503), tags=["documents"])
    def delete(name: str) -> Response:
        """Forget a document, and delete its file if it was uploaded."""
        server.check_writable()
        if not collection.remove(name):
            server.document(name)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @app.get("/v1/documents/{name:path}/text", responses=schemas.problems(401, 404, 503), tags=["documents"])
    def text(name: str) -> schemas.TextBody:
        """A document's text, which offsets count."""
        found = server.document(name)
        return schemas.TextBody(id=found.id, text=found.text, page_starts=list(found.page_starts))


def _add_looking(app: FastAPI, server: Server) -> None:
    refusals = schemas.problems(401, 404, 422, 429, 503)
    png: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}, 304: {"description": "Not changed"}}

    @app.get(
        "/v1/documents/{name:path}/pages/{page}.png",
        responses={**refusals, **png},
        response_class=Response,
        tags=["documents"],
    )
    async def page_picture(
        name: str,
        page: Annotated[int, PathParameter(ge=1, le=1_000_000)],
        width: Annotated[int, Query(ge=100, le=2_000, description="In pixels.")] = 1_000,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """A page of a PDF, counted from 1, as a picture."""

        def drawn() -> Response:
            file = server.pdf(name)
            tag = pages.picture_tag(file, page, width)
            headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
            if if_none_match == tag:
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            return Response(pages.picture(file, page, width), media_type="image/png", headers=headers)

        return await server.gate.run(drawn)

    @app.get("/v1/documents/{name:path}/boxes", responses=refusals, tags=["documents"])
    async def boxes(
        name: str, start: Annotated[int, Query(ge=0)], end: Annotated[int, Query(ge=1)]
    ) -> schemas.BoxesBody:
        """Where characters of a PDF's text stand on its pages."""
        found = await server.gate.run(lambda: pages.boxes(server.pdf(name), start, end))
        return schemas.BoxesBody(boxes=[schemas.BoxBody(**asdict(one)) for one in found])

    @app.post("/v1/explain", responses={**refusals, **schemas.problems(400, 408, 413)}, tags=["answers"])
    async def explain_answer(request: schemas.ExplainRequest) -> schemas.ExplanationBody:
        """Where the reader sees an answer begin and end in a passage."""
        check_request(schemas.AnswerRequest(question=request.question), server.options)
        return await server.gate.run(lambda: explanation(server.collection, request))


def _add_feedback(app: FastAPI, server: Server) -> None:
    @app.post(
        "/v1/feedback",
        responses=schemas.problems(400, 401, 403, 404, 408, 413, 422, 503),
        tags=["feedback"],
        status_code=201,
    )
    def feedback(request: schemas.FeedbackRequest) -> schemas.FeedbackBody:
        """Keep whether an answer was right, and what would have been."""
        server.check_writable()
        document = server.document(request.document)
        one = judged(document, request.verdict, request.question, request.start, request.end)
        return schemas.FeedbackBody(id=server.feedback.add(one))


def _add_health(app: FastAPI, server: Server) -> None:
    @app.get("/healthz", tags=["server"])
    def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses=schemas.problems(503), tags=["server"])
    def readyz() -> schemas.HealthBody:
        """Questions can be answered."""
        collection = server.collection
        name, count = collection.reader.scorer.name, len(collection.documents())
        return schemas.HealthBody(status="ok", model=name, documents=count)

    @app.get("/metrics", tags=["server"], responses={200: {"content": {"text/plain": {}}}, **schemas.problems(401)})
    def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(server.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
