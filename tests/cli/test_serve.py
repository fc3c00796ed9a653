"""A real server in a process of its own, which is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def ask(port: int, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
    with urlopen(request, timeout=60) as response:  # noqa: S310
        return json.loads(response.read())


@contextmanager
def server(port: int, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    code = "from polyspan.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                ask(port, "/readyz")
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_serve_keeps_uploads_and_feedback_over_a_kill(tmp_path: Path, port: int) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "harbour.txt").write_text("The harbour of Tessin was built in 1888. It has two piers.")
    head = b'Content-Disposition: form-data; name="files"; filename="bees.txt"'
    body = b"\r\n".join((b"--x", head, b"", b"Bees dance in June.", b"--x--", b""))
    question = {"question": "When was the harbour of Tessin built?"}
    with server(port, tmp_path / "docs", "--index", tmp_path / "index") as process:
        found = ask(port, "/v1/answer", question)["answers"][0]
        assert found["text"] == "1888"
        upload = Request(
            f"http://127.0.0.1:{port}/v1/documents", body, {"content-type": "multipart/form-data; boundary=x"}
        )
        with urlopen(upload, timeout=60) as response:  # noqa: S310
            assert json.loads(response.read())["added"] == ["uploads/bees.txt"]
        judged = {
            **question,
            "document": found["document"],
            "verdict": "right",
            "start": found["start"],
            "end": found["end"],
        }
        assert ask(port, "/v1/feedback", judged) == {"id": 1}
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with server(port, "--index", tmp_path / "index") as process:
        names = [one["id"] for one in ask(port, "/v1/documents")["documents"]]
        assert names == [(tmp_path / "docs" / "harbour.txt").as_posix(), "uploads/bees.txt"]
        assert ask(port, "/v1/feedback", judged) == {"id": 2}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_serve_refuses_a_folder_of_something_else(polyspan: Run, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ada")
    result = polyspan("serve", "--index", tmp_path)
    assert (result.returncode, result.stderr.count("holds other files")) == (2, 1)
