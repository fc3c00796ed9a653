"""Labelled reports of every regime, all from the same predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np

from polyspan.datasets import file_signature, read_squad
from polyspan.errors import DatasetError, InputError
from polyspan.evaluation.predictions import LARGEST_MARGIN, Kept, Prediction
from polyspan.metrics import (
    REGIMES,
    Regimes,
    Signature,
    coverage_at,
    grade_squad1,
    grade_squad2,
    make_signature,
    match_predictions,
    no_answer_scores,
    normaliser_name,
    prior_weights,
    risk_coverage,
    score_squad1,
    score_squad2,
    selective_scores,
)
from polyspan.metrics.arrays import Flags, Floats
from polyspan.types import QAExample, Report

COVERAGES = {f"coverage_at_{100 * accuracy:.0f}": accuracy for accuracy in (0.8, 0.9, 0.95)}
SELECTIVE = "selective"


@dataclass(frozen=True, slots=True)
class TextRegime:
    """How texts are compared (a name in ``metrics.REGIMES``), and whose rules hold for all else.

    SQuAD 1.1's rules know no unanswerable questions, which are left out, and no abstaining: the best span counts.
    SQuAD 2.0's score both, and find the best thresholds.
    """

    comparison: str
    rules: Literal["squad1", "squad2"]


TEXT_REGIMES: Mapping[str, TextRegime] = {
    "squad": TextRegime("squad", "squad2"),
    "squad1": TextRegime("squad", "squad1"),
    "mlqa": TextRegime("mlqa", "squad1"),
    "mlqa-extended": TextRegime("mlqa-extended", "squad2"),
    "cmrc2018": TextRegime("cmrc2018", "squad1"),
    "jsquad": TextRegime("jsquad", "squad2"),
}
"""The regimes that need no more than texts, by the rules of their official scripts; ``mlqa-extended`` has none."""


@dataclass(frozen=True, slots=True)
class Questions:
    """A dataset: its questions, the language (ISO 639-1, "" where not known) of each, and what signatures say of it."""

    examples: Sequence[QAExample]
    languages: Sequence[str]
    source: Signature

    def regimes(self, name: str) -> Regimes:
        """How the answers are compared under a name in ``metrics.REGIMES``; InputError where it lacks a language."""
        made = {language: REGIMES[name](language) for language in dict.fromkeys(self.languages)}
        first, *others = made.values()
        if all(one == first for one in others):
            return first
        return {one.id: made[language] for one, language in zip(self.examples, self.languages, strict=True)}

    def those(self, wanted: Callable[[QAExample], bool]) -> "Questions":
        """The questions that are ``wanted``, in their order."""
        rows = [row for row, example in enumerate(self.examples) if wanted(example)]
        return replace(
            self, examples=[self.examples[row] for row in rows], languages=[self.languages[row] for row in rows]
        )

    def sample(self, size: int) -> "Questions":
        """So many of the questions at most, drawn at random and always the same ones, in their order."""
        rows = np.sort(np.random.default_rng(0).permutation(len(self.examples))[:size])
        return replace(self, examples=[self.examples[i] for i in rows], languages=[self.languages[i] for i in rows])


@dataclass(frozen=True, slots=True)
class Answered:
    """Questions with the predictions (by question id) that a reader made of them.

    ``threshold`` is the one, in logits, above which it abstained; None where it did not, or where there were several.
    """

    questions: Questions
    predictions: Mapping[str, Prediction]
    threshold: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """Predictions compared with the gold answers, one row for each of n questions that have one.

    ``right`` [n] says whether what was shown, an answer or the abstention, is exactly right; texts were compared under
    ``regime``, one of the ``TEXT_REGIMES``. ``weights`` [n] say how many questions each stands for (None: itself),
    ``threshold`` is that of ``Answered``, and ``settings`` are what a signature says of missing rows and weights.
    """

    questions: Questions
    rows: Sequence[Prediction]
    threshold: float | None
    regime: str
    right: Flags
    weights: Floats | None
    settings: Mapping[str, float]

    @property
    def probability(self) -> Floats:
        """The reader's own probabilities [n], 0 to 1, that what it showed is exactly right."""
        return np.array([row.probability for row in self.rows])

    @property
    def abstained(self) -> Flags:
        """Whether the reader showed no answer [n]."""
        return np.array([row.abstained for row in self.rows])

    @property
    def unanswerable(self) -> Flags:
        """Whether there is no gold answer [n]."""
        return np.array([not example.answers for example in self.questions.examples])

    @property
    def normaliser(self) -> str:
        """How the texts were compared, as signatures say it."""
        return normaliser_name(self.questions.regimes(TEXT_REGIMES[self.regime].comparison))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The graded predictions on a dataset, or on several pooled, with reports by regime.

    Among these are ``SELECTIVE`` and at least one of the ``TEXT_REGIMES``.
    """

    graded: Graded
    reports: Mapping[str, Report]

    @property
    def regime(self) -> str:
        """The first regime that compares texts."""
        return next(regime for regime in self.reports if regime != SELECTIVE)

    @property
    def main(self) -> Report:
        """That regime's report."""
        return self.reports[self.regime]

    @property
    def selective(self) -> Report:
        """What the probabilities are worth."""
        return self.reports[SELECTIVE]

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return str(self.graded.questions.source["dataset"])

    @property
    def language(self) -> str:
        """The language of the answers, if all have the same; else ""."""
        languages = set(self.graded.questions.languages)
        return languages.pop() if len(languages) == 1 else ""


def read_questions(path: Path, language: str = "") -> Questions:
    """The questions of a SQuAD JSON file, all of one language. Raises DatasetError where the file holds none."""
    examples = read_squad(path)
    return Questions(examples, [language] * len(examples), file_signature(path))


def answered_by(kept: Kept, questions: Questions) -> Answered:
    """Kept predictions as those of the questions."""
    no_answer = "on" if kept.origin.options.get("return_no_answer") else "off"
    source = {**questions.source, "model": kept.origin.model, "no_answer": no_answer}
    return Answered(replace(questions, source=source), kept.predictions, kept.origin.threshold)


def counted(regime: str, questions: Questions, texts: Mapping[str, str]) -> tuple[Questions, Mapping[str, str]]:
    """The questions that count under one of the ``TEXT_REGIMES``, and the texts without those of the others.

    Raises DatasetError where no question counts, and InputError where the regime needs to know a language.
    """
    if TEXT_REGIMES[regime].rules == "squad1":
        left_out = {example.id for example in questions.examples if not example.answers}
        if len(left_out) == len(questions.examples):
            raise DatasetError(f"regime {regime}: the dataset has no answerable question; expected at least one")
        if left_out:
            questions = questions.those(lambda example: example.id not in left_out)
            questions = replace(questions, source={**questions.source, "unanswerable_left_out": len(left_out)})
            texts = {key: text for key, text in texts.items() if key not in left_out}
    questions.regimes(TEXT_REGIMES[regime].comparison)
    return questions, texts


def pool(sets: Sequence[Answered]) -> Answered:
    """All questions of several datasets as one, each asked in its own language; ids may be the same in two."""
    digests = "".join(str(one.questions.source["dataset_sha256"]) for one in sets)
    source = {
        **sets[0].questions.source,
        "dataset": f"{len(sets)} files",
        "dataset_sha256": sha256(digests.encode()).hexdigest()[:12],
    }
    thresholds = {one.threshold for one in sets}
    if len(thresholds) > 1:
        source["na_threshold"] = "each file's own"
    examples: list[QAExample] = []
    languages: list[str] = []
    rows: dict[str, Prediction] = {}
    for number, one in enumerate(sets):
        examples += [replace(example, id=f"{number}/{example.id}") for example in one.questions.examples]
        languages += one.questions.languages
        rows |= {f"{number}/{key}": replace(row, id=f"{number}/{key}") for key, row in one.predictions.items()}
    return Answered(Questions(examples, languages, source), rows, thresholds.pop() if len(thresholds) == 1 else None)


def score_texts(
    regime: str,
    questions: Questions,
    texts: Mapping[str, str],
    na_probs: Mapping[str, float] | None = None,
    na_threshold: float = 1.0,
    *,
    allow_missing: bool = False,
) -> Report:
    """Score texts (by question id) under one of the ``TEXT_REGIMES``.

    Args:
        regime: its name.
        questions: what was asked.
        texts: "" for no answer. SQuAD 1.1's rules do not look at those of unanswerable questions.
        na_probs: as in ``score_squad2``; none under SQuAD 1.1's rules.
        na_threshold: likewise.
        allow_missing: score what is there; under SQuAD 1.1's rules missing texts count 0.

    Raises:
        DatasetError: if ids are missing or unknown, or no question is answerable under SQuAD 1.1's rules.
        InputError: if the regime needs another language, or has no use for ``na_probs``.
    """
    questions, texts = counted(regime, questions, texts)
    examples, source = questions.examples, questions.source
    comparison = questions.regimes(TEXT_REGIMES[regime].comparison)
    if TEXT_REGIMES[regime].rules == "squad2":
        return score_squad2(
            examples, texts, na_probs, na_threshold, allow_missing=allow_missing, source=source, regime=comparison
        )
    if na_probs is not None:
        raise InputError(f"regime {regime}: it knows no unanswerable questions; leave the no-answer probabilities out")
    return score_squad1(examples, texts, allow_missing=allow_missing, source=source, regime=comparison)


def score_predictions(
    regime: str, answered: Answered, *, prior: float | None = None, allow_missing: bool = False
) -> Report:
    """Score predictions under one of the ``TEXT_REGIMES``, or as "selective" answering.

    Where SQuAD 1.1's rules hold, ``no_answer`` in the signature is "off": the best span counts. ``prior`` (0 to 1) is
    the share of unanswerable questions that the selective scores are for; None: that of the dataset. Raises what
    ``score_texts`` raises, and InputError for a prior that the questions cannot be weighted to.
    """
    if regime == SELECTIVE:
        return selective_report(grade_predictions(answered, prior, allow_missing=allow_missing))
    questions, rows = answered.questions, answered.predictions
    best = {key: row.text for key, row in rows.items()}
    if TEXT_REGIMES[regime].rules == "squad1":
        never = replace(questions, source={**questions.source, "no_answer": "off"})
        return score_texts(regime, never, best, allow_missing=allow_missing)
    if answered.threshold is None:
        shown = {key: row.shown for key, row in rows.items()}
        report = score_texts(regime, questions, shown, allow_missing=allow_missing)
        return replace(report, signature={**report.signature, **questions.source})
    # The official rules know no negative thresholds, so margins are shifted for them.
    margins = {key: row.null_margin + LARGEST_MARGIN for key, row in rows.items()}
    report = score_texts(
        regime, questions, best, margins, answered.threshold + LARGEST_MARGIN, allow_missing=allow_missing
    )
    thresholds = {key: report.scores[key] - LARGEST_MARGIN for key in ("best_exact_thresh", "best_f1_thresh")}
    signature = {**report.signature, "na_threshold": answered.threshold}
    return replace(report, scores={**report.scores, **thresholds}, signature=signature)


def complete_reports(
    reports: Mapping[str, Report], answered: Answered, prior: float | None = None, *, allow_missing: bool = False
) -> Scored:
    """The ``reports`` on predictions, by regime, with those that plots and an HTML report need besides.

    These are the selective one, and SQuAD 2.0's where there is no other. Raises what ``score_predictions`` raises.
    """
    graded = grade_predictions(answered, prior, allow_missing=allow_missing)
    found = dict(reports)
    if SELECTIVE not in found:
        found[SELECTIVE] = selective_report(graded)
    if len(found) == 1:
        found["squad"] = score_predictions("squad", answered, allow_missing=allow_missing)
    return Scored(graded, found)


def grade_texts(regime: str, questions: Questions, texts: Mapping[str, str]) -> tuple[list[int], list[float]]:
    """Exact match (0 or 1) and F1 (0 to 1) of each question [n] under one of the ``TEXT_REGIMES``.

    Each needs a text, and under SQuAD 1.1's rules a gold answer. Raises InputError and DatasetError as ``score_texts``.
    """
    grade = grade_squad1 if TEXT_REGIMES[regime].rules == "squad1" else grade_squad2
    return grade(questions.examples, texts, questions.regimes(TEXT_REGIMES[regime].comparison))


def grade_predictions(answered: Answered, prior: float | None = None, *, allow_missing: bool = False) -> Graded:
    """Whether what was shown is right, question by question, weighted to a ``prior`` as in ``score_predictions``.

    Texts are compared as SQuAD does; where languages are known, as MLQA's extension does in each. Raises what
    ``score_predictions`` raises.
    """
    predictions = answered.predictions
    examples, missing = match_predictions(answered.questions.examples, predictions, allow_missing=allow_missing)
    questions = answered.questions.those(lambda example: example.id in predictions)
    rows = [predictions[example.id] for example in examples]
    regime = "mlqa-extended" if any(questions.languages) else "squad"
    right, _ = grade_texts(regime, questions, {row.id: row.shown for row in rows})
    weights = None if prior is None else prior_weights([not example.answers for example in examples], prior)
    settings = {**({"missing": missing} if missing else {}), **({} if prior is None else {"prior": prior})}
    return Graded(questions, rows, answered.threshold, regime, np.array(right, bool), weights, settings)


def selective_report(graded: Graded) -> Report:
    """What the probability is worth that what was shown, an answer or the abstention, is exactly right; 0 to 1."""
    probability, weights = graded.probability, graded.weights
    curve = risk_coverage(probability, graded.right, weights)
    estimates = selective_scores(probability, graded.right, weights)
    scores = {"accuracy": 1 - float(curve.risk[-1])}
    scores |= {name: estimate.value for name, estimate in estimates.items()}
    scores |= {name: coverage_at(curve, accuracy) for name, accuracy in COVERAGES.items()}
    if graded.unanswerable.any():
        abstaining = no_answer_scores(graded.abstained, graded.unanswerable, weights)
        scores |= {f"no_answer_{name}": getattr(abstaining, name) for name in ("precision", "recall", "f1")}
    source = {**graded.questions.source, "ece": "15 bins of equal mass"}
    return Report(
        {**scores, "total": len(graded.rows)},
        make_signature(SELECTIVE, graded.normaliser, source, n=len(graded.rows), **graded.settings),
        {name: (estimate.low, estimate.high) for name, estimate in estimates.items()},
    )
