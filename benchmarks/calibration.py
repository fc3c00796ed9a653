"""What calibrated probabilities and the calibrated threshold are worth on a dataset that they were not fitted to.

    polyspan calibrate MODEL FIT.json... --out CALIBRATED
    polyspan evaluate CALIBRATED FIT.json... --no-answer on --out KEPT
    polyspan evaluate CALIBRATED TEST.json --out KEPT
    python benchmarks/calibration.py CALIBRATED --fit FIT.json... --test TEST.json --kept KEPT

Judged are the model's own calibration, beside one softmax over all windows' spans, and, with --fit, calibrations fitted
here from the same predictions: for other shares of unanswerable questions, to show what the prior does, and, for half
of them, without each of the files that hold both kinds in turn, judged on it, to show how far a fit carries.
"""

import argparse
from pathlib import Path

import numpy as np

from measure import machine, write_result
from polyspan.backends import find_model
from polyspan.datasets import read_squad
from polyspan.decoding import Calibration
from polyspan.evaluation import predictions_file, read_kept
from polyspan.evaluation.calibrate import fit_confidence, fit_threshold, judge
from polyspan.evaluation.observe import Observations, observe_kept
from polyspan.types import Report

RESULT = Path(__file__).parent / "results" / "calibration.json"
PRIORS = (0.1, 0.3, 0.5, 0.7)
SHOWN = ("ece", "brier", "aurc", "exact", "f1", "HasAns_f1", "NoAns_f1", "abstained", "best_f1")


def observations(paths: list[Path], kept: Path) -> Observations:
    """What was kept of some files."""
    said = {path.name: read_kept(predictions_file(kept, path.name)).predictions for path in paths}
    return observe_kept({path.name: read_squad(path) for path in paths}, said)


def left_out(observed: Observations) -> dict[str, Report]:
    """What a fit to the other files is worth on each file that holds both kinds of questions."""
    found = {}
    for name in np.unique(observed.dataset).tolist():
        own = observed.dataset == name
        if 0 < observed.unanswerable[own].mean() < 1:
            others = observed.at(~own)
            fitted = Calibration(fit_threshold(others), confidence=fit_confidence(others))
            found[name] = judge(observed.at(own), fitted)
    return found


def figures(report: Report) -> dict[str, float | list[float]]:
    """Scores, those with an interval as [value, low, high]."""
    return {
        name: [round(x, 4) for x in (value, *report.intervals[name])] if name in report.intervals else round(value, 4)
        for name, value in report.scores.items()
    }


def main() -> None:
    """Judge and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a calibrated folder, or default")
    parser.add_argument("--fit", type=Path, nargs="+", default=[])
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True, help="folder of the predictions on all these files")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    test = observations([given.test], given.kept)
    own = judge(test, find_model(given.model).settings.calibration)
    fit = observations(given.fit, given.kept) if given.fit else None
    fitted = {p: Calibration(fit_threshold(fit, p), confidence=fit_confidence(fit, p)) for p in PRIORS} if fit else {}
    priors = {
        f"fitted for {p}": {f"tested at {q}": judge(test, one, q) for q in dict.fromkeys((p, 0.5))}
        for p, one in fitted.items()
    }
    others = left_out(fit) if fit else {}
    print(" ".join(f"{name:>9}" for name in SHOWN))
    for title, reports in {"own calibration": {"tested at 0.5": own}, **priors, "left out": others}.items():
        for share, report in reports.items():
            print(" ".join(f"{report.scores[name]:9.4f}" for name in SHOWN), title, share)
    write_result(
        given.out,
        {
            "what": "probability that what is shown, answer or not, is exactly right, 0 to 1; exact and F1, 0 to 100",
            "model": given.model,
            "own calibration": figures(own),
            "priors": {title: {share: figures(one) for share, one in found.items()} for title, found in priors.items()},
            "left out": {name: figures(one) for name, one in others.items()},
            **machine(("polyspan", "onnxruntime")),
        },
    )


if __name__ == "__main__":
    main()
