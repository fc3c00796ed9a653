"""Haystack's filters to conditions on the columns of an index."""

from collections.abc import Callable, Mapping
from typing import Any

from haystack.errors import FilterError

from polyspan.retrieval import sql_text

_LOGIC = ("AND", "OR", "NOT")
_NOT_KEPT = ("content", "score", "embedding", "sparse_embedding", "blob")


def sql_filter(filters: Mapping[str, Any] | None) -> str | None:
    """The condition in SQL; None where there are no filters.

    An index keeps meta as texts, "key=value". So values are compared as texts, and only for equality: "==", "!=", "in"
    and "not in", of "id" and of "meta.KEY", combined by "AND", "OR" and "NOT".

    Raises FilterError for other operators and fields, for None, and for what is no filter.
    """
    return _condition(filters) if filters else None


def _condition(filters: Mapping[str, Any]) -> str:
    if not isinstance(filters, Mapping) or "operator" not in filters:
        raise FilterError(f"expected a filter, a mapping with 'operator', not {filters!r}")
    return _comparison(filters) if "field" in filters else _logic(filters)


def _logic(filters: Mapping[str, Any]) -> str:
    operator, conditions = filters["operator"], filters.get("conditions")
    if operator not in _LOGIC or not isinstance(conditions, list) or not conditions:
        raise FilterError(
            f"expected 'operator' as one of {', '.join(_LOGIC)} and a list of 'conditions', or a 'field' and a "
            f"'value', not {filters!r}"
        )
    joined = (" OR " if operator == "OR" else " AND ").join(map(_condition, conditions))
    return f"NOT ({joined})" if operator == "NOT" else f"({joined})"


def _comparison(filters: Mapping[str, Any]) -> str:
    field, operator = filters["field"], filters["operator"]
    if "value" not in filters:
        raise FilterError(f"field {field!r}: there is no 'value' to compare with")
    value, equal = filters["value"], _equality(field)
    if operator in ("==", "!="):
        condition = equal(value)
    elif operator not in ("in", "not in"):
        raise FilterError(
            f"operator {operator!r}: an index compares texts, and only for equality; use ==, !=, in or not in"
        )
    elif not isinstance(value, list):
        raise FilterError(f"field {field!r}: {operator!r} wants a list of values, not {value!r}")
    else:
        condition = f"({' OR '.join(map(equal, value))})" if value else "false"
    return f"NOT {condition}" if operator in ("!=", "not in") else condition


def _equality(field: Any) -> Callable[[Any], str]:
    """What makes the condition that a field equals a value."""
    key = str(field).removeprefix("meta.")
    if key == field and key in _NOT_KEPT:
        raise FilterError(f"field {field!r}: an index does not filter by it; use id, or meta.KEY")

    def equal(value: Any) -> str:
        if value is None:
            raise FilterError(f"field {field!r}: an index does not compare with None; leave that condition out")
        if field == "id":
            return f"(document = {sql_text(str(value))})"
        return f"array_has(meta, {sql_text(f'{key}={value}')})"

    return equal
