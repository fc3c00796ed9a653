"""What a reader is worth on each development file, and what calibrating by language would gain there.

    python benchmarks/language_thresholds.py MODEL FILE:LANG... --out FOLDER

polyspan evaluate reads the files, keeps what the reader says in FOLDER, and goes on there after an interruption. With
--as-kept nothing is read: FOLDER holds it all, by whichever calibration, which changes nothing of what is used here.

Compared are the reader's own threshold, which may have been fitted to these very files; a common threshold for all
files; one of each language that has unanswerable questions, taken by the language that is given, and by the one that
is told of each question; and the threshold that is best for the file, which nobody can know before. All but the
first and the last are cross-fitted by contexts, as in polyspan calibrate. Gains are over the common threshold. Where a
file has both kinds of questions, they are weighted as if the share --prior were unanswerable. Of such files also
what the probabilities are worth: common ones at the common threshold, and the language's own at its own.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from measure import machine, write_result
from polyspan.backends import find_model
from polyspan.datasets import read_squad, write_squad
from polyspan.decoding import detect_language
from polyspan.evaluation import predictions_file, read_kept
from polyspan.evaluation.calibrate import (
    FOLDS,
    best_threshold,
    fit_confidence,
    fit_language,
    fit_threshold,
    folds,
)
from polyspan.evaluation.observe import Observations, ask_alone, observe_kept
from polyspan.metrics import prior_weights, selective_scores, threshold_table
from polyspan.metrics.arrays import Flags, Floats
from polyspan.metrics.bootstrap import Estimate, bootstrap_estimates

RESULT = Path(__file__).parent / "results" / "language_thresholds.json"
OWN, COMMON, GIVEN, TOLD, BEST = "own", "common", "language", "told", "best"


Judged = Mapping[str, Mapping[str, Estimate]]
"""Of some questions, by the kind of probability, what it is worth: calibration error, Brier score and the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What the reader said of n questions, with the language, [n], that is given and that is told of each."""

    observed: Observations
    given: Sequence[str]
    told: Sequence[str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Of some questions: how many there are of each kind, and by the kind of threshold all scores, F1 and its gain."""

    answerable: int
    unanswerable: int
    scores: Mapping[str, Mapping[str, float]]
    f1: Mapping[str, Estimate]
    gain: Mapping[str, Estimate]


def main() -> None:
    """Read, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, a hub id, or default")
    parser.add_argument("files", metavar="FILE:LANG", nargs="+", type=file_and_language)
    parser.add_argument("--out", type=Path, required=True, help="folder for what the reader says")
    parser.add_argument("--as-kept", action="store_true", help="read nothing, take what the folder holds")
    parser.add_argument("--prior", type=float, default=0.5, help="share of unanswerable questions to fit for")
    parser.add_argument("--sample", type=int, default=0, help="questions of each kind of a file at most; 0: all")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    languages: dict[Path, str] = dict(given.files)
    if given.sample:
        languages = {write_sample(path, given.out, given.sample): language for path, language in languages.items()}
    if not given.as_kept:
        keep_predictions(given.model, languages, given.out)
    read = read_all(languages, given.out)
    folder = find_model(given.model)
    own = folder.settings.calibration.no_answer_threshold
    thresholds = fit_thresholds(read, own, given.prior)
    everywhere = np.ones(read.observed.exact.size, np.bool_)
    parts = {
        f"{path.name.partition('.')[0]} ({language})": read.observed.dataset == path.name
        for path, language in languages.items()
    }
    found = {
        name: compare(read.observed.at(rows), {kind: values[rows] for kind, values in thresholds.items()}, given.prior)
        for name, rows in {**parts, "all": everywhere}.items()
    }
    probabilities = judge_probabilities(read, thresholds, given.prior)
    tables = {
        "own threshold": own_table(found),
        "gain in F1 over the common threshold": gain_table(found),
        "probabilities, 0 to 1": probability_table(probabilities),
    }
    print("\n\n".join(f"{title}\n\n" + "\n".join(lines) for title, lines in tables.items()))
    write_result(
        given.result,
        {
            "what": "exact match and F1 (over characters where a script has no spaces), 0 to 100, with 95 % intervals",
            "model": folder.name,
            "prior": given.prior,
            "sample": given.sample,
            "tables": tables,
            "threshold": {OWN: own, COMMON: fit_threshold(read.observed, given.prior), **fitted(read, given.prior)},
            "files": {name: asdict(one) for name, one in found.items()},
            "probabilities": {
                file: {kind: {name: asdict(one) for name, one in scores.items()} for kind, scores in kinds.items()}
                for file, kinds in probabilities.items()
            },
            **machine(("polyspan", "onnxruntime", "py3langid")),
        },
    )


def file_and_language(text: str) -> tuple[Path, str]:
    """The parts of FILE:LANG."""
    path, _, language = text.rpartition(":")
    if not path:
        raise argparse.ArgumentTypeError(f"{text}: expected FILE:LANG, such as dev.json:de")
    return Path(path), language


def write_sample(path: Path, folder: Path, size: int) -> Path:
    """A file of so many questions of each kind at most, the same each time."""
    examples = read_squad(path)
    shuffled = [examples[i] for i in np.random.default_rng(0).permutation(len(examples))]
    chosen = [one for kind in (True, False) for one in [e for e in shuffled if bool(e.answers) == kind][:size]]
    folder.mkdir(parents=True, exist_ok=True)
    write_squad(folder / path.name, chosen)
    return folder / path.name


def keep_predictions(model: str, languages: Mapping[Path, str], folder: Path) -> None:
    """Let polyspan evaluate read what is not read yet."""
    command = [sys.executable, "-c", "from polyspan.cli import main; main()", "evaluate", model]
    files = [f"{path}:{language}" for path, language in languages.items()]
    subprocess.run([*command, *files, "--no-answer", "on", "--out", folder], check=True, stdout=subprocess.DEVNULL)


def read_all(languages: Mapping[Path, str], folder: Path) -> Read:
    """What was kept of all files; without the questions on contexts that hold nothing to quote."""
    codes = {path.name: language for path, language in languages.items()}
    datasets = {path.name: read_squad(path) for path in languages}
    kept = {name: read_kept(predictions_file(folder, name)).predictions for name in datasets}
    observed = observe_kept(datasets, kept)
    asked = [one for one in ask_alone(datasets) if kept[one.dataset][one.example.id].text]
    told = [detect_language(one.example.question) or "" for one in asked]
    return Read(observed, [codes[name] for name in observed.dataset], told)


def fit_thresholds(read: Read, own: float, prior: float) -> dict[str, Floats]:
    """The threshold of each question, [n] in logits, of each kind but ``BEST``."""
    common = cross_fitted(read.observed, np.ones(len(read.given), np.bool_), prior)
    by_language = {code: cross_fitted(read.observed, rows, prior) for code, rows in with_both_kinds(read).items()}

    def those_of(languages: Sequence[str]) -> Floats:
        return np.array([by_language.get(code, common)[row] for row, code in enumerate(languages)])

    everyone = np.full(common.size, own)
    return {OWN: everyone, COMMON: common, GIVEN: those_of(read.given), TOLD: those_of(read.told)}


def fitted(read: Read, prior: float) -> dict[str, float]:
    """Of each language, the threshold that fits all its questions."""
    return {code: fit_threshold(read.observed.at(rows), prior) for code, rows in with_both_kinds(read).items()}


def with_both_kinds(read: Read) -> dict[str, Flags]:
    """The questions, [n], of each language that has answerable and unanswerable ones."""
    languages = np.array(read.given)
    rows = {code: languages == code for code in dict.fromkeys(read.given)}
    return {code: those for code, those in rows.items() if np.unique(read.observed.unanswerable[those]).size == 2}


def cross_fitted(observed: Observations, rows: Flags, prior: float) -> Floats:
    """For each question, [n], the threshold that fits those of the ``rows`` that lie in other folds than it."""
    fold = folds(observed)
    return np.array([fit_threshold(observed.at(rows & (fold != k)), prior) for k in range(FOLDS)])[fold]


def judge_probabilities(read: Read, thresholds: Mapping[str, Floats], prior: float) -> dict[str, Judged]:
    """Of each file with both kinds of questions, what the common and the language's own probabilities are worth."""
    observed, fold = read.observed, folds(read.observed)
    claimed = {COMMON: np.zeros((2, fold.size)), GIVEN: np.zeros((2, fold.size))}
    for k in range(FOLDS):
        general = fit_confidence(observed.at(fold != k), prior)
        for rows in with_both_kinds(read).values():
            held, seen = rows & (fold == k), observed.at(rows & (fold != k))
            for kind, maps in ((COMMON, general), (GIVEN, fit_language(seen, general, prior))):
                features = observed.at(held).features
                claimed[kind][:, held] = maps.unanswerable.probability(features), maps.exact.probability(features)
    found: dict[str, Judged] = {}
    for name in np.unique(observed.dataset).tolist():
        rows = observed.dataset == name
        if 0 < observed.unanswerable[rows].mean() < 1:
            of_file, weights = observed.at(rows), prior_weights(observed.unanswerable[rows], prior)
            found[name.partition(".")[0]] = {
                kind: selective_scores(*claims(of_file, both[:, rows], thresholds[kind][rows]), weights)
                for kind, both in claimed.items()
            }
    return found


def claims(observed: Observations, both: Floats, threshold: Floats) -> tuple[Floats, Flags]:
    """The probability of what is shown, the answer or "no answer", and whether it is right, [n] each."""
    abstained, (unanswerable, exact) = observed.null_margin > threshold, both
    right = np.where(abstained, observed.unanswerable, observed.exact)
    return np.where(abstained, unanswerable, (1 - unanswerable) * exact), right


def compare(observed: Observations, thresholds: Mapping[str, Floats], prior: float) -> Compared:
    """The scores of some questions at each kind of threshold, with intervals of F1 and of its gains."""
    absent = observed.unanswerable
    share = prior if absent.any() and not absent.all() else float(absent[0])
    weights = prior_weights(absent, share)
    thresholds = {**thresholds, BEST: np.full(absent.size, best_threshold(observed, share))}
    graded = absent, observed.exact, observed.f1
    f1: dict[str, Floats] = {}
    scores: dict[str, dict[str, float]] = {}
    for kind, values in thresholds.items():
        f1[kind] = 100 * np.where(observed.null_margin > values, absent, observed.f1)
        table = threshold_table(observed.null_margin - values, *graded, [0.0], weights)
        scores[kind] = {name: float(column[0]) for name, column in table.items() if name != "threshold"}
    return Compared(
        answerable=int((~absent).sum()),
        unanswerable=int(absent.sum()),
        scores=scores,
        f1=estimates(f1, weights, least=0),
        gain=estimates({kind: f1[kind] - f1[COMMON] for kind in (GIVEN, TOLD, BEST)}, weights, least=-100),
    )


def estimates(columns: Mapping[str, Floats], weights: Floats, least: float) -> dict[str, Estimate]:
    """The weighted means of columns, [n] from ``least`` to 100, with their intervals."""
    values = np.column_stack(list(columns.values()))

    def means(counts: Floats) -> Floats:
        mass = counts * weights
        drawn: Floats = mass @ values / mass.sum(axis=1, keepdims=True)
        return drawn

    found = bootstrap_estimates(means, weights.size)
    inside = [Estimate(one.value, *np.clip([one.low, one.high], least, 100).tolist()) for one in found]
    return dict(zip(columns, inside, strict=True))


def own_table(found: Mapping[str, Compared]) -> list[str]:
    """Markdown: what the reader is worth at its own threshold."""
    names = ("exact", "HasAns_exact", "HasAns_f1", "NoAns_f1")
    lines = ["| file | answerable | unanswerable | F1 | " + " | ".join(names) + " |", "|---" * (4 + len(names)) + "|"]
    for file, one in found.items():
        scores = one.scores[OWN]
        shown = " | ".join(f"{scores[name]:.1f}" if name in scores else "" for name in names)
        counts = f"{one.answerable:,} | {one.unanswerable:,}"
        lines.append(f"| {file} | {counts} | {with_interval(one.f1[OWN])} | {shown} |")
    return lines


def gain_table(found: Mapping[str, Compared]) -> list[str]:
    """Markdown: what other thresholds gain over the common one; empty where they change no answer."""
    heads = ("file", "F1, common threshold", "language's, given", "language's, told", "best for the file (in sample)")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for file, one in found.items():
        gains = (with_interval(gain) if gain.low or gain.high else "" for gain in one.gain.values())
        cells = [with_interval(one.f1[COMMON]), *gains]
        lines.append(f"| {file} | {' | '.join(cells)} |")
    return lines


def probability_table(probabilities: Mapping[str, Judged]) -> list[str]:
    """Markdown: what common and the language's own probabilities are worth."""
    columns = [(name, kind) for name in ("ece", "brier", "aurc") for kind in (COMMON, GIVEN)]
    heads = ["file", *(f"{name}, {'common' if kind == COMMON else 'own'}" for name, kind in columns)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for file, one in probabilities.items():
        cells = (with_interval(one[kind][name], 3) for name, kind in columns)
        lines.append(f"| {file} | {' | '.join(cells)} |")
    return lines


def with_interval(one: Estimate, digits: int = 1) -> str:
    """A figure and the ends of its interval."""
    return f"{one.value:.{digits}f} ({one.low:.{digits}f} to {one.high:.{digits}f})"


if __name__ == "__main__":
    main()
