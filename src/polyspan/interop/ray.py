"""Reading and indexing by a Ray cluster: Ray Data's workers do what one machine would, and give the same rows.

A worker that dies is replaced, and what it held is done again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polyspan.backends import TextEncoder
from polyspan.errors import DocumentError, InputError, MissingExtraError
from polyspan.pipeline import QAPipeline
from polyspan.reader import ReadOptions
from polyspan.retrieval import IndexSettings, Prepared, StoredDocument, prepare_files, rows_from_bytes, rows_to_bytes

try:
    import ray
except ImportError as error:
    raise MissingExtraError("working on a cluster", "ray") from error

Row = dict[str, Any]
Batch = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which cluster works, and how.

    ``address``: of the cluster, as Ray takes it ("ray://host:10001"; "auto" for the one that this machine belongs to),
    or "local" for worker processes of this machine alone. ``workers``: how many processes, each of ``cpus`` processors,
    at most; None: as many as the cluster has room for. ``batch`` questions or files are one task.
    """

    address: str = "auto"
    workers: int | None = None
    cpus: int = 1
    batch: int = 16

    def __post_init__(self) -> None:
        """Refuse fewer than one of anything."""
        for name in ("workers", "cpus", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")


def ask_on_cluster(
    questions: Sequence[str],
    open_pipeline: Callable[[], QAPipeline],
    options: ReadOptions | None = None,
    cluster: ClusterOptions | None = None,
) -> Iterator[Row]:
    """What the cluster finds for each question, in order: ``Reading.to_json`` with the model's name.

    Args:
        questions: any number.
        open_pipeline: called once by each worker; must be picklable, and what it opens reachable from every machine.
        options: None takes the reader's own.
        cluster: where.
    """
    items = [{"question": question} for question in questions]
    yield from _rows(items, _Asking, (open_pipeline, options), cluster or ClusterOptions())


def prepare_on_cluster(
    open_encoder: Callable[[], TextEncoder], settings: IndexSettings, cluster: ClusterOptions | None = None
) -> Callable[[Sequence[tuple[Path, StoredDocument | None]]], Iterable[Prepared]]:
    """What ``index_paths`` takes as ``prepare``: workers read, cut and encode files, the caller writes.

    Args:
        open_encoder: called once by each worker; must be picklable.
        settings: the index's.
        cluster: where; every machine must see the files under the same paths.
    """

    def prepare(files: Sequence[tuple[Path, StoredDocument | None]]) -> Iterator[Prepared]:
        items = [{"path": str(path), "known": json.dumps(None if one is None else asdict(one))} for path, one in files]
        for row in _rows(items, _Preparing, (open_encoder, settings), cluster or ClusterOptions()):
            yield Prepared(
                StoredDocument(**row["stored"]),
                None if row["rows"] is None else rows_from_bytes(row["rows"]),
                None if row["error"] is None else DocumentError(row["error"]),
            )

    return prepare


class _Asking:
    """A worker that answers questions."""

    def __init__(self, open_pipeline: Callable[[], QAPipeline], options: ReadOptions | None) -> None:
        self._pipeline = open_pipeline()
        self._options = options

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        model = self._pipeline.reader.scorer.name
        found = self._pipeline.ask_stream([str(question) for question in batch["question"]], self._options)
        rows = ({**reading.to_json(), "model": model} for _, reading in found)
        return {"row": [json.dumps(row) for row in rows]}


class _Preparing:
    """A worker that makes files into rows."""

    def __init__(self, open_encoder: Callable[[], TextEncoder], settings: IndexSettings) -> None:
        self._encoder = open_encoder()
        self._settings = settings

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        known = [None if text == "null" else StoredDocument(**json.loads(text)) for text in batch["known"]]
        files = zip(map(Path, batch["path"]), known, strict=True)
        done = list(prepare_files(files, self._encoder, self._settings))
        return {
            "row": [
                json.dumps({"stored": asdict(one.stored), "error": None if one.error is None else str(one.error)})
                for one in done
            ],
            "rows": [None if one.rows is None else rows_to_bytes(one.rows) for one in done],
        }


def _rows(items: list[Row], worker: type[Any], arguments: tuple[Any, ...], cluster: ClusterOptions) -> Iterator[Row]:
    """What workers make of the items, in order."""
    from ray.data import ActorPoolStrategy, DataContext, from_items

    if not items:
        return
    if not ray.is_initialized():
        local = cluster.address == "local"
        where = {"num_cpus": cluster.workers and cluster.workers * cluster.cpus} if local else {}
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error", **where)
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    room = int(ray.cluster_resources().get("CPU", 1)) // cluster.cpus
    workers = max(1, min(room, cluster.workers or room))
    blocks = max(workers, -(-len(items) // cluster.batch))
    done = from_items(items, override_num_blocks=min(blocks, len(items))).map_batches(
        worker,
        fn_constructor_args=arguments,
        batch_size=cluster.batch,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=cluster.cpus,
    )
    for row in done.iter_rows():
        yield {**json.loads(row.pop("row")), **row}
