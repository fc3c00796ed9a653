"""What Haystack 1 passed around: documents, answers and labels, with the same fields and methods."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError

Record = TypeVar("Record", bound="_Record")

_ID_LENGTH = 32
_HASHABLE = ("content", "content_type", "score", "meta", "embedding")


class _Record:
    """To and from mappings and JSON."""

    def to_dict(self) -> dict[str, Any]:
        """All fields; records in them as mappings too."""
        content: dict[str, Any] = asdict(self)  # type: ignore[call-overload] # subclasses are dataclasses
        return content

    def to_json(self) -> str:
        """``to_dict`` as JSON; arrays are lists there."""
        return json.dumps(self.to_dict(), default=_plain, ensure_ascii=False)

    @classmethod
    def from_dict(cls: type[Record], content: Mapping[str, Any]) -> Record:
        """From what ``to_dict`` gives. InputError where a field is unknown."""
        known = {one.name for one in fields(cls)}  # type: ignore[arg-type] # likewise
        unknown = sorted(set(content) - known)
        if unknown:
            raise InputError(
                f"{cls.__name__}: unknown field {unknown[0]!r}; expected some of {', '.join(sorted(known))}"
            )
        return cls(**content)

    @classmethod
    def from_json(cls: type[Record], content: "str | Mapping[str, Any]") -> Record:
        """From what ``to_json`` gives, or the mapping in it."""
        return cls.from_dict(json.loads(content) if isinstance(content, str) else content)


@dataclass(slots=True)
class Document(_Record):
    """A text with an id, by default a hash of the fields in ``id_hash_keys``, which may be ``meta.NAME``.

    ``meta`` holds anything; ``page_number``, a ``name`` and ``_split_overlap`` mean something to readers. ``embedding``
    is a vector, ``score`` what a retriever gave. InputError where there is no content.
    """

    content: Any
    content_type: str = "text"
    id: str = ""
    score: float | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    embedding: npt.NDArray[np.float32] | None = None
    id_hash_keys: list[str] = field(default_factory=lambda: ["content"])

    def __post_init__(self) -> None:
        """Fill what was given as None, and the id."""
        if self.content is None:
            raise InputError("a Document needs content; expected a text")
        self.meta = {} if self.meta is None else self.meta
        self.id_hash_keys = self.id_hash_keys or ["content"]
        if self.embedding is not None:
            self.embedding = np.asarray(self.embedding, np.float32)
        self.id = self._hash() if self.id in (None, "") else str(self.id)

    def _hash(self) -> str:
        parts = []
        for key in self.id_hash_keys:
            if key.startswith("meta."):
                parts.append(str(self.meta.get(key.removeprefix("meta."), "")))
            elif key in _HASHABLE:
                parts.append(str(getattr(self, key)))
            else:
                raise InputError(f"id_hash_keys: {key!r} is none of {', '.join(_HASHABLE)} and no meta.NAME")
        return sha256(":".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_ID_LENGTH]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Document":
        """From a mapping with "content"; what is no field of a document goes into its meta."""
        known = {one.name for one in fields(cls)}
        if content.get("content") is None:
            raise InputError(f"a document needs content, found {', '.join(map(str, content)) or 'nothing'}")
        meta = dict(content.get("meta") or {}) | {key: value for key, value in content.items() if key not in known}
        return cls(**{key: value for key, value in content.items() if key in known} | {"meta": meta})

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal."""
        if not isinstance(other, Document):
            return NotImplemented
        mine, others = ({one.name: getattr(document, one.name) for one in fields(self)} for document in (self, other))
        vectors = mine.pop("embedding"), others.pop("embedding")
        return mine == others and np.array_equal(vectors[0], vectors[1])

    def __lt__(self, other: "Document") -> bool:
        """By score, so that lists of them can be sorted."""
        return _score(self) < _score(other)

    __hash__ = None  # type: ignore[assignment] # they can change


@dataclass(slots=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive)."""

    start: int
    end: int

    def __contains__(self, value: object) -> bool:
        """Whether a position, or a whole Span that ends before this one does, lies inside."""
        if isinstance(value, Span):
            return self.start <= value.start and self.end > value.end
        if isinstance(value, int | float | str):
            try:
                return self.start <= float(value) < self.end
            except ValueError:
                pass
        raise InputError(f"a Span holds positions and Spans, not {value!r:.60}")


@dataclass(slots=True)
class Answer(_Record):
    """A quote with its score, 0 to 1, or "" for "no answer".

    ``context`` is the text around it; the offsets are in that and in the document.
    """

    answer: str
    type: str = "extractive"
    score: float | None = None
    context: str | None = None
    offsets_in_document: list[Span] | None = None
    offsets_in_context: list[Span] | None = None
    document_ids: list[str] | None = None
    meta: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Take mappings for Spans."""
        self.offsets_in_document = _spans(self.offsets_in_document)
        self.offsets_in_context = _spans(self.offsets_in_context)
        self.meta = {} if self.meta is None else self.meta

    @property
    def document_id(self) -> str | None:
        """The first document's id, as older versions had it."""
        return self.document_ids[0] if self.document_ids else None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Answer":
        """From what ``to_dict`` gives, or gave when it had a single ``document_id``."""
        content = dict(content)
        if "document_id" in content:
            identity = content.pop("document_id")
            content["document_ids"] = None if identity is None else [identity]
        return super(Answer, cls).from_dict(content)

    def __lt__(self, other: "Answer") -> bool:
        """By score, so that lists of them can be sorted."""
        return _score(self) < _score(other)


@dataclass(slots=True)
class Label(_Record):
    """A question's known answer in a document; ``answer`` None or "" says that it has none there."""

    query: str
    document: Document
    is_correct_answer: bool
    is_correct_document: bool
    origin: str
    answer: Answer | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    pipeline_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Take mappings for documents and answers."""
        if isinstance(self.document, Mapping):
            self.document = Document.from_dict(self.document)
        if isinstance(self.answer, Mapping):
            self.answer = Answer.from_dict(self.answer)

    @property
    def no_answer(self) -> bool | None:
        """Whether the answer is empty; None without one."""
        return None if self.answer is None else not self.answer.answer.strip()


def as_document(given: Any) -> Document:
    """A document from one, a text, a mapping or another library's document, whose missing content counts as empty.

    Raises InputError for tables and anything else.
    """
    if isinstance(given, str):
        return Document(given)
    if isinstance(given, Mapping):
        given = Document.from_dict(given)
    if not isinstance(given, Document) and hasattr(given, "content") and hasattr(given, "meta"):
        content = "" if given.content is None else given.content
        given = Document(content, id=getattr(given, "id", ""), meta=given.meta)
    if not isinstance(given, Document) or not isinstance(given.content, str):
        raise InputError(f"expected a Document with a text, not {given!r:.80}; tables are not read")
    return given


def _spans(given: Any) -> list[Span] | None:
    return None if given is None else [Span(**one) if isinstance(one, Mapping) else one for one in given]


def _score(record: Document | Answer) -> float:
    return -np.inf if record.score is None else record.score


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
