"""What a reader loses, and how small it becomes, when its vocabulary is trimmed to some languages.

    python benchmarks/trimming.py MODEL OUT --languages CODE,... FILE[:LANG]...

polyspan trim writes the smaller reader to OUT and reads the answerable questions of the FILEs (SQuAD JSON) with both,
never abstaining.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from measure import machine, write_result

RESULT = Path(__file__).parent / "results" / "trimming.json"


def main() -> None:
    """Trim, score and keep what the command says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("files", nargs="+", metavar="FILE[:LANG]")
    parser.add_argument("--languages", required=True)
    given = parser.parse_args()
    tests = [text for file in given.files for text in ("--eval", file)]
    run = "from polyspan.cli import main; main()"
    command = ["trim", given.model, given.out, "--languages", given.languages, "--regime", "squad1", *tests, "--json"]
    said = subprocess.run([sys.executable, "-c", run, *command], check=True, stdout=subprocess.PIPE)
    report = json.loads(said.stdout)
    del report["folder"]
    write_result(RESULT, {**report, "machine": machine(("onnxruntime", "tokenizers", "wordfreq"))})


if __name__ == "__main__":
    main()
