"""Single questions of many threads, read together."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Lock, Thread
from time import monotonic
from types import TracebackType

from polyspan.errors import InputError
from polyspan.reader import Reader, ReadOptions
from polyspan.tasks import as_passages, checked_question
from polyspan.types import Passage, Readable, Reading


@dataclass(frozen=True, slots=True)
class BatcherOptions:
    """How calls are gathered.

    After the first one, others are waited for ``wait_seconds`` long, until there are ``most_calls``. While those before
    are read, ``most_waiting`` calls may stand in the queue, and any more wait outside it.
    """

    wait_seconds: float = 0.002
    most_calls: int = 32
    most_waiting: int = 256

    def __post_init__(self) -> None:
        """Refuse what gathers nothing."""
        if self.wait_seconds < 0 or self.most_calls < 1 or self.most_waiting < 1:
            raise InputError(
                "wait_seconds must be at least 0, most_calls and most_waiting at least 1, not "
                f"{self.wait_seconds}, {self.most_calls} and {self.most_waiting}"
            )


@dataclass(frozen=True, slots=True)
class _Call:
    question: str
    passages: Sequence[Passage | None]
    options: ReadOptions
    reading: Future[Reading] = field(default_factory=Future)


class MicroBatcher:
    """Reads for many threads; the windows of calls that come within a moment are scored together.

    A context manager, whose end closes it. The answers are those of ``Reader.read``. Whether it is faster than threads
    that share a Reader depends on runtime, model and cores.
    """

    def __init__(self, reader: Reader, options: BatcherOptions | None = None) -> None:
        """Start the one thread that reads."""
        self.reader = reader
        self._options = BatcherOptions() if options is None else options
        self._calls: Queue[_Call | None] = Queue(self._options.most_waiting)
        self._closing, self._closed = Lock(), False
        self._thread = Thread(target=self._work, name="polyspan-microbatch", daemon=True)
        self._thread.start()

    def read(
        self, question: str, documents: Readable | Iterable[Readable], options: ReadOptions | None = None
    ) -> Reading:
        """Answer one question from all documents together, as ``Reader.read`` does, and wait for it.

        Raises what ``Reader.read`` raises, in this call alone; InputError once this is closed.
        """
        call = _Call(
            checked_question(question), as_passages(documents), self.reader.defaults if options is None else options
        )
        with self._closing:
            if self._closed:
                raise InputError("the batcher is closed; make a new one")
            self._calls.put(call)
        return call.reading.result()

    def close(self) -> None:
        """Take no more calls, and wait until all that were taken are answered."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._calls.put(None)
        self._thread.join()

    def __enter__(self) -> "MicroBatcher":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _work(self) -> None:
        open_ = True
        while open_:
            calls, open_ = self._gather()
            for options in dict.fromkeys(call.options for call in calls):
                self._answer([call for call in calls if call.options == options], options)

    def _gather(self) -> tuple[list[_Call], bool]:
        """The next calls, and whether there may be any after them."""
        calls: list[_Call] = []
        until = None
        while len(calls) < self._options.most_calls:
            try:
                call = self._calls.get(timeout=None if until is None else max(0.0, until - monotonic()))
            except Empty:
                break
            if call is None:
                return calls, False
            calls.append(call)
            until = monotonic() + self._options.wait_seconds if until is None else until
        return calls, True

    def _answer(self, calls: Sequence[_Call], options: ReadOptions) -> None:
        """Answer calls of equal options together; those left where something fails one by one."""
        left = list(calls)
        try:
            for reading in self.reader.read_stream([(call.question, call.passages) for call in calls], options):
                left.pop(0).reading.set_result(reading)
        except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            if len(calls) == 1:
                calls[0].reading.set_exception(error)
                return
            for call in left:
                self._answer([call], options)
