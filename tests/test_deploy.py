"""Container, compose file and systemd unit, as far as they can be checked without running them."""

import configparser
import json
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest
import yaml

from polyspan.cli import commands

REPOSITORY = Path(__file__).parent.parent
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
UNIT = REPOSITORY / "deploy" / "polyspan.service"
KEYWORDS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}

Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage of the Dockerfile, each as its keyword and the rest."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[Instruction]] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            found.append([])
        found[-1].append((keyword, " ".join(rest.split())))
    return found


def last(keyword: str) -> str:
    return next(rest for name, rest in reversed(stages()[-1]) if name == keyword)


def understood(arguments: list[str]) -> None:
    """Fail where the command line would not take it."""
    command = commands.get_command(click.Context(commands), arguments[0])
    assert command is not None
    command.make_context(arguments[0], arguments[1:])


def test_dockerfile_has_known_instructions_and_two_slim_stages() -> None:
    build, run = stages()
    assert {keyword for stage in (build, run) for keyword, _ in stage} <= KEYWORDS
    assert build[0][1] == "python:3.13-slim AS build"
    assert run[0][1] == "python:3.13-slim"
    assert ("COPY", "--from=build /opt/polyspan /opt/polyspan") in run
    assert not any("pip install" in rest for _, rest in run)


def test_dockerfile_copies_what_there_is_and_what_is_not_ignored() -> None:
    kept = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [part for keyword, rest in stages()[0] if keyword == "COPY" for part in rest.split()[:-1]]
    assert set(copied) == kept
    assert all((REPOSITORY / part).exists() for part in copied)


def test_dockerfile_runs_without_privileges() -> None:
    keywords = [keyword for keyword, _ in stages()[-1]]
    assert last("USER") == "polyspan"
    assert keywords.index("USER") > len(keywords) - 1 - keywords[::-1].index("RUN")
    made = next(rest for keyword, rest in stages()[-1] if keyword == "RUN")
    assert "--uid 10001" in made
    assert "-o polyspan -g polyspan /data /documents" in made


@pytest.mark.parametrize("command", [rest for stage in stages() for keyword, rest in stage if keyword == "RUN"])
def test_dockerfile_commands_are_shell(command: str) -> None:
    assert subprocess.run(["sh", "-n", "-c", command], check=False, capture_output=True).stderr == b""
    assert all(shutil.which(one.split()[0]) or one.startswith("/opt/") for one in command.split("&& "))


def test_dockerfile_starts_a_server_that_others_reach() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["polyspan"]
    arguments = json.loads(last("CMD"))
    understood(arguments)
    assert arguments[:3] == ["serve", "--host", "0.0.0.0"]  # noqa: S104 -- inside a container
    assert (last("EXPOSE"), last("VOLUME")) == ("8000", "/data")
    assert {"/data/index", "/documents"} <= set(arguments)


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A port that answers with that status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_dockerfile_health_is_that_of_the_server(status: int, healthy: bool) -> None:
    python, *arguments = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert python == "python"
    with answering(status) as port:
        moved = [one.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for one in arguments]
        assert (subprocess.run([sys.executable, *moved], check=False, capture_output=True).returncode == 0) is healthy


def test_compose_fits_the_image() -> None:
    (service,) = COMPOSE["services"].values()
    targets = [volume.removesuffix(":ro").rpartition(":")[2] for volume in service["volumes"]]
    assert targets == ["/data", "/documents"]
    assert service["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["environment"]["POLYSPAN_TOKEN"].startswith("${POLYSPAN_TOKEN:?")


def test_unit_starts_a_server_that_keeps_to_its_folder() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    # names of settings have capitals
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program == "/opt/polyspan/bin/polyspan"
    understood(arguments)
    assert service["DynamicUser"] == "yes"
    folder = Path("/var/lib") / service["StateDirectory"]
    assert Path(arguments[arguments.index("--index") + 1]).is_relative_to(folder)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_unit_is_sound_and_hardened(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/polyspan/bin/polyspan", "/usr/bin/env"))
    sound = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    assert (sound.returncode, sound.stderr) == (0, "")
    arguments = ["security", "--offline=true", "--threshold=20", str(unit)]  # of 100, the most exposed
    hardened = subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True)
    assert hardened.returncode == 0, hardened.stdout
