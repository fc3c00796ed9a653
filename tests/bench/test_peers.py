import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polyspan.bench.peers import Peer
from polyspan.bench.workloads import Workload
from polyspan.errors import InputError

WORKLOAD = Workload("w", [("who?", ["Ünal sings", "it rains"]), ("what?", ["trams run"])])
WritePeer = Callable[..., list[str]]


def test_peer_runs_as_often_as_asked_and_ends(write_peer: WritePeer, tmp_path: Path) -> None:
    with Peer("p", write_peer(), tmp_path / "model", WORKLOAD, 2) as peer:
        assert peer.versions == {"package": "1.0", "given": f"{tmp_path / 'model'} 2"}
        assert [peer(), peer()] == [0.25, 0.25]
        assert peer.answers == ["Ünal", "trams"]
    assert peer.process.poll() is not None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no such model')", "peer p: it ended; it said last: no such model"),
        ("pass", "it said last: nothing"),
        ("print('hello')", "expected a line of JSON, got 'hello'"),
        ("print('[1]')", r"expected a JSON object, got \[1\]"),
    ],
)
def test_peer_that_never_gets_ready(write_peer: WritePeer, code: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        Peer("p", write_peer(code), tmp_path, WORKLOAD, 1)


def test_peer_that_fails_or_says_nothing_useful_in_a_run(write_peer: WritePeer, tmp_path: Path) -> None:
    for line, message in (("{}", "expected seconds and answers, got {}"), ("", "it said last: ValueError: oh")):
        after = f"print({line!r}, flush=True); input()" if line else "raise ValueError('oh')"
        code = f"import sys\nprint('{{}}', flush=True)\ninput()\n{after}"
        with Peer("p", write_peer(code), tmp_path, WORKLOAD, 1) as peer, pytest.raises(InputError, match=message):
            peer()


def test_peer_whose_command_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="peer p: cannot run /nowhere/python: No such file"):
        Peer("p", ["/nowhere/python"], tmp_path, WORKLOAD, 1)


def test_peer_protocol_of_the_benchmarks(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "benchmarks" / "peers"
    if not folder.is_dir():
        pytest.skip("the benchmarks are not beside the tests")
    script = tmp_path / "one.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        "from protocol import serve\n"
        "def load(model, threads):\n"
        "    print('what libraries print')\n"
        "    return lambda items: [f'{question} {len(documents)}' for question, documents in items]\n"
        "serve(load, ['numpy'])\n"
    )
    with Peer("p", [sys.executable, str(script)], tmp_path, WORKLOAD, 1) as peer:
        assert list(peer.versions) == ["numpy"]
        assert 0 <= peer() < 1
        assert peer.answers == ["who? 2", "what? 1"]
