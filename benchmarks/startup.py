"""What starting costs: the import, and a cold first answer beside opening the bare runtime.

    python benchmarks/startup.py

Every run is a process of its own; files are warm in the system's cache.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from measure import interleaved, machine, medians, write_result
from polyspan.backends import ModelFolder

EXAMPLES = Path(__file__).parent.parent / "examples" / "documents"
QUESTION = "How many arches does the bridge have?"


def process(*arguments: str) -> Callable[[], None]:
    """Run one command to its end."""

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return run


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "startup.json")
    given = parser.parse_args()
    folder = ModelFolder.shipped()
    bare = (
        "import onnxruntime, tokenizers\n"
        f"onnxruntime.InferenceSession({str(folder.onnx_file)!r}, providers=['CPUExecutionProvider'])\n"
        f"tokenizers.Tokenizer.from_file({str(folder.tokenizer_file)!r})"
    )
    ask = "from polyspan.cli import main; main()"
    contestants: dict[str, Callable[[], float | None]] = {
        "python": process("-c", "pass"),
        "import numpy": process("-c", "import numpy"),
        "import polyspan": process("-c", "import polyspan"),
        "bare session and tokenizer": process("-c", bare),
        "polyspan ask": process("-c", ask, "ask", QUESTION, str(EXAMPLES)),
    }
    seconds = interleaved(contestants, given.runs)
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


if __name__ == "__main__":
    main()
