"""Other readers, each in a process and an environment of its own, driven line by line.

A peer is a command. It is given three more arguments: a model folder, a JSON file with a list of [question,
[document, …]], and the number of threads. It says on stdout, one JSON object a line, its packages' versions once it is
ready, then after each line "run" on stdin ``{"seconds": …, "answers": [text, …]}``; it ends when stdin does.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from polyspan.bench.workloads import Workload
from polyspan.datasets import write_json
from polyspan.errors import InputError


class Peer:
    """A running peer; ``with`` ends it. ``versions`` are its packages', ``answers`` those of the last run."""

    def __init__(self, name: str, command: Sequence[str], model: Path, workload: Workload, threads: int) -> None:
        """Start it; InputError where it does not get ready."""
        self._name = name
        self._scratch = TemporaryDirectory(prefix="polyspan-peer-")
        folder = Path(self._scratch.name)
        write_json(folder / "items.json", workload.items)
        self._errors = folder / "stderr"
        arguments = [*command, str(model), str(folder / "items.json"), str(threads)]
        try:
            with self._errors.open("wb") as errors:
                self.process = subprocess.Popen(  # noqa: S603 -- the user's own command
                    arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
                )
        except OSError as error:
            self._scratch.cleanup()
            raise InputError(f"peer {name}: cannot run {command[0]}: {error.strerror or error}") from error
        try:
            self.versions = self._line()
        except BaseException:
            self.close()
            raise
        self.answers: list[str] = []

    def __call__(self) -> float:
        """One run in seconds; the peer's own clock counts."""
        self._say("run\n")
        result = self._line()
        try:
            self.answers = list(map(str, result["answers"]))
            return float(result["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"peer {self._name}: expected seconds and answers, got {result!r:.200}") from error

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self._scratch.cleanup()

    def _say(self, text: str) -> None:
        if self.process.stdin is None:
            raise AssertionError("a pipe was asked for")
        try:
            self.process.stdin.write(text)
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # the next line tells why

    def _line(self) -> dict[str, Any]:
        if self.process.stdout is None:
            raise AssertionError("a pipe was asked for")
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            said = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise InputError(f"peer {self._name}: it ended; it said last: {said[-1] if said else 'nothing'}")
        try:
            content = json.loads(line)
        except ValueError as error:
            raise InputError(f"peer {self._name}: expected a line of JSON, got {line.strip()!r:.200}") from error
        if not isinstance(content, dict):
            raise InputError(f"peer {self._name}: expected a JSON object, got {content!r:.200}")
        return content
