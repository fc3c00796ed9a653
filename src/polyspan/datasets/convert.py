"""Datasets from one format to another."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import Notes, PlacedExamples, read_text
from polyspan.datasets.formats import FORMATS
from polyspan.datasets.jsonfile import read_json
from polyspan.datasets.writing import json_text, write_text
from polyspan.errors import DatasetError
from polyspan.types import QAExample


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted: the formats by their names in ``FORMATS``, and how many questions were written.

    ``notes`` holds what could not be carried over, in plain words, each with how often.
    """

    source_format: str
    target_format: str
    questions: int
    notes: Mapping[str, int]


def convert(source: Path, target: Path, target_format: str, source_format: str | None = None) -> Conversion:
    """Write the questions of ``source`` to ``target``, whole or not at all; names in ``.gz`` are gzip.

    Formats are names in ``FORMATS``; that of the source is guessed where it is None. Answers keep their texts and
    offsets as they are; all further fields stay where both formats are SQuAD-like. Raises DatasetError with file,
    record and field where the source does not hold its format or repeats an id, and where the target could hold no
    question; InputError where it cannot be written.
    """
    source_format = guess_format(source) if source_format is None else source_format
    form, source_form = FORMATS[target_format], FORMATS[source_format]
    from_squad = form.from_squad if source_form.from_squad else None
    notes = Notes()
    examples = _collect(source_form.read(source, Notes() if from_squad else notes), source)
    if form.answerable_only:
        examples = _answerable(examples, form.title, notes)
    write_text(target, [json_text(from_squad(read_json(source)))] if from_squad else form.pieces(examples, notes))
    return Conversion(source_format, target_format, len(examples), dict(+notes))


def guess_format(path: Path) -> str:
    """The name in ``FORMATS`` of what a file holds, by its name and content. Raises DatasetError where unsure."""
    if path.name.removesuffix(".gz").endswith(".csv"):
        return "csv"
    text = read_text(path)
    guess = _guess_json(_first_json(text), text)
    if guess is None:
        raise DatasetError(f"{path}: its format cannot be told; say it with --from, one of {', '.join(FORMATS)}")
    return guess


def _first_json(text: str) -> Any:
    """The JSON value that the text, or else its first line, is; None where neither is one."""
    for part in (text, text.lstrip().partition("\n")[0]):
        try:
            return json.loads(part)
        except (ValueError, RecursionError):
            continue
    return None


def _guess_json(value: Any, text: str) -> str | None:
    guess = None
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and {"data", "annotations"} <= value[0].keys():
            guess = "label-studio"
    elif isinstance(value, dict):
        if isinstance(value.get("data"), list):
            # Inside a JSON string the quotes would be escaped.
            guess = "haystack" if '"document_id"' in text else "squad2" if '"is_impossible"' in text else "squad1"
        elif "header" in value or "qas" in value:
            guess = "mrqa"
        elif isinstance(value.get("answers"), dict):
            guess = "huggingface"
        elif "answer_starts" in value:
            guess = "jsonl"
    return guess


def _collect(placed: PlacedExamples, source: Path) -> list[QAExample]:
    examples = []
    seen: dict[str, str] = {}
    for place, example in placed:
        where = place.removeprefix(f"{source}: ").rstrip(":")
        if example.id in seen:
            raise DatasetError(
                f"{source}: {where}: id {example.id!r} stands already at {seen[example.id]}; expected unique ids"
            )
        seen[example.id] = where
        examples.append(example)
    if not examples:
        raise DatasetError(f"{source}: it holds no questions; expected at least one")
    return examples


def _answerable(examples: list[QAExample], title: str, notes: Notes) -> list[QAExample]:
    kept = [example for example in examples if not example.is_impossible]
    if not kept:
        raise DatasetError(f"{title} holds answerable questions only, and there are none; choose another format")
    notes[f"unanswerable questions left out: {title} cannot hold them"] = len(examples) - len(kept)
    return kept
