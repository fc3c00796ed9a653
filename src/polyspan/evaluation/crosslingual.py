"""Scores for each pair of a question's language and its context's, and their averages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from statistics import fmean

import numpy as np

from polyspan.datasets.parallel import Pair
from polyspan.evaluation.reports import TEXT_REGIMES, Answered, Questions, counted, grade_texts, score_predictions
from polyspan.metrics import Signature, bootstrap_interval
from polyspan.types import Report

SCORES = ("exact", "f1")
DEFAULT_REGIMES = {"xquad": "squad1", "mlqa": "mlqa"}
"""The regime of each layout's own official script."""

LanguagePair = tuple[str, str]
"""The language of a question, and that of its context and answers."""


@dataclass(frozen=True, slots=True)
class CrossLingual:
    """What a reader is worth on parallel data, under one of the ``TEXT_REGIMES``.

    ``reports`` has one for each pair of languages. ``averages`` are means over pairs, each pair the same: of
    "same_language" (XLT), of "cross_language", of "all_pairs" (G-XLT); one without pairs is not there.
    """

    regime: str
    reports: Mapping[LanguagePair, Report]
    averages: Mapping[str, Report]

    @property
    def question_languages(self) -> list[str]:
        """The rows of a matrix."""
        return list(dict.fromkeys(question for question, _ in self.reports))

    @property
    def context_languages(self) -> list[str]:
        """The columns of a matrix, ordered as the rows where they are the same languages."""
        contexts = {context for _, context in self.reports}
        return sorted(contexts, key=[*self.question_languages, *sorted(contexts)].index)

    def matrix(self, score: str) -> list[list[float | None]]:
        """A score (0 to 100), [question languages, context languages]; None for pairs that the data lacks."""
        return [
            [
                self.reports[question, context].scores[score] if (question, context) in self.reports else None
                for context in self.context_languages
            ]
            for question in self.question_languages
        ]


@dataclass(frozen=True, slots=True)
class _Graded:
    """A pair's report, and the score of each of its questions (by id), 0 to 100, under the names of ``SCORES``."""

    report: Report
    scores: Mapping[str, Mapping[str, float]]


def questions_of(pair: Pair) -> Questions:
    """The questions of a pair, in the language of their answers."""
    return Questions(pair.examples, [pair.context_language] * len(pair.examples), pair.source)


def cross_lingual(regime: str, answered: Mapping[LanguagePair, Answered]) -> CrossLingual:
    """Score the predictions on each pair of languages under one of the ``TEXT_REGIMES``, and average.

    An average's interval draws questions, each with all its pairs. Raises what ``score_predictions`` raises.
    """
    graded = {languages: _grade(regime, one) for languages, one in answered.items()}
    parts = {
        "same_language": [one for (question, context), one in graded.items() if question == context],
        "cross_language": [one for (question, context), one in graded.items() if question != context],
        "all_pairs": list(graded.values()),
    }
    return CrossLingual(
        regime,
        {languages: one.report for languages, one in graded.items()},
        {name: _average(pairs) for name, pairs in parts.items() if pairs},
    )


def _grade(regime: str, answered: Answered) -> _Graded:
    never = TEXT_REGIMES[regime].rules == "squad1"
    said = {key: row.text if never else row.shown for key, row in answered.predictions.items()}
    questions, texts = counted(regime, answered.questions, said)
    exact, f1 = grade_texts(regime, questions, texts)
    ids = [example.id for example in questions.examples]
    scores = {
        "exact": {key: 100.0 * value for key, value in zip(ids, exact, strict=True)},
        "f1": {key: 100.0 * value for key, value in zip(ids, f1, strict=True)},
    }
    return _Graded(score_predictions(regime, answered), scores)


def _average(pairs: Sequence[_Graded]) -> Report:
    reports = [pair.report for pair in pairs]
    questions = len({key for pair in pairs for key in pair.scores["f1"]})
    return Report(
        {**{name: fmean(report.scores[name] for report in reports) for name in SCORES}, "total": questions},
        _signature([report.signature for report in reports]),
        {name: bootstrap_interval(_influences([pair.scores[name] for pair in pairs])) for name in SCORES},
    )


def _influences(pairs: Sequence[Mapping[str, float]]) -> list[float]:
    """Values, one a question, whose mean is the mean of the pairs' means, and whose resampled mean varies like it.

    Where all pairs hold the same questions, each question's mean over pairs. Where they do not, as in MLQA, the mean
    of means is a sum of ratios, and these are its linear approximation (the infinitesimal jackknife of Efron, 1982).
    """
    means = [fmean(scores.values()) for scores in pairs]
    row_of = {key: row for row, key in enumerate(dict.fromkeys(key for scores in pairs for key in scores))}
    influences = np.full(len(row_of), fmean(means))
    for scores, mean in zip(pairs, means, strict=True):
        rows = [row_of[key] for key in scores]
        influences[rows] += (np.array(list(scores.values())) - mean) * len(row_of) / (len(scores) * len(pairs))
    return influences.tolist()


def _signature(signatures: Sequence[Signature]) -> dict[str, str | int | float]:
    """What all pairs share, how many they are, the names of their normalisers and a digest of their digests."""
    joined: dict[str, str | int | float] = {}
    for key, value in signatures[0].items():
        values = [str(signature.get(key)) for signature in signatures]
        if key == "dataset":
            joined[key] = f"{len(signatures)} pairs"
        elif key == "dataset_sha256":
            joined[key] = sha256("".join(values).encode()).hexdigest()[:12]
        elif key == "normaliser":
            joined[key] = "+".join(dict.fromkeys(values))
        elif len(set(values)) == 1:
            joined[key] = value
    return joined
