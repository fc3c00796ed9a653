"""What starting costs: the import, and a cold first answer beside opening the bare runtime.

    python benchmarks/startup.py

Every run is a process of its own; files are warm in the system's cache.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import interleaved, machine, medians, write_result
from polyspan.backends import ModelFolder, unpacked

EXAMPLES = Path(__file__).parent.parent / "examples" / "documents"
QUESTION = "How many arches does the bridge have?"


def process(*arguments: str) -> Callable[[], None]:
    """Run one command to its end."""

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return run


def unpack(folder: Path, target: Path) -> Path:
    """The shipped reader with its gzipped files unpacked, as the bare runtime opens it best."""
    (target / "onnx").mkdir()
    for path in folder.rglob("*.gz"):
        (target / path.relative_to(folder).with_suffix("")).write_bytes(unpacked(path))
    return target


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "startup.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seconds = interleaved(contestants(unpack(ModelFolder.shipped().path, Path(scratch))), given.runs)
    middle = medians(seconds)
    write_result(
        given.out,
        {
            "what": "seconds of whole processes",
            "medians": middle,
            "ratios": {
                "import polyspan / import numpy": round(middle["import polyspan"] / middle["import numpy"], 3),
                "polyspan ask / bare session and tokenizer": round(
                    middle["polyspan ask"] / middle["bare session and tokenizer"], 3
                ),
            },
            "peak memory of the largest process, MiB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            "seconds": seconds,
            "runs": given.runs,
            **machine(("polyspan", "onnxruntime", "tokenizers", "numpy")),
        },
    )


def contestants(plain: Path) -> dict[str, Callable[[], float | None]]:
    """What is timed; ``plain`` is the shipped reader unpacked."""
    bare = (
        "import onnxruntime, tokenizers\n"
        f"onnxruntime.InferenceSession({str(plain / 'onnx' / 'model.onnx')!r}, providers=['CPUExecutionProvider'])\n"
        f"tokenizers.Tokenizer.from_file({str(plain / 'tokenizer.json')!r})"
    )
    ask = "from polyspan.cli import main; main()"
    return {
        "python": process("-c", "pass"),
        "import numpy": process("-c", "import numpy"),
        "import polyspan": process("-c", "import polyspan"),
        "bare session and tokenizer": process("-c", bare),
        "polyspan ask": process("-c", ask, "ask", QUESTION, str(EXAMPLES)),
    }


if __name__ == "__main__":
    main()
