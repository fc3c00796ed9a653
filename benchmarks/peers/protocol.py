"""How `polyspan bench --peer` talks to a peer; standard library alone, as it runs in every peer's environment."""

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

Item = tuple[str, list[str]]
"""A question and its documents."""
Answer = Callable[[list[Item]], list[str]]
"""What a peer does: the best answer's text for each question."""


def serve(load: Callable[[str, int], Answer], packages: list[str]) -> None:
    """Load once from the model folder, for so many threads; then run as often as stdin has lines."""
    said, sys.stdout = sys.stdout, sys.stderr  # libraries print what they like
    model, items_file, threads = sys.argv[-3:]
    items = [(question, documents) for question, documents in json.loads(Path(items_file).read_text(encoding="utf-8"))]
    answer = load(model, int(threads))
    print(json.dumps({name: metadata.version(name) for name in packages}), file=said, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        answers = answer(items)
        taken = time.perf_counter() - began
        print(json.dumps({"seconds": taken, "answers": answers}), file=said, flush=True)
