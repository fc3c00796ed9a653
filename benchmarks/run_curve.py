"""What the marks of a run of scripts/gpu_run are worth on the development questions that it predicted.

    python benchmarks/run_curve.py PACK OUT DEV

PACK and OUT are the folders of that run, DEV the folder of SQuAD files that was packed. Figures are those of
dev_curve.py, and the area under the ROC curve, that an answerable question's null margin is lower than an unanswerable
one's, in each file with both. The weights are the averaged ones, as the GPU computed with them, in bfloat16.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dev_curve import gains, plot, scores, table
from measure import machine, write_result
from polyspan.datasets import read_squad
from polyspan.evaluation.observe import Observations, grade

RESULT = Path(__file__).parent / "results" / "run-curve.json"
ALL_BUT = 0.9  # a mark nearer to the end than this says what the end says


def main() -> None:
    """Score the kept predictions, write the result and its plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    run = json.loads((given.out / "run.json").read_text(encoding="utf-8"))
    said = observed(given.pack / "dev.json", given.out / "dev.npz", given.dev)
    last = round(run["tokens"] / 1e6, 1)
    marks = {float(name.removeprefix("mark-")): one for name, one in said.items() if name.startswith("mark-")}
    ends = {tokens: one for tokens, one in marks.items() if tokens < ALL_BUT * last} | {last: said["final"]}
    curve = {tokens: scores(one) for tokens, one in ends.items()}
    lines = table(curve)
    print("\n".join(lines))
    given.result.with_suffix(".png").write_bytes(plot(curve))
    write_result(
        given.result,
        {
            "what": "F1, 0 to 100, by millions of tokens; gains over the mark before, 95 % intervals; areas",
            "questions": int(said["final"].f1.size),
            "run": run,
            "table": lines,
            "f1": {f"{tokens:g}": one for tokens, one in curve.items()},
            "gain": {f"{a:g} to {b:g}": gains(ends[a], ends[b]) for a, b in pairwise(ends)},
            "area": {f"{tokens:g}": areas(one) for tokens, one in ends.items()},
            **machine(("polyspan",)),
        },
    )


def observed(questions: Path, predictions: Path, dev: Path) -> dict[str, Observations]:
    """What the run said at each of its marks."""
    packed = json.loads(questions.read_text(encoding="utf-8"))
    files = {file for file, _, _ in packed["questions"]}
    known = {(file, one.id): one for file in files for one in read_squad(dev / f"{file}.json.gz")}
    asked = [(known[file, name], file, packed["offsets"][str(context)]) for file, name, context in packed["questions"]]
    with np.load(predictions) as arrays:
        said: dict[str, dict[str, Any]] = {}
        for key in arrays.files:
            mark, _, what = key.partition("|")
            said.setdefault(mark, {})[what] = arrays[key]
    found = {}
    for mark, one in said.items():
        graded = []
        for (example, _, offsets), (first, last) in zip(asked, one["span"], strict=True):
            graded.append(grade(example, example.context[offsets[first][0] : offsets[last][1]]))
        found[mark] = Observations(
            features={},
            null_margin=one["null"] - one["best"],
            unanswerable=np.array([not example.answers for example, _, _ in asked]),
            exact=np.array([exact for exact, _ in graded], np.bool_),
            f1=np.array([f1 for _, f1 in graded]),
            alone=np.ones(len(asked), np.bool_),
            context=np.array([context for _, _, context in packed["questions"]]),
            dataset=np.array([file for _, file, _ in asked]),
        )
    return found


def areas(said: Observations) -> dict[str, float]:
    """The area of each file that has questions of both kinds."""
    found = {}
    for file in np.unique(said.dataset[said.unanswerable]):
        mine = said.at(said.dataset == file)
        yes, no = mine.null_margin[~mine.unanswerable], mine.null_margin[mine.unanswerable]
        if yes.size:
            found[str(file)] = float((yes[:, None] < no[None]).mean())
    return found


if __name__ == "__main__":
    main()
