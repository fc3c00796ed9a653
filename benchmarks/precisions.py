"""What each number format of polyspan export weighs, and what it loses against the float model.

    python benchmarks/precisions.py MODEL FILE:LANG... --sample N --calibration-data FILE...

All are made from one float graph and held against the same float predictions. Nothing is left out of quantisation, and
nothing is refused. How fast the formats are is not measured here, nor those of other runtimes, whose graph is another.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from measure import machine, write_result
from polyspan.backends import ModelFolder
from polyspan.cli.scoring import dataset_and_language
from polyspan.evaluation import Questions, read_questions
from polyspan.export import PRECISIONS, Exported, Exporter, ExportSettings, Plan

RESULT = Path(__file__).parent / "results" / "precisions.json"


def main() -> None:
    """Export, measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("gate", nargs="+", metavar="FILE:LANG")
    parser.add_argument("--calibration-data", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--sample", type=int, required=True, help="questions of a file at most")
    given = parser.parse_args()
    gate, calibration = (
        [_questions(text, given.sample) for text in texts] for texts in (given.gate, given.calibration_data)
    )
    settings = ExportSettings("int8-static", gate=gate, max_loss=100, calibration=calibration)
    work = Exporter(ModelFolder(given.model), settings, lambda items, total, what: tqdm(items, desc=what, total=total))
    formats = [(name, one.embeddings) for name, one in PRECISIONS.items() if one.backend == "onnx"]
    rows = []
    for precision, embeddings in [*formats, ("int8-stored", "4")]:
        with TemporaryDirectory() as scratch:
            rows.append(_row(work.attempt(Path(scratch), Plan(precision, embeddings))))
        print(rows[-1] | {"languages": None})
    write_result(
        RESULT,
        {
            "machine": machine(("onnxruntime", "onnx", "onnxscript", "torch", "transformers")),
            "model": given.model.name,
            "sample": given.sample,
            "datasets": [{**one.source, "language": one.languages[0], "questions": len(one.examples)} for one in gate],
            "formats": rows,
        },
    )


def _questions(text: str, sample: int) -> Questions:
    return read_questions(*dataset_and_language(text, "")).sample(sample)


def _row(done: Exported) -> dict[str, Any]:
    if done.report is None:
        raise AssertionError("an export that was not measured")
    return {
        "precision": done.plan.precision,
        "embeddings": done.plan.stored_embeddings,
        "megabytes": round(done.megabytes, 1),
        **asdict(done.report),
    }


if __name__ == "__main__":
    main()
