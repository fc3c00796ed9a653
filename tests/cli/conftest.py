import os
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def polyspan() -> Callable[..., "subprocess.CompletedProcess[str]"]:
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
