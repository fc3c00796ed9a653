"""A bounded queue before the work: what does not fit is told to come again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from polyspan.serving.metrics import Metrics
from polyspan.serving.options import ServeOptions
from polyspan.serving.problems import Problem

Result = TypeVar("Result")


class Gate:
    """Runs work in a few threads, with a few more jobs waiting."""

    def __init__(self, options: ServeOptions, metrics: Metrics) -> None:
        self._room = options.threads + options.most_waiting
        self._seconds = options.answer_seconds
        self._threads = ThreadPoolExecutor(options.threads, "polyspan-answer")
        self._metrics = metrics
        self._jobs = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """What the work returns.

        Raises:
            Problem: 429 where too many wait, 503 where it takes too long.
        """
        if self._jobs >= self._room:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "too many requests wait; try again in a second", {"Retry-After": "1"}
            )
        self._enter(1)
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(lambda _: self._enter(-1))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._seconds)
        except TimeoutError as error:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"this took longer than {self._seconds:g} seconds; send less at once, or try again",
                {"Retry-After": "5"},
            ) from error

    def close(self) -> None:
        """Wait until what was taken is done."""
        self._threads.shutdown(wait=True)

    def _enter(self, change: int) -> None:
        self._jobs += change
        self._metrics.queue.set(self._jobs)
