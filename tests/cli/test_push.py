import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_hub import HIDDEN, MODEL, STAYS, TOKEN, FakeHub, running_hub, write

Push = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def push(polyspan: Push, hub: FakeHub, tmp_path: Path) -> Push:
    """Runs ``polyspan push`` against the stand-in."""
    variables = {
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }
    return lambda *arguments, **more: polyspan("push", *arguments, **{**variables, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", {**MODEL, **STAYS, **HIDDEN})


def test_push_says_where_the_model_went_and_what_stayed(push: Push, hub: FakeHub, folder: Path) -> None:
    result = push(folder, "org/name")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{len(MODEL)} files: {hub.endpoint}/org/name/commit/{'2' * 40}\n"
    (line,) = result.stderr.splitlines()
    assert line.startswith("polyspan: left out, as pickles and checkpoints are not pushed: ")
    assert set(line.split("pushed: ")[1].split(", ")) == set(STAYS)
    assert hub.files == {"main": MODEL}


def test_push_options_arrive(push: Push, hub: FakeHub, folder: Path) -> None:
    given = ["--private", "--revision", "v/2", "--message", "Zweite Fassung", "--json"]
    result = push(folder, "org/name", *given)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["url"].startswith(hub.endpoint)
    assert sorted(said["files"]) == sorted(MODEL)
    assert sorted(said["left_out"]) == sorted(STAYS)
    assert hub.files == {"main": {}, "v/2": MODEL}
    assert hub.private == {"org/name": True}
    assert hub.messages == ["Zweite Fassung"]


@pytest.mark.parametrize(
    ("repo", "variables", "reason"),
    [
        ("org/name", {"HF_TOKEN": ""}, "set HF_TOKEN"),
        ("org/name", {"HF_TOKEN": "wrong"}, "401"),
        ("org/name", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "refused"),
        ("org/name", {"HF_HUB_OFFLINE": "1"}, "offline"),
        ("others/name", {}, "You don't have the rights"),
        ("name", {}, "org/name"),
        ("org/na--me", {}, "org/na--me"),
    ],
)
def test_push_failures_are_one_line_and_exit_2(
    push: Push, hub: FakeHub, folder: Path, repo: str, variables: dict[str, str], reason: str
) -> None:
    result = push(folder, repo, **variables)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("polyspan: ")
    assert reason in line
    assert hub.messages == []


def test_push_wants_a_card_unless_told_otherwise(push: Push, hub: FakeHub, folder: Path) -> None:
    (folder / "README.md").unlink()
    result = push(folder, "org/name")
    assert result.returncode == 2
    assert "README.md" in result.stderr
    assert hub.private == {}
    assert push(folder, "org/name", "--without-card").returncode == 0
    assert set(hub.files["main"]) == set(MODEL) - {"README.md"}
