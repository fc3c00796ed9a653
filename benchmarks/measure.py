"""What every benchmark needs: interleaved runs, and a record of where they ran."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any


def interleaved(contestants: Mapping[str, Callable[[], float | None]], runs: int) -> dict[str, list[float]]:
    """Seconds of each contestant, taken in turn, after one round that does not count.

    A contestant that measures itself returns its seconds; None lets the clock here count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(runs + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            own = run()
            taken = time.perf_counter() - began if own is None else own
            if number:
                seconds[name].append(round(taken, 4))
            print(f"run {number} of {runs}, {name}: {taken:.2f} s", file=sys.stderr)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's runs."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine(packages: tuple[str, ...]) -> dict[str, Any]:
    """Processor, cores and versions."""
    names = [line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
    }


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """The result with the command that made it."""
    content = {**result, "command": " ".join(["python", *sys.argv])}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps({key: content[key] for key in ("medians", "ratios") if key in content}, indent=2))


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
