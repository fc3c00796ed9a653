"""Names to model folders, against a cache and a hub made here.

huggingface_hub reads most HF_ variables when it is imported, so each look-up runs in a process of its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from polyspan import Reader
from polyspan.backends import find_model
from polyspan.errors import ModelError

TOKEN = "secret"  # noqa: S105
FIRST, SECOND = "1" * 40, "2" * 40
LOOK_UP = """
import sys
from polyspan.backends import find_model
from polyspan.errors import ModelError
for asked in sys.argv[2:]:
    model, _, revision = asked.partition("@")
    try:
        folder = find_model(model, revision or None, sys.argv[1] == "True")
        print(folder.name, folder.path)
    except ModelError as error:
        print(f"refused: {error}")
"""


def run(code: str, home: Path, *arguments: str, **variables: str) -> str:
    """What a fresh interpreter prints with no other HF_ variables than these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", **variables}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout.strip()


def look_up(home: Path, *asked: str, local: bool = False, **variables: str) -> list[str]:
    """For each ``org/name@revision`` the model's name and path, or the one line with which it was refused."""
    lines = run(LOOK_UP, home, str(local), *asked, **variables).splitlines()
    assert len(lines) == len(asked)
    return lines


def names_in(found: str) -> set[str]:
    """The files in a folder that was found."""
    return {path.name for path in Path(found.split(" ", 1)[1]).iterdir()}


class Hub(ThreadingHTTPServer):
    """A stand-in for the hub with one model, ``org/name``, for those who know the token."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.served: set[str] = set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        file = path.removeprefix(f"/org/name/resolve/{FIRST}/")
        if "/org/name" not in path:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        elif path == "/api/models/org/name/revision/main":
            self._send(200, json.dumps({"id": "org/name", "sha": FIRST, "siblings": []}).encode())
        elif path == f"/api/models/org/name/tree/{FIRST}":
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": sha1(content).hexdigest()}  # noqa: S324
                for name, content in self.server.files.items()
            ]
            self._send(200, json.dumps(entries).encode())
        elif file in self.server.files:
            content = self.server.files[file]
            self.server.served.add(file)
            self._send(200, content, {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": FIRST})  # noqa: S324
        else:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})

    do_HEAD = do_GET  # noqa: N815

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Hub]]:
    """Starts a hub with files of these names."""
    hubs = []

    def start(*names: str) -> Hub:
        hub = Hub({name: b'{"model_type": "bert"}' if name == "config.json" else name.encode() for name in names})
        Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
        hubs.append(hub)
        return hub

    yield start
    for hub in hubs:
        hub.shutdown()
        hub.server_close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A local cache with two snapshots of ``org/name``: ``v1`` and ``main``."""
    root = tmp_path / "hub" / "models--org--name"
    (root / "refs").mkdir(parents=True)
    for branch, commit in (("v1", FIRST), ("main", SECOND)):
        snapshot = root / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text('{"model_type": "bert"}')
        (snapshot / "model.safetensors").touch()
        (root / "refs" / branch).write_text(commit)
    return tmp_path


@pytest.mark.parametrize("offline", [False, True])
def test_hub_finds_the_cached_revision(offline: bool, cache: Path) -> None:
    asked = ("org/name", "org/name@main", "org/name@v1", f"org/name@{FIRST}")
    found = look_up(cache, *asked, local=not offline, HF_HUB_OFFLINE=str(int(offline)))
    snapshots = cache / "hub" / "models--org--name" / "snapshots"
    assert found == [f"org/name {snapshots / commit}" for commit in (SECOND, SECOND, FIRST, FIRST)]


@pytest.mark.parametrize("variables", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_hub_refuses_in_one_line_what_is_not_cached(variables: dict[str, str], cache: Path) -> None:
    for line in look_up(cache, "org/absent", "absent", "org/name@v3", local=not variables, **variables):
        assert re.match(r"refused: [\w/]+: no such folder here, and the hub did not give it \(.+\)", line)


def test_hub_reader_answers_offline(onnx_of: Callable[[str], Path], cache: Path) -> None:
    snapshot = cache / "hub" / "models--org--name" / "snapshots" / SECOND
    shutil.rmtree(snapshot)
    shutil.copytree(onnx_of("bert"), snapshot)
    code = """
import sys
from polyspan import Reader
from polyspan.reader import ReadOptions
reader = Reader.from_pretrained("org/name")
text = "The letter was written by Ada Lovelace."
answers = reader.read("Who wrote it?", text, ReadOptions(max_seq_len=64, max_question_len=32, return_no_answer=False))
assert all(text[answer.start : answer.end] == answer.text for answer in answers.answers)
print(reader.scorer.name, len(answers.answers) > 0, "torch" in sys.modules)
"""
    assert run(code, cache, HF_HUB_OFFLINE="1") == "org/name True False"


def test_hub_download_sends_the_token_and_takes_only_what_is_needed(serve: Callable[..., Hub], tmp_path: Path) -> None:
    wanted = {"config.json", "tokenizer.json", "README.md", "model.safetensors", "onnx/model.onnx"}
    wanted |= {"onnx/model.onnx_data"}
    others = {"pytorch_model.bin", "onnx/model_O4.onnx", "checkpoint-9/model.safetensors", "own.py", "tf_model.h5"}
    hub = serve(*wanted, *others)
    (found,) = look_up(tmp_path, "org/name", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    name, path = found.split(" ", 1)
    assert name == "org/name"
    assert {str(file.relative_to(path)) for file in Path(path).rglob("*") if file.is_file()} == wanted
    assert hub.served == wanted
    assert look_up(tmp_path, "org/name", HF_HUB_OFFLINE="1") == [found]


def test_hub_download_of_an_encoder_has_its_modules(serve: Callable[..., Hub], tmp_path: Path) -> None:
    wanted = {"config.json", "modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors", "model.safetensors"}
    hub = serve(*wanted, "openvino/openvino_model.bin", "own.py")
    code = """
from polyspan.backends.hub import find_files
from polyspan.backends.sentence import MORE_FILES, SentenceFolder
path, name = find_files("org/name", more=MORE_FILES)
folder = SentenceFolder(path, name)
print(folder.name, *sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()))
"""
    found = run(code, tmp_path, HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    assert found.split() == ["org/name", *sorted(wanted)]


def test_hub_takes_pickled_weights_where_there_are_no_others(serve: Callable[..., Hub], tmp_path: Path) -> None:
    hub = serve("config.json", "vocab.txt", "pytorch_model.bin")
    (found,) = look_up(tmp_path, "org/name", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    assert names_in(found) == {"config.json", "vocab.txt", "pytorch_model.bin"}


def test_hub_token_that_is_given_counts(serve: Callable[..., Hub], tmp_path: Path) -> None:
    hub = serve("config.json", "model.safetensors")
    code = f"from polyspan.backends import find_model; print(find_model('org/name', token={TOKEN!r}).path)"
    found = Path(run(code, tmp_path, HF_ENDPOINT=hub.endpoint, HF_TOKEN="wrong"))
    assert {path.name for path in found.iterdir()} == {"config.json", "model.safetensors"}


def test_hub_refusals_are_one_line(serve: Callable[..., Hub], tmp_path: Path) -> None:
    hub = serve("config.json")
    gated = look_up(tmp_path, "org/name", HF_ENDPOINT=hub.endpoint, HF_TOKEN="wrong")
    absent = look_up(tmp_path, "org/absent", "org/name@v3", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    out_of_reach = look_up(tmp_path, "org/name")
    for line in (*gated, *absent, *out_of_reach):
        assert re.match(r"refused: [\w/]+: no such folder here, .* HF_TOKEN, or give a local folder", line)
    assert "401" in gated[0]
    assert "404" in absent[0]


def test_hub_takes_a_snapshot_that_others_fetched_in_part(serve: Callable[..., Hub], tmp_path: Path) -> None:
    hub = serve("config.json", "tokenizer.json", "model.safetensors", "README.md", "onnx/model.onnx")
    code = "import huggingface_hub as h; h.snapshot_download('org/name', allow_patterns=['*.json', '*.safetensors'])"
    run(code, tmp_path, HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    (found,) = look_up(tmp_path, "org/name", HF_HUB_OFFLINE="1")
    assert names_in(found) == {"config.json", "tokenizer.json", "model.safetensors"}


@pytest.mark.parametrize("name", ["no/such/folder", "org/na me", "../absent/folder", "/absent", "", "a\nb"])
def test_hub_asks_nobody_for_what_is_no_id(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no such folder|no config\.json"):
        find_model(name)


def test_hub_asks_nobody_for_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").touch()
    for given in ("model.onnx", Path("org/name")):
        with pytest.raises(ModelError, match="no such folder"):
            find_model(given)


def test_hub_prefers_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("org/name").mkdir(parents=True)
    with pytest.raises(ModelError, match=r"org/name: no config\.json"):
        Reader.from_pretrained("org/name")
