"""What a server bears: throughput and latency at 1, 8 and 64 clients, and whether a restart mixes up answers.

    python benchmarks/load.py dev-v1.1.json \
        --server "polyspan=polyspan serve --port {port}" \
        --server "naive=envs/transformers/bin/python benchmarks/peers/naive_server.py MODEL {port}"
    python benchmarks/load.py dev-v1.1.json --server "polyspan=…" --restart 10000

Each request asks about one paragraph that it brings along, so that reading is measured and not retrieval. The clients
are threads of this process, the server is another one; servers take turns. A server is warmed up before it counts.
"""

import argparse
import http.client
import json
import random
import shlex
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from measure import machine, write_result
from polyspan.evaluation import read_questions
from polyspan.evaluation.opendomain import choose
from polyspan.metrics import exact_match

RESULT = Path(__file__).parent / "results" / "load.json"
AGAIN = {429, 503}

Body = dict[str, Any]


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def server(command: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A server in a process of its own, once it is ready."""
    process = subprocess.Popen(shlex.split(command.format(port=port)))
    try:
        while Client(port).get("/readyz") != 200:
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait()


class Client:
    """One connection, kept open as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> int:
        """The status; 0 where nobody answers."""
        return self._send("GET", path, None)[0]

    def ask(self, body: Body) -> tuple[int, Any]:
        """Status and answer; 0 where the connection broke."""
        return self._send("POST", "/v1/answer", json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, Any]:
        try:
            self._connection.request(method, path, body, {"content-type": "application/json"})
            response = self._connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content.startswith(b"{") else None
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, None


def load(port: int, bodies: Sequence[Body], clients: int, seconds: float) -> dict[str, Any]:
    """So many clients, each with one request at a time, as long as the time lasts."""
    end, numbers = time.perf_counter() + seconds, count()
    latencies: list[float] = []
    statuses: Counter[int] = Counter()

    def work(_: int) -> None:
        client = Client(port)
        while time.perf_counter() < end:
            began = time.perf_counter()
            status, _answer = client.ask(bodies[next(numbers) % len(bodies)])
            statuses[status] += 1
            if status == 200:
                latencies.append(1000 * (time.perf_counter() - began))
            else:
                time.sleep(0.1)

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(work, range(clients)))
    taken = time.perf_counter() - began
    percentiles = {f"p{share} ms": round(float(np.percentile(latencies, share)), 1) for share in (50, 95, 99)}
    return {"answers a second": round(len(latencies) / taken, 2), **percentiles, "statuses": dict(statuses)}


def contest(given: argparse.Namespace, bodies: Sequence[Body]) -> dict[str, Any]:
    """Every server at every number of clients."""
    results: dict[str, Any] = {}
    for named in given.server:
        name, _, command = named.partition("=")
        port = free_port()
        with server(command, port):
            load(port, bodies, 2, given.seconds / 4)
            results[name] = {
                f"{clients} clients": load(port, bodies, clients, given.seconds)
                for clients in tqdm(given.clients, desc=name)
            }
    return results


def mixed(requests: int, seed: int) -> list[tuple[Body, str | None]]:
    """Requests that cannot be mistaken for one another, each with its answer; every fifth has none."""
    chance, found = random.Random(seed), []  # noqa: S311 -- no secret
    for number in range(requests):
        year = 1000 + number % 9000
        name = "".join(chance.choices("bdfgklmnprstv", k=1) + chance.choices("aeiou", k=1)).title()
        text = f"The bridge of {name}{number} was built in {year}. It has {chance.randint(2, 9)} arches of stone."
        question = f"When was the bridge of {name}{number} built?"
        answer: str | None = str(year)
        if number % 5 == 0:
            text, answer = "Bees dance to tell each other where flowers grow.", None
        found.append(({"question": question, "documents": [{"id": str(number), "text": text}]}, answer))
    return found


def restarted(command: str, requests: int, clients: int, seed: int) -> dict[str, Any]:
    """All requests, asked again where the server says so or is away; it is stopped and started again in the middle."""
    port, outcomes = free_port(), Counter[str]()
    wrong: list[str] = []
    asked = mixed(requests, seed)

    def work(numbered: tuple[int, tuple[Body, str | None]]) -> None:
        number, (body, answer) = numbered
        client = Client(port)
        for _ in range(600):
            status, content = client.ask(body)
            if status == 200:
                texts = [one["text"] for one in content["answers"]]
                right = not texts if answer is None else bool(texts) and exact_match([answer], texts[0]) == 1
                own = all(one["document"] == str(number) for one in content["answers"] + content["candidates"])
                outcomes["right" if right and own else "wrong answer" if own else "another's answer"] += 1
                if not (right and own):
                    wrong.append(f"{body['question']} {texts} instead of {answer}")
                return
            outcomes["told to try again" if status in AGAIN else "server away" if not status else str(status)] += 1
            time.sleep(0.25)
        outcomes["never answered"] += 1

    with server(command, port) as process, ThreadPoolExecutor(clients) as threads:
        waiting = [threads.submit(work, one) for one in enumerate(asked)]
        for one in tqdm(waiting[: requests // 2], desc="requests"):
            one.result()
        process.terminate()
        process.wait()
        with server(command, port):
            for one in tqdm(waiting[requests // 2 :], desc="after the restart"):
                one.result()
    return {"requests": requests, "clients": clients, "outcomes": dict(outcomes), "wrong": wrong[:20]}


def main() -> None:
    """Load the servers and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--server", action="append", required=True, help="NAME=COMMAND with {port}")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--restart", type=int, help="so many mixed requests instead, with a restart in the middle")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    if given.restart is not None:
        name, _, command = given.server[0].partition("=")
        what, results = "a restart among mixed requests", {name: restarted(command, given.restart, 16, given.seed)}
    else:
        examples = choose(read_questions(given.dataset), unanswerable=False, sample=400).examples
        bodies = [{"question": one.question, "documents": [{"text": one.context}]} for one in examples]
        what, results = "throughput and latency of requests about one paragraph each", contest(given, bodies)
    write_result(
        given.out,
        {"what": what, "servers": results, "seed": given.seed, **machine(("polyspan", "fastapi", "uvicorn"))},
    )


if __name__ == "__main__":
    main()
