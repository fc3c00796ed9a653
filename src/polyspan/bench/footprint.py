"""Time and memory of a reader in a process of its own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from polyspan.backends import BackendOptions
from polyspan.errors import ModelError
from polyspan.reader import Reader

ENOUGH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Errand:
    """What a process does: open the reader, answer ``question`` from ``first``, then from ``document``, if any.

    From ``document`` up to ``runs`` times, but no more once that has taken 5 seconds.
    """

    model: str
    threads: int | None
    question: str
    first: str
    document: str = ""
    runs: int = 1


@dataclass(frozen=True, slots=True)
class Footprint:
    """Seconds from the process's start to its first answer (``cold_start``), and of each reading of the document.

    ``peak_bytes`` is the most memory that the process held; None where the system does not say.
    """

    cold_start: float
    seconds: tuple[float, ...]
    peak_bytes: int | None


def measure_footprint(errand: Errand) -> Footprint:
    """Run the errand in a new process; ModelError where it fails."""
    began = time.time()
    result = subprocess.run(  # noqa: S603 -- this interpreter
        [sys.executable, "-c", f"from {__name__} import run_errand; run_errand()"],
        input=json.dumps(asdict(errand)),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode:
        said = result.stderr.strip().splitlines()
        raise ModelError(f"{errand.model}: a process that reads with it failed: {said[-1] if said else 'no message'}")
    content = json.loads(result.stdout)
    return Footprint(round(content["answered"] - began, 4), tuple(content["seconds"]), content["peak_bytes"])


def run_errand() -> None:
    """The process: an errand as JSON on stdin to its result as JSON on stdout."""
    errand = Errand(**json.loads(sys.stdin.read()))
    reader = Reader.from_pretrained(errand.model, BackendOptions(threads=errand.threads))
    reader.read(errand.question, [errand.first])
    answered = time.time()
    seconds: list[float] = []
    while errand.document and len(seconds) < errand.runs and sum(seconds) < ENOUGH_SECONDS:
        began = time.perf_counter()
        reader.read(errand.question, [errand.document])
        seconds.append(round(time.perf_counter() - began, 4))
    sys.stdout.write(json.dumps({"answered": answered, "seconds": seconds, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int | None:
    """The most memory that this process has held since its program began."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the parent held before this program was loaded
        lines = status.read_text(encoding="utf-8").splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
    if os.name == "nt":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
