"""What a request is answered with that cannot be served (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from polyspan.errors import DocumentError, InputError, PolyspanError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 -- the word of RFC 9457
    """A refusal: the HTTP status and what is wrong, where, and what to do about it."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: PolyspanError) -> "Problem":
        """What an error of the library means to a client: its own input, or something that may pass."""
        if isinstance(error, InputError | DocumentError):
            return cls(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        return cls(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def content(self) -> dict[str, Any]:
        """The body."""
        return {"title": HTTPStatus(self.status).phrase, "status": int(self.status), "detail": self.detail}

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.content(), self.status, self.headers, MEDIA_TYPE)
