"""Whatever is raised about a broken file as one error that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from polyspan.errors import DocumentError


@contextmanager
def refuse_broken(name: str, kind: str, program: str) -> Iterator[None]:
    """Turn all that a library raises about the file ``name`` of this ``kind`` into a DocumentError."""
    try:
        yield
    except DocumentError:
        raise
    except Exception as error:  # broken files fail in many ways: zip, XML, relationships, content types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DocumentError(
            f"{name}: not a readable {kind} file ({reason}); open it in {program} and save it again"
        ) from error
