"""``polyspan score``."""

from pathlib import Path
from typing import Any

import click

from polyspan.cli.output import print_reports
from polyspan.cli.scoring import check_figures, chosen_regimes, present, read_kept_of, report_options
from polyspan.datasets import read_na_probs, read_predictions
from polyspan.errors import InputError
from polyspan.evaluation import SELECTIVE, answered_by, is_kept, read_questions, score_texts


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--na-probs", type=click.Path(path_type=Path), help="Probabilities of no answer by id.")
@click.option("--na-threshold", type=float, help="Above it a prediction counts as no answer.  [default: 1.0]")
@click.option("--squad1", is_flag=True, help="The same as --regime squad1.")
@click.option("--allow-missing", is_flag=True, help="Score the ids that are there, instead of refusing.")
@report_options
def score(predictions: Path, dataset: Path, **given: Any) -> None:
    """Score PREDICTIONS on DATASET (SQuAD JSON, also .gz), by SQuAD 2.0's official rules or others.

    PREDICTIONS are JSON as SQuAD's script reads it (id to text, "" for no answer), or what evaluate --out kept: its
    folder, or a .jsonl file in it. Regimes: squad (SQuAD 2.0), squad1 (SQuAD 1.1), mlqa and cmrc2018 leave
    unanswerable questions out; mlqa-extended compares as MLQA does in any language; selective asks what the
    probabilities of kept predictions are worth.
    """
    regimes = chosen_regimes([*given["regimes"], *(["squad1"] if given["squad1"] else [])])
    if is_kept(predictions):
        _score_kept(regimes, predictions, dataset, given)
    else:
        _score_texts(regimes, predictions, dataset, given)


def _score_kept(regimes: list[str], path: Path, dataset: Path, given: dict[str, Any]) -> None:
    if given["na_probs"] is not None or given["na_threshold"] is not None:
        raise InputError(
            f"{path}: kept predictions bring their null margins and threshold along; leave --na-probs and "
            "--na-threshold out"
        )
    check_figures(given)
    questions = read_questions(dataset, given["language"])
    present([answered_by(read_kept_of(path, dataset), questions)], regimes, given)


def _score_texts(regimes: list[str], path: Path, dataset: Path, given: dict[str, Any]) -> None:
    texts = read_predictions(path)
    if SELECTIVE in regimes or given["report"] or given["plots"]:
        raise InputError(
            f"{path}: it holds no probabilities, which selective scores need, nor null margins and places in contexts, "
            "which --report and --plots need too; give predictions that polyspan evaluate --out kept"
        )
    questions = read_questions(dataset, given["language"])
    na_probs = None if given["na_probs"] is None else read_na_probs(given["na_probs"])
    threshold = 1.0 if given["na_threshold"] is None else given["na_threshold"]
    reports = [
        score_texts(regime, questions, texts, na_probs, threshold, allow_missing=given["allow_missing"])
        for regime in regimes
    ]
    print_reports(reports, given["as_json"])
