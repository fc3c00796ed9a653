"""The MCP interface: the same answers as tools of language models' agents."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated

from pydantic import Field
from starlette.applications import Starlette

from polyspan.errors import InputError, MissingExtraError, PolyspanError
from polyspan.serving.answering import answer, check_request, evidence
from polyspan.serving.collection import Collection
from polyspan.serving.gate import Gate
from polyspan.serving.limits import Guard
from polyspan.serving.metrics import Metrics
from polyspan.serving.options import ServeOptions
from polyspan.serving.problems import Problem
from polyspan.serving.schemas import (
    AnswerRequest,
    DocumentBody,
    EvidenceBody,
    ListingBody,
    PieceBody,
    ReadingBody,
    TopK,
)
from polyspan.types import Document

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations
except ImportError as error:
    raise MissingExtraError("the MCP server", "mcp") from error

PATH = "/mcp"
MAX_CHARS = 20_000
MAX_LISTED = 500
INSTRUCTIONS = (
    "Exact quotes from a collection of documents. Every quote is verbatim: it is characters start to end (exclusive) "
    "of the document's text, which read_document gives. score is the probability, 0 to 1, that a quote is right. Where "
    "the documents do not answer, ask says so; then do not make up an answer."
)
Text = Annotated[str, Field(min_length=1)]
Listed = Annotated[int, Field(ge=1, le=MAX_LISTED, description="How many documents at most.")]
Chars = Annotated[int, Field(ge=1, le=MAX_CHARS, description="How many characters at most.")]


def create_mcp(collection: Collection, options: ServeOptions | None = None) -> MCPServer[None]:
    """An MCP server of what a collection holds; its tools change nothing.

    Args:
        collection: what is asked.
        options: limits.
    """
    options = ServeOptions() if options is None else options
    gate = Gate(options, Metrics())

    server = MCPServer[None]("polyspan", instructions=INSTRUCTIONS, version=version("polyspan"), log_level="WARNING")
    _add_asking(server, collection, gate, options)
    _add_documents(server, collection, gate)
    return server


def http_app(server: MCPServer[None], host: str, options: ServeOptions) -> Starlette:
    """The server over streamable HTTP at ``/mcp``, behind the limits and the token of the HTTP interface."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=options.max_body_bytes,
        host=host,
    )
    app.add_middleware(Guard, options=options)
    return app


def _add_asking(server: MCPServer[None], collection: Collection, gate: Gate, options: ServeOptions) -> None:
    @server.tool(annotations=_reads("Ask"))
    async def ask(question: Text, top_k: TopK = 5, return_no_answer: bool = True) -> ReadingBody:
        """Answer a question with verbatim quotes from the documents, or say that they hold no answer.

        Each answer has its quote (text), the characters it stands at, its document and page, the text around it, and
        the probability that it is right (score). Without an answer no_answer.chosen is true, and candidates are only
        what came nearest. conflicts are the places of answers in which other documents say something else.
        """
        request = AnswerRequest(question=question, top_k=top_k, return_no_answer=return_no_answer)
        with _tool_errors():
            check_request(request, options)
            return await gate.run(lambda: answer(collection, request))

    @server.tool(annotations=_reads("Quote"))
    async def quote(
        claim: Text,
        question: Annotated[str | None, Field(min_length=1, description="What the claim answers.")] = None,
        top_k: TopK = 3,
    ) -> EvidenceBody:
        """Find evidence for a claim: the verbatim quotes of the documents that speak to it most, best first.

        With the question that the claim answers, verdict says whether a quote says the same ("supported"), a confident
        one something else ("contradicted"), or neither ("insufficient"); words, names and numbers are compared, so a
        paraphrase is never "supported". Quotes with found false are only what comes nearest. Read the context of a
        quote before you rely on it.
        """
        requests = [AnswerRequest(question=text, top_k=top_k) for text in (claim, question) if text is not None]
        with _tool_errors():
            for request in requests:
                check_request(request, options)
            return await gate.run(lambda: evidence(collection, requests[0], question))


def _add_documents(server: MCPServer[None], collection: Collection, gate: Gate) -> None:
    @server.tool(annotations=_reads("List documents"))
    async def list_documents(
        contains: Annotated[str, Field(description="Only those whose id contains this, whatever the case.")] = "",
        first: Annotated[int, Field(ge=0, description="How many to skip.")] = 0,
        limit: Listed = 100,
    ) -> ListingBody:
        """The documents that can be asked and read, by id; total counts all that match."""

        def listed() -> ListingBody:
            held = [one for one in collection.documents() if contains.casefold() in one["id"].casefold()]
            page = [DocumentBody(**one) for one in held[first : first + limit]]
            return ListingBody(documents=page, total=len(held))

        with _tool_errors():
            return await gate.run(listed)

    @server.tool(annotations=_reads("Read a document"))
    async def read_document(
        document: Annotated[str, Field(description="Its id, as answers and list_documents name it.")],
        start: Annotated[int | None, Field(ge=0, description="The first character; not together with page.")] = None,
        page: Annotated[int | None, Field(ge=1, description="A page instead, counted from 1.")] = None,
        chars: Chars = 4_000,
    ) -> PieceBody:
        """Read a piece of a document's text: from a character on, or a page; go on at next_start."""

        def piece() -> PieceBody:
            found = collection.text(document)
            if found is None:
                raise InputError(f"there is no document {document!r:.200}; see list_documents")
            return _piece(found, start, page, chars)

        with _tool_errors():
            return await gate.run(piece)


def _piece(document: Document, start: int | None, page: int | None, chars: int) -> PieceBody:
    """The characters asked for; InputError where there are none."""
    length, starts = len(document.text), document.page_starts
    end = length
    if page is not None:
        if start is not None:
            raise InputError("give start or page, not both")
        if page > len(starts):
            pages = f"has {len(starts)} pages" if starts else "has no pages"
            raise InputError(f"{document.id} {pages}; there is no page {page}")
        start, end = starts[page - 1], starts[page] if page < len(starts) else length
    begin = 0 if start is None else start
    if begin >= length:
        raise InputError(f"start {begin} is behind the end of {document.id}, which has {length} characters")
    end = min(end, begin + chars)
    return PieceBody(
        id=document.id,
        text=document.text[begin:end],
        start=begin,
        end=end,
        page=document.page_at(begin),
        length=length,
        pages=len(starts),
        next_start=end if end < length else None,
    )


def _reads(title: str) -> ToolAnnotations:
    """What clients are told of a tool that changes nothing and reaches nothing outside."""
    return ToolAnnotations(title=title, read_only_hint=True, idempotent_hint=True, open_world_hint=False)


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Make of a refusal an error of the tool, which the model can read."""
    try:
        yield
    except (PolyspanError, Problem) as refusal:
        raise ToolError(str(refusal)) from refusal
