"""A stand-in for the hub that takes uploads, and the model folder that is pushed to it."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

TOKEN = "secret"  # noqa: S105
LARGE = (".safetensors", ".onnx", ".onnx.gz", ".bin", ".onnx_data")
CARD = b"---\nlicense: mit\n---\n# A card\n"
MODEL = {
    "config.json": b'{"model_type": "bert"}',
    "README.md": CARD,
    "tokenizer.json": '{"é": "橋"}'.encode(),
    "model.safetensors": b"\x00weights\xff",
    "onnx/model.onnx.gz": b"graph",
    "onnx/embeddings.bin": b"embeddings",
    "onnx/own [1]*.txt": b"odd name",
}
STAYS = {
    "training/checkpoint.safetensors": b"moments",
    "training/report.json": b"{}",
    "training/teachers/0/shard-0/rows.npy": b"logits",
    "pytorch_model.bin": b"pickle",
    "pytorch_model.bin.index.json": b"{}",
    "training_args.bin": b"pickle",
    "optimizer.pt": b"pickle",
    "cache/teacher.pkl": b"pickle",
    "checkpoint-20/model.safetensors": b"old weights",
    "runs/checkpoint-7/embeddings.bin": b"embeddings",
    "polyspan.json.part": b"{",
}
HIDDEN = {".env": b"HF_TOKEN=secret", ".git/config": b"[core]", "onnx/.cache/model.onnx": b"copy"}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """The folder with these files in it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class FakeHub(ThreadingHTTPServer):
    """What arrived: ``private`` by repository, ``files`` by branch and path, ``messages`` of the commits.

    It knows one token, which may write everywhere but under ``others``.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {"main": {}}
        self.messages: list[str] = []
        self.stored: dict[str, bytes] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """A hub that answers until the block ends."""
    with FakeHub() as hub:
        Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
        yield hub
        hub.shutdown()


class _Answer(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        repo = "/".join(self.path.partition("?")[0].split("/")[3:5])  # a revision may follow
        if self._allowed() and repo in self.server.private:
            self._send(200, {"id": repo, "sha": "1" * 40, "private": self.server.private[repo], "siblings": []})
        else:
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})

    def do_PUT(self) -> None:
        content = self._content()
        if self.path != f"/lfs/{sha256(content).hexdigest()}":
            self._send(400, {"error": "not the content that was announced"})
        else:
            self.server.stored[self.path.removeprefix("/lfs/")] = content
            self._send(200, {})

    def do_POST(self) -> None:
        content = self._content()
        action, _, branch = self.path.removeprefix("/api/models/org/name/").partition("/")
        if not self._allowed():
            self._send(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._create(json.loads(content))
        elif self.path == "/api/validate-yaml":
            wrong = "license: nonsense" in json.loads(content)["content"]
            self._send(400 if wrong else 200, {"errors": [{"message": '"license" must be one of …'}] if wrong else []})
        elif self.path == "/org/name.git/info/lfs/objects/batch":
            self._batch(json.loads(content)["objects"])
        elif action == "branch":
            known = unquote(branch) in self.server.files
            self.server.files.setdefault(unquote(branch), {})
            self._send(409 if known else 201, {})
        elif action == "preupload":
            modes = {True: "lfs", False: "regular"}
            files = [file["path"] for file in json.loads(content)["files"]]
            told = [{"path": file, "uploadMode": modes[file.endswith(LARGE)], "shouldIgnore": False} for file in files]
            self._send(200, {"files": told})
        elif action == "commit":
            self._commit(unquote(branch), [json.loads(line) for line in content.splitlines()])
        else:
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "others":
            self._send(403, {}, {"X-Error-Message": "You don't have the rights to create a model under others"})
            return
        known = repo in self.server.private
        # how a private repository is asked for has changed between versions of huggingface_hub
        self.server.private.setdefault(repo, asked.get("visibility") == "private" or asked.get("private") is True)
        self._send(409 if known else 200, {"url": f"{self.server.endpoint}/{repo}"})

    def _batch(self, objects: list[dict[str, Any]]) -> None:
        for item in objects:
            item["actions"] = {"upload": {"href": f"{self.server.endpoint}/lfs/{item['oid']}"}}
        self._send(200, {"transfer": "basic", "objects": objects})

    def _commit(self, branch: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.server.messages.append(value["summary"])
            elif line["key"] == "file":
                self.server.files[branch][value["path"]] = b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.files[branch][value["path"]] = self.server.stored[value["oid"]]
        commit = "2" * 40
        self._send(200, {"commitUrl": f"{self.server.endpoint}/org/name/commit/{commit}", "commitOid": commit})

    def _allowed(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {TOKEN}"

    def _content(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        return content

    def _send(self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""
