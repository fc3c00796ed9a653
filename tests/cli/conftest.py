import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from polyspan.cli import main

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def polyspan() -> Run:
    """Runs the command line in a process of its own."""

    def run(*arguments: object, stdin: bytes = b"", **variables: str) -> "subprocess.CompletedProcess[str]":
        result = subprocess.run(
            [sys.executable, "-c", "from polyspan.cli import main; main()", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env={**os.environ, **variables},
            check=False,
        )
        texts = result.stdout.decode(), result.stderr.decode()
        return subprocess.CompletedProcess(result.args, result.returncode, *texts)

    return run


@pytest.fixture
def polyspan_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, which is quicker, and lets a test replace the reader."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        texts = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["polyspan", *texts])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(texts, int(stopped.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
