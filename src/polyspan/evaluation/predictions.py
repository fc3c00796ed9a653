"""What a reader said, question by question: made once, kept in a file that survives interruptions, scored often.

The file is JSON lines. The first says what the predictions were made from, each further one holds a prediction, in
the order of the dataset.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from polyspan.datasets.fields import field as typed_field
from polyspan.datasets.fields import join, typed
from polyspan.datasets.jsonfile import read_bytes
from polyspan.datasets.writing import json_text
from polyspan.errors import DatasetError, InputError
from polyspan.types import QAExample, Reading

LARGEST_MARGIN = 1e4
_SUFFIXES = (".jsonl", ".jsonl.gz")
_MOST = sys.float_info.max
_ORIGIN_TEXTS = ("model", "weights", "settings", "dataset", "dataset_sha256")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a reader said of one question.

    ``text`` is the best span, characters ``start`` to ``end`` (exclusive) of the context, also where the reader
    ``abstained``; "" and -1 where there is none. ``score`` is the probability, 0 to 1, that it is right by exact
    match, ``no_answer_score`` that abstaining is right. ``null_margin`` is in logits, from -10,000 to 10,000.
    ``features`` are those of ``Reading``.
    """

    id: str
    text: str
    start: int
    end: int
    score: float
    no_answer_score: float
    abstained: bool
    null_margin: float
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The final answer: "" where the reader abstained."""
        return "" if self.abstained else self.text

    @property
    def probability(self) -> float:
        """The reader's own probability, 0 to 1, that what it shows is exactly right."""
        return self.no_answer_score if self.abstained else self.score


@dataclass(frozen=True, slots=True)
class Origin:
    """What predictions were made from.

    ``weights`` is the model's digest, ``settings`` that of its calibration and other settings. ``threshold`` is the
    no-answer threshold in logits, None where the reader was not to abstain; ``options`` are the reading options.
    """

    model: str
    weights: str
    settings: str
    dataset: str
    dataset_sha256: str
    threshold: float | None
    options: Mapping[str, Any]


class KeptRow(Protocol):
    """A dataclass of JSON values, kept in a line of its own: what was said of the question ``id``."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def id(self) -> str:
        """The question's id."""
        ...


Row = TypeVar("Row", bound=KeptRow)


@dataclass(frozen=True, slots=True)
class Layout(Generic[Row]):
    """A kind of kept file: its format, which its first line names, the command that keeps it, and how a row is read.

    ``read`` takes a line's object and its place, and raises DatasetError where that is no such row.
    """

    name: str
    version: int
    command: str
    read: Callable[[dict[str, Any], str], Row]


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of predictions: its origin, and the predictions by question id, in the order of the file."""

    origin: Origin
    predictions: Mapping[str, Prediction]


def as_predictions(examples: Iterable[QAExample], readings: Iterable[Reading]) -> Iterator[Prediction]:
    """What was read of each example, in order, as it comes. ValueError where there are not as many of both."""
    for example, reading in zip(examples, readings, strict=True):
        best = next(iter(reading.answers or reading.candidates), None)
        yield Prediction(
            id=example.id,
            text="" if best is None else best.text,
            start=-1 if best is None else best.start,
            end=-1 if best is None else best.end,
            score=0.0 if best is None else best.score,
            no_answer_score=reading.no_answer.score,
            abstained=reading.no_answer.chosen,
            null_margin=max(-LARGEST_MARGIN, min(LARGEST_MARGIN, reading.no_answer.null_margin)),
            features={name: float(value) for name, value in reading.features.items()},
        )


def predictions_file(folder: Path, dataset: str, kind: str = "predictions") -> Path:
    """Where a folder keeps what was said on the dataset of that name: ``dev.json`` in ``dev.predictions.jsonl``."""
    return folder / f"{Path(dataset).name.removesuffix('.gz').removesuffix('.json')}.{kind}.jsonl"


def is_kept(path: Path) -> bool:
    """Whether a path names kept predictions, a folder or a ``.jsonl`` (also .gz), and not SQuAD's prediction JSON."""
    return path.is_dir() or path.name.endswith(_SUFFIXES)


def read_kept(path: Path) -> Kept:
    """The predictions of a file; a last line that an interruption cut off does not count.

    Raises DatasetError where the file cannot be read or holds anything else, an id twice or a number that is none.
    """
    origin, rows, _ = _parse(read_bytes(path), path, PREDICTIONS)
    return Kept(origin, {row.id: row for row in rows})


def resume(path: Path, origin: Origin, examples: Sequence[QAExample]) -> list[Prediction]:
    """The predictions that a file holds already of the first ``examples``, as ``resume_rows`` finds them."""
    return resume_rows(path, origin, examples, PREDICTIONS)


def resume_rows(path: Path, origin: Origin, examples: Sequence[QAExample], layout: Layout[Row]) -> list[Row]:
    """The rows that a file holds already of the first ``examples``, ready to ``append`` the others.

    A new file begins with ``origin``; a last line that was cut off goes.

    Raises:
        InputError: if the file holds rows of another origin, or cannot be written.
        DatasetError: if it holds anything else.
    """
    header = _line({"format": layout.name, "format_version": layout.version, **asdict(origin)})
    content = read_bytes(path) if path.exists() else b""
    rows: list[Row] = []
    if header.startswith(content):  # a new file, or one whose beginning was cut off
        whole = 0
    else:
        kept, rows, whole = _parse(content, path, layout)
        _check_origin(path, kept, origin)
        _check_order(path, rows, examples)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.truncate(whole)
            file.write(b"" if whole else header)
    except OSError as error:
        raise _unwritable(path, error) from error
    return rows


def append(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, each written before it is handed on. Raises InputError where that fails."""
    try:
        file = path.open("ab", buffering=0)  # a killed process takes no buffer with it
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        for row in rows:
            line = memoryview(_line(asdict(row)))
            try:
                while line:
                    line = line[file.write(line) :]
            except OSError as error:
                raise _unwritable(path, error) from error
            yield row


def _line(record: Mapping[str, Any]) -> bytes:
    return f"{json_text(record)}\n".encode()


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written ({error.strerror or error}); make room and run again to go on")


def _parse(content: bytes, path: Path, layout: Layout[Row]) -> tuple[Origin, list[Row], int]:
    """Origin and rows of a file's whole lines, and how many bytes these are."""
    whole = content.rfind(b"\n") + 1
    first, *lines = content[:whole].split(b"\n")[:-1] or [b""]
    origin = _origin(first, f"{path}: line 1:", layout)
    places = [f"{path}: line {number}:" for number in range(2, 2 + len(lines))]
    rows = [layout.read(_object(line, where), where) for line, where in zip(lines, places, strict=True)]
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        if seen.setdefault(row.id, number) != number:
            raise DatasetError(
                f"{path}: line {number}: question {row.id!r} stands already in line {seen[row.id]}; remove one of them"
            )
    return origin, rows, whole


def _origin(line: bytes, where: str, layout: Layout[Row]) -> Origin:
    record = _object(line, where)
    if (record.get("format"), record.get("format_version")) != (layout.name, layout.version):
        raise DatasetError(
            f"{where} expected the beginning of predictions that {layout.command} keeps (format {layout.name}, "
            f"version {layout.version}), got {line[:60].decode('utf-8', 'replace')!r}"
        )
    texts = {name: typed_field(record, name, str, where) for name in _ORIGIN_TEXTS}
    threshold = None if record.get("threshold") is None else number_field(record, "threshold", where)
    return Origin(**texts, threshold=threshold, options=typed_field(record, "options", dict, where))


def _prediction(record: dict[str, Any], where: str) -> Prediction:
    features, place = typed_field(record, "features", dict, where), join(where, "features")
    return Prediction(
        id=typed_field(record, "id", str, where),
        text=typed_field(record, "text", str, where),
        start=typed_field(record, "start", int, where),
        end=typed_field(record, "end", int, where),
        score=number_field(record, "score", where, 0.0, 1.0),
        no_answer_score=number_field(record, "no_answer_score", where, 0.0, 1.0),
        abstained=typed_field(record, "abstained", bool, where),
        null_margin=number_field(record, "null_margin", where),
        features={name: number_field(features, name, place) for name in features},
    )


PREDICTIONS = Layout("polyspan-predictions", 1, "polyspan evaluate --out", _prediction)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        return typed(json.loads(line), dict, where)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} not JSON ({error}); expected one JSON object a line") from error


def number_field(record: Mapping[str, Any], name: str, where: str, low: float = -_MOST, high: float = _MOST) -> float:
    """A finite number from ``low`` to ``high``; else DatasetError."""
    value: Any = record.get(name)
    if type(value) in (int, float) and low <= value <= high:  # NaN and infinities are not
        return float(value)
    bounds = "" if low == -_MOST else f" from {low:g} to {high:g}"
    raise DatasetError(f"{join(where, name)}: expected a finite number{bounds}, got {value!r:.60}")


def _check_origin(path: Path, kept: Origin, origin: Origin) -> None:
    """InputError, naming the differences, where predictions were made from something else."""
    before, now = ({**asdict(one), **one.options} for one in (kept, origin))
    names = [name for name in dict.fromkeys([*before, *now]) if name != "options" and before.get(name) != now.get(name)]
    if names:
        differences = ", ".join(f"{name} {before.get(name)!r}, now {now.get(name)!r}" for name in names)
        raise InputError(
            f"{path}: holds predictions of another run ({differences}); give another --out, or remove the file"
        )


def _check_order(path: Path, rows: Sequence[KeptRow], examples: Sequence[QAExample]) -> None:
    if [row.id for row in rows] != [example.id for example in examples[: len(rows)]]:
        raise DatasetError(
            f"{path}: its questions are not the first of the dataset, in their order; remove the file to read again"
        )
