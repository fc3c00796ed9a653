"""Writing files and folders whole or not at all."""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from polyspan.errors import InputError


def json_text(value: Any) -> str:
    """The value as JSON in one line, readable in any script; halves of surrogate pairs stay escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write the value as a JSON file, as ``write_text`` does."""
    write_text(path, [json_text(value), "\n"])


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write the pieces as UTF-8, gzip where the name of ``path`` ends in ``.gz``, as ``write_bytes`` does.

    Raises InputError also where a piece cannot be UTF-8.
    """
    try:
        write_bytes(path, (piece.encode() for piece in pieces))
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: cannot be written as UTF-8: the data holds half of a surrogate pair "
            f"({error.object[error.start]!r}); remove it, or write a JSON format"
        ) from error


def write_bytes(path: Path, pieces: Iterable[bytes]) -> None:
    """Write the pieces to ``path``, gzip where its name ends in ``.gz``; a file of that name is replaced.

    The file appears when all is written. Raises InputError where that fails.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            if path.suffix == ".gz":
                # Without a time and a name in it, the same content gives the same file.
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    packed.writelines(pieces)
            else:
                file.writelines(pieces)
        unfinished.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write to, which is called ``out`` when all went well; gone otherwise, or if it was taken away.

    Raises:
        InputError: if ``out`` holds something already, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists already; expected the name of a new folder")
    parent = out.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=parent) as scratch:
            unfinished = Path(scratch) / out.name
            unfinished.mkdir()
            yield unfinished
            if unfinished.is_dir():
                if out.is_dir():
                    out.rmdir()
                unfinished.rename(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from error
