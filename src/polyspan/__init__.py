"""Extractive question answering: exact quotes with offsets, probabilities and an honest "no answer"."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyspan.backends import BackendOptions
    from polyspan.errors import (
        DatasetError,
        DocumentError,
        InputError,
        MissingExtraError,
        ModelError,
        PassageIndexError,
        PolyspanError,
    )
    from polyspan.reader import Reader, ReadOptions
    from polyspan.types import Answer, Document, NoAnswer, Passage, Reading, Span

__all__ = [
    "Answer",
    "BackendOptions",
    "DatasetError",
    "Document",
    "DocumentError",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "NoAnswer",
    "Passage",
    "PassageIndexError",
    "PolyspanError",
    "ReadOptions",
    "Reader",
    "Reading",
    "Span",
]

_ROOMS = {
    "backends": ["BackendOptions"],
    "errors": [
        "DatasetError",
        "DocumentError",
        "InputError",
        "MissingExtraError",
        "ModelError",
        "PassageIndexError",
        "PolyspanError",
    ],
    "reader": ["ReadOptions", "Reader"],
    "types": ["Answer", "Document", "NoAnswer", "Passage", "Reading", "Span"],
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    """Import public names when they are first used, so that ``import polyspan`` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'polyspan' has no attribute {name!r}")
    return getattr(import_module(f"polyspan.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
