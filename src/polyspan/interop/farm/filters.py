"""Haystack 1's filters over documents' meta."""

from collections.abc import Callable, Mapping
from typing import Any

from polyspan.errors import InputError

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$in": lambda value, wanted: value in wanted,
    "$nin": lambda value, wanted: value not in wanted,
    "$gt": lambda value, wanted: value is not None and bool(value > wanted),
    "$gte": lambda value, wanted: value is not None and bool(value >= wanted),
    "$lt": lambda value, wanted: value is not None and bool(value < wanted),
    "$lte": lambda value, wanted: value is not None and bool(value <= wanted),
}
_LOGIC: dict[str, Callable[[list[bool]], bool]] = {
    "$and": all,
    "$or": any,
    "$not": lambda results: not all(results),
}


def matches(meta: Mapping[str, Any], filters: Any) -> bool:
    """Whether a document's meta passes.

    Args:
        meta: names and values; a missing one is None.
        filters: None passes all. A mapping passes where all its entries do, or as ``$and``, ``$or`` and ``$not`` say of
            theirs, which may be lists of mappings too. Other names are fields of meta, with a value, a list of values,
            or a mapping of ``$eq``, ``$ne``, ``$in``, ``$nin``, ``$gt``, ``$gte``, ``$lt`` and ``$lte``.

    Raises InputError for anything else, and for values that cannot be compared.
    """
    return all(_results(meta, filters))


def _results(meta: Mapping[str, Any], filters: Any) -> list[bool]:
    if filters is None:
        return []
    if isinstance(filters, list):
        return [matches(meta, one) for one in filters]
    if not isinstance(filters, Mapping):
        raise InputError(f"filters must be a mapping, not {filters!r:.60}")
    return [
        _LOGIC[name](_results(meta, wanted)) if name in _LOGIC else _compares(name, meta.get(name), wanted)
        for name, wanted in filters.items()
    ]


def _compares(name: str, value: Any, wanted: Any) -> bool:
    if name.startswith("$"):
        raise InputError(f"filters: unknown operator {name!r}; expected one of {', '.join(_LOGIC)} or a field of meta")
    if not isinstance(wanted, Mapping):
        wanted = {"$in" if isinstance(wanted, list) else "$eq": wanted}
    unknown = [operator for operator in wanted if operator not in _COMPARISONS | _LOGIC]
    if unknown:
        raise InputError(f"filters: {name}: unknown operator {unknown[0]!r}; expected one of {', '.join(_COMPARISONS)}")
    try:
        return all(
            _LOGIC[operator]([_compares(name, value, one)])
            if operator in _LOGIC
            else _COMPARISONS[operator](value, one)
            for operator, one in wanted.items()
        )
    except TypeError as error:
        raise InputError(f"filters: {name}: {value!r:.40} cannot be compared with {wanted!r:.40}") from error
