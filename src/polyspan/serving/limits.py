"""What stands between a request and any work: size, time, a token."""

import asyncio
import hmac
import time
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyspan.serving.options import ServeOptions
from polyspan.serving.problems import Problem

OPEN_PATHS = ("/healthz", "/readyz", "/")
PAGE = "/page/"


class Guard:
    """Middleware that refuses requests without the token, and bodies that are too large or too slow."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope), scope["path"])
            body = await self._body(receive)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _check(self, headers: Headers, path: str) -> None:
        token = self._options.token
        if token is not None and path not in OPEN_PATHS and not path.startswith(PAGE):
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                raise Problem(
                    HTTPStatus.UNAUTHORIZED,
                    "this server needs a token; send Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._options.max_body_bytes:
            raise _too_large(self._options)

    async def _body(self, receive: Receive) -> bytes:
        """The whole body, read before anything else is done."""
        until = time.monotonic() + self._options.body_seconds
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            try:
                message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
            except TimeoutError as error:
                raise Problem(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"the request took longer than {self._options.body_seconds:g} seconds; send it again",
                ) from error
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._options.max_body_bytes:
                raise _too_large(self._options)
            more = bool(message.get("more_body", False))
        return b"".join(parts)


def _too_large(options: ServeOptions) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the request is larger than {options.max_body_bytes:,} bytes; send less at once",
        {"Connection": "close"},
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then whatever else comes."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        message: dict[str, Any] = {"type": "http.request", "body": body, "more_body": False}
        return message

    return replayed
