import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.bench.workloads import Material

WritePeer = Callable[..., list[str]]

PEER = """
import json, sys
model, items, threads = sys.argv[1:]
items = json.load(open(items))
print(json.dumps({"package": "1.0", "given": model + " " + threads}), flush=True)
for line in sys.stdin:
    print(json.dumps({"seconds": 0.25, "answers": [documents[0].split()[0] for _, documents in items]}), flush=True)
"""


@pytest.fixture
def write_peer(tmp_path: Path) -> WritePeer:
    """A peer that answers with the first document's first word, or any other code, as a command."""

    def write(code: str = PEER) -> list[str]:
        script = tmp_path / "peer.py"
        script.write_text(code)
        return [sys.executable, str(script)]

    return write


@pytest.fixture
def material() -> Material:
    """Four questions on three paragraphs."""
    pairs = [("find anna", "anna lives in oslo"), ("find oslo", "anna lives in oslo")]
    pairs += [("find trams", "trams run in bergen"), ("find bergen", "rain falls in bergen")]
    return Material(pairs, list(dict.fromkeys(context for _, context in pairs)), {"dataset": "four", "seed": 1})


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer("anna lives in oslo trams run bergen rain falls")


@pytest.fixture
def reader(scorer: FakeScorer) -> Reader:
    return Reader(scorer, NativeSettings(no_answer=True))
