"""Model folders to a stand-in for the hub.

huggingface_hub reads most HF_ variables when it is imported, so each push to it runs in a process of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_hub import CARD, HIDDEN, MODEL, STAYS, TOKEN, FakeHub, running_hub, write
from polyspan.backends import push_model
from polyspan.errors import ModelError

PUSH = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from polyspan.backends import push_model
from polyspan.errors import ModelError
for options in map(json.loads, sys.argv[2:]):
    try:
        print(json.dumps(asdict(push_model(Path(sys.argv[1]), "org/name", **options))))
    except ModelError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as hub:
        yield hub


def push(hub: FakeHub, folder: Path, *options: dict[str, Any]) -> list[Any]:
    """What became of each push, or the line with which it was refused."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_HOME": str(folder.parent / "home"), "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN}
    clean |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", PUSH, str(folder), *map(json.dumps, options)]
    printed = subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


def test_push_sends_the_model_and_nothing_else(hub: FakeHub, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", {**MODEL, **STAYS, **HIDDEN})
    (pushed,) = push(hub, folder, {})
    assert hub.files == {"main": MODEL}
    assert hub.private == {"org/name": False}
    assert sorted(pushed["files"]) == sorted(MODEL)
    assert sorted(pushed["left_out"]) == sorted(STAYS)
    assert pushed["url"] == f"{hub.endpoint}/org/name/commit/{'2' * 40}"


def test_push_again_changes_what_changed_and_keeps_what_is_there(hub: FakeHub, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", MODEL)
    hub.files["main"] = {"LICENSE": b"MIT"}
    hub.private["org/name"] = False
    push(hub, folder, {})
    (folder / "README.md").write_bytes(CARD + b"more")
    push(hub, folder, {"message": "More"})
    assert hub.files["main"] == {**MODEL, "LICENSE": b"MIT", "README.md": CARD + b"more"}
    assert hub.messages == ["Upload model with polyspan", "More"]


def test_push_follows_the_links_of_a_downloaded_snapshot(hub: FakeHub, tmp_path: Path) -> None:
    blobs = write(tmp_path / "blobs", MODEL)
    for name in MODEL:
        link = tmp_path / ".cache" / "snapshot" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blobs / name)
    push(hub, tmp_path / ".cache" / "snapshot", {})
    assert hub.files["main"] == MODEL


def test_push_to_branches_leaves_the_main_one_alone(hub: FakeHub, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", MODEL)
    push(hub, folder, {"revision": "int8"}, {"revision": "int8"})
    assert hub.files == {"main": {}, "int8": MODEL}


def test_push_private_never_reaches_a_public_repository(hub: FakeHub, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", MODEL)
    hub.private["org/name"] = False
    (refusal,) = push(hub, folder, {"private": True})
    assert refusal.startswith("org/name: is public already")
    assert hub.files == {"main": {}}
    hub.private.clear()
    push(hub, folder, {"private": True}, {"private": True})
    assert hub.private == {"org/name": True}
    assert hub.files == {"main": MODEL}


def test_push_refusals_of_the_hub_are_one_line_with_the_reason(hub: FakeHub, tmp_path: Path) -> None:
    folder = write(tmp_path / "model", {**MODEL, "README.md": b"---\nlicense: nonsense\n---\n"})
    (refusal,) = push(hub, folder, {})
    assert "\n" not in refusal
    assert '"license" must be one of' in refusal
    (folder / "README.md").write_bytes(b"\xff")
    (refusal,) = push(hub, folder, {})
    assert "\n" not in refusal
    assert "utf-8" in refusal
    assert hub.files == {"main": {}}


@pytest.mark.parametrize("repo", ["name", "", "org/", "/name", "org/name/more", "or g/name", "org/na\nme"])
def test_push_asks_nobody_about_bad_ids(repo: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="of the form org/name"):
        push_model(write(tmp_path, MODEL), repo)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"config.json"}, r"no config\.json"),
        ({"README.md"}, r"no README\.md"),
        ({"model.safetensors", "onnx/model.onnx.gz"}, "no weights as safetensors or ONNX"),
    ],
)
def test_push_refuses_incomplete_folders(missing: set[str], message: str, tmp_path: Path) -> None:
    kept = {name: content for name, content in {**MODEL, **STAYS}.items() if name not in missing}
    with pytest.raises(ModelError, match=message):
        push_model(write(tmp_path, kept), "org/name")
