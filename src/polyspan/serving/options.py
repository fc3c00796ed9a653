"""How a server behaves."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from polyspan.errors import InputError


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Limits and access.

    ``token`` must come with every request, as ``Authorization: Bearer TOKEN``, but those for health and the page (None:
    no token). ``read_only`` takes neither documents nor feedback. ``origins`` are the sites whose pages may ask (CORS).

    ``max_body_bytes`` of a request, which must come within ``body_seconds``; ``max_question_chars``, ``max_questions``
    of a batch, ``max_top_k`` answers and ``max_passages`` read for a question. ``threads`` questions are answered at
    once and ``most_waiting`` wait; more are refused with 429. An answer that takes longer than ``answer_seconds`` is
    given up with 503. With ``batch_seconds`` those questions of the threads that come within this time are read
    together (None: each by itself).
    """

    token: str | None = None
    read_only: bool = False
    origins: Sequence[str] = ()
    max_body_bytes: int = 50_000_000
    body_seconds: float = 60.0
    max_question_chars: int = 2_000
    max_questions: int = 256
    max_top_k: int = 50
    max_passages: int = 50
    threads: int = 2
    most_waiting: int = 64
    answer_seconds: float = 60.0
    batch_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                raise InputError(f"{field.name} must be above 0, not {value}")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token.strip()):
            raise InputError("the token must be printable ASCII characters")
