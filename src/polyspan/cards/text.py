"""Markdown tables and YAML blocks that hold whatever texts come."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MARKUP = re.compile(r"[\\`*_\[\]<>|~&#]")
# JSON leaves these as they are; in YAML they end a line or may not stand at all.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def escaped(text: str) -> str:
    """The text on one line of Markdown, so that it is shown as it is."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are plain texts."""
    lines = [header, ["---"] * len(header), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def yaml_block(value: Any) -> str:
    """Nested mappings and lists, none empty, of texts and finite numbers as block YAML; floats with 4 decimals at most.

    Keys have to be plain words. Texts are written as JSON strings, which YAML reads alike.
    """
    return "\n".join(_yaml_lines(value))


def _yaml_lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _yaml_entry(key, item)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [_yaml_lines(item) for item in value]
        return [f"{'  ' if number else '- '}{line}" for item in items for number, line in enumerate(item)]
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return [_NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)]
    # With few decimals there is no exponent, which YAML 1.1 reads as a text where the mantissa has no point.
    return [str(value) if isinstance(value, int) else repr(round(float(value), 4))]


def _yaml_entry(key: str, value: Any) -> list[str]:
    lines = _yaml_lines(value)
    if isinstance(value, Mapping | list | tuple):
        return [f"{key}:", *(f"  {line}" for line in lines)]
    return [f"{key}: {lines[0]}"]
