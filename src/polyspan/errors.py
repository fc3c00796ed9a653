"""Everything that polyspan raises on purpose.

PolyspanError
├── InputError            an argument or an option that makes no sense (also a ValueError)
├── DocumentError         a file or folder that cannot be read as a document
├── DatasetError          a dataset or prediction file that does not hold what it should
├── PassageIndexError     an index of passages that cannot be opened, read or written
├── ModelError            a model folder or hub id that cannot be opened
└── MissingExtraError     a feature whose packages are not installed (also an ImportError)

Each message says what is wrong, where, what was expected and what to do about it, in one line.
"""

__all__ = [
    "DatasetError",
    "DocumentError",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "PassageIndexError",
    "PolyspanError",
]


class PolyspanError(Exception):
    """The base of all errors that polyspan raises on purpose."""


class InputError(PolyspanError, ValueError):
    """An argument or an option that makes no sense."""


class DocumentError(PolyspanError):
    """A file or folder that cannot be read as a document."""


class DatasetError(PolyspanError):
    """A dataset or prediction file that does not hold what it should."""


class PassageIndexError(PolyspanError):
    """An index of passages that cannot be opened, read or written."""


class ModelError(PolyspanError):
    """A model folder or hub id that cannot be opened."""


class MissingExtraError(PolyspanError, ImportError):
    """A feature whose packages are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs more packages: pip install "polyspan[{extra}]"')
        self.extra = extra
