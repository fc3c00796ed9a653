"""The formats of datasets that polyspan converts from and to, one file a family."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyspan.datasets.fields import Notes, PlacedExamples
from polyspan.datasets.formats import label_studio, mrqa, rows, squad
from polyspan.types import QAExample

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: what it is called, how its files are read, and the pieces of text that a file of it is made of.

    Reading and writing count in the notes what cannot be carried over. Where it holds ``answerable_only``, its
    pieces are asked for with no other questions. What is SQuAD-like is made ``from_squad`` by a function from and to
    JSON, which keeps the fields that no example can carry.
    """

    title: str
    read: Callable[[Path, Notes], PlacedExamples]
    pieces: Callable[[Sequence[QAExample], Notes], Iterable[str]]
    answerable_only: bool = False
    from_squad: Callable[[dict[str, Any]], dict[str, Any]] | None = None


FORMATS = {
    "squad1": Format(
        "SQuAD 1.1 JSON",
        squad.read_squad_like,
        squad.squad1_pieces,
        answerable_only=True,
        from_squad=squad.squad1_content,
    ),
    "squad2": Format("SQuAD 2.0 JSON", squad.read_squad_like, squad.squad2_pieces, from_squad=squad.squad2_content),
    "mrqa": Format("MRQA JSONL", mrqa.read_mrqa, mrqa.mrqa_pieces, answerable_only=True),
    "jsonl": Format("one question a line, flat", rows.read_jsonl, rows.jsonl_pieces),
    "csv": Format("one question a row, flat", rows.read_csv, rows.csv_pieces),
    "huggingface": Format("columns of Hugging Face datasets, JSONL", rows.read_huggingface, rows.huggingface_pieces),
    "label-studio": Format("Label Studio JSON", label_studio.read_label_studio, label_studio.label_studio_pieces),
    "haystack": Format(
        "Haystack annotation tool JSON",
        squad.read_squad_like,
        squad.haystack_pieces,
        from_squad=squad.haystack_content,
    ),
}
