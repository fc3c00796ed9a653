"""JSON files, plain or gzip, with errors that name the file and the fault."""

import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from polyspan.errors import DatasetError


def read_json(path: Path, *, unique_keys: bool = False) -> Any:
    """What the JSON file holds; a name that ends in ``.gz`` says that it is gzip.

    Raises DatasetError where it cannot be read, is not JSON in UTF-8, or repeats a key under ``unique_keys``.
    """

    def refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for key, value in pairs:
            if key in record:
                raise DatasetError(f"{path}: key {key!r} occurs twice; expected each key once, remove one")
            record[key] = value
        return record

    content = read_bytes(path)
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=refuse_repeated if unique_keys else None)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: byte {error.start} is not UTF-8; expected JSON in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({error}); expected one JSON value") from error


def file_signature(path: Path) -> dict[str, str]:
    """``dataset`` and ``dataset_sha256`` for a report: the name, and 12 hex digits of the content's hash.

    A file and its gzip copy have the same signature. Raises DatasetError where the file cannot be read.
    """
    digest = hashlib.sha256(read_bytes(path)).hexdigest()
    return {"dataset": path.name.removesuffix(".gz"), "dataset_sha256": digest[:12]}


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked where its name ends in ``.gz``. Raises DatasetError where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}; expected a file to read") from error
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: not whole gzip ({error}); expected gzip, as the name says") from error
