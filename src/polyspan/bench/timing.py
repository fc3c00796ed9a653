"""Interleaved runs, and where they ran."""

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

Key = TypeVar("Key")
Run = Callable[[], float | None]


def interleaved(
    contestants: Mapping[str, Run], runs: int, what: str = "timing", *, show_progress: bool = False
) -> dict[str, list[float]]:
    """Seconds of each contestant, taken in turn, after one round that does not count.

    A contestant that measures itself returns its seconds; None lets the clock here count.
    """
    from tqdm import tqdm

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    with tqdm(total=(runs + 1) * len(contestants), desc=what, unit="run", disable=not show_progress) as bar:
        for number in range(runs + 1):
            for name, run in contestants.items():
                began = time.perf_counter()
                own = run()
                taken = time.perf_counter() - began if own is None else own
                if number:
                    seconds[name].append(round(taken, 6))
                bar.update()
    return seconds


def medians(seconds: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """The median of each contestant's, or each size's, runs."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def growth_exponent(costs: Mapping[float, float] | Mapping[int, float]) -> float:
    """The slope of log cost over log size by least squares: 1 where cost grows in proportion; NaN for one size."""
    if len(costs) < 2:
        return math.nan
    return statistics.linear_regression(*([math.log(one) for one in axis] for axis in (costs, costs.values()))).slope


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Processor, cores and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
    }
