"""SQuAD's exact match and F1, equal to the official scripts (evaluate-v2.0, evaluate-v1.1) to the last digit.

Formulas: Rajpurkar et al., 2016 (SQuAD 1.1) and 2018 (SQuAD 2.0). The scripts' rules for missing, empty and best
answers serve other regimes too, which compare texts in another way.
"""

import functools
import math
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polyspan.errors import DatasetError, InputError
from polyspan.metrics.bootstrap import bootstrap_interval
from polyspan.metrics.regime import Prepared, Regime
from polyspan.metrics.signature import Signature, make_signature
from polyspan.types import QAExample, Report

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, no English articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


SQUAD = Regime("squad", normalise_answer)

Regimes = Regime | Mapping[str, Regime]
"""One regime for all questions, or each question's own by its id."""


def exact_match(gold: Sequence[str], prediction: str, regime: Regime = SQUAD) -> int:
    """SQuAD 2.0's exact match with the best of the ``gold`` texts, 0 or 1, as ``regime`` compares texts.

    Gold texts that are empty once normalised do not count; where none is left (``[]`` and ``[""]`` too) the
    question is unanswerable, and only a prediction that is empty once normalised is right.
    """
    return _grade(regime, [regime.prepare(text) for text in gold], regime.prepare(prediction))[0]


def token_f1(gold: Sequence[str], prediction: str, regime: Regime = SQUAD) -> float:
    """SQuAD 2.0's F1 over the tokens shared with the best of the ``gold`` texts, 0 to 1.

    It treats empty gold texts and ``regime`` as ``exact_match`` does.
    """
    return _grade(regime, [regime.prepare(text) for text in gold], regime.prepare(prediction))[1]


def score_squad2(
    examples: Sequence[QAExample],
    predictions: Mapping[str, str],
    na_probs: Mapping[str, float] | None = None,
    na_threshold: float = 1.0,
    *,
    allow_missing: bool = False,
    source: Signature | None = None,
    resamples: int = 1000,
    regime: Regimes = SQUAD,
) -> Report:
    """SQuAD 2.0's scores (0 to 100) of ``predictions`` (id to text), under the official keys in their order.

    A question whose ``na_probs`` (id to probability of no answer) is above ``na_threshold`` counts as answered
    by no answer; with them come the best thresholds. ``source`` adds to the signature what the caller knows:
    ``dataset``, ``dataset_sha256``, ``backend``. ``resamples`` (0: none) are those of the intervals of exact
    and f1. ``regime`` says how texts are compared; the rules for unanswerable questions and thresholds stay SQuAD's.
    Raises DatasetError where ids are missing or unknown, unless ``allow_missing``: then all figures are over the
    predicted questions (the official script scores these, then stops at its HasAns part).
    """
    if math.isnan(na_threshold):
        raise InputError("na_threshold: expected a number, got NaN")
    scored, missing = match_predictions(examples, predictions, allow_missing=allow_missing)
    if na_probs is not None:
        _check_ids("no-answer probabilities", [example.id for example in scored], na_probs)
    table = _grade_all(regime, scored, predictions, na_probs)
    exact, f1 = table.abstaining(table.exact, na_threshold), table.abstaining(table.f1, na_threshold)
    scores: dict[str, float] = _summary(exact, f1)
    for name, wanted in (("HasAns", True), ("NoAns", False)):
        rows = [row for row, answerable in enumerate(table.answerable) if answerable is wanted]
        if rows:
            part = _summary([exact[row] for row in rows], [f1[row] for row in rows])
            scores |= {f"{name}_{key}": value for key, value in part.items()}
    if na_probs is not None:
        row_of = {example.id: row for row, example in enumerate(scored)}
        # Ties keep the order of the probability file, as in the official script.
        rows = [row_of[key] for key in sorted(na_probs, key=na_probs.__getitem__) if key in row_of]
        scores["best_exact"], scores["best_exact_thresh"] = _best_threshold(table, table.exact, rows)
        scores["best_f1"], scores["best_f1_thresh"] = _best_threshold(table, table.f1, rows)
    settings = {"n": len(scored), **_missing(missing), "na_threshold": na_threshold}
    signature = make_signature("squad2", normaliser_name(regime), source, **settings)
    return Report(scores, signature, _intervals(exact, f1, resamples))


def score_squad1(
    examples: Sequence[QAExample],
    predictions: Mapping[str, str],
    *,
    allow_missing: bool = True,
    source: Signature | None = None,
    resamples: int = 1000,
    regime: Regimes = SQUAD,
) -> Report:
    """SQuAD 1.1's scores (0 to 100): ``exact`` (officially ``exact_match``), ``f1`` and ``total``.

    Missing predictions count 0 and unknown ids are ignored, as officially; without ``allow_missing`` both
    raise DatasetError. So does a question without gold answers. Other parameters as in ``score_squad2``.
    """
    _, missing = match_predictions(examples, predictions, allow_missing=allow_missing)
    exact, f1 = grade_squad1(examples, predictions, regime)
    normaliser = normaliser_name(regime, "squad-v1-official")
    signature = make_signature("squad1", normaliser, source, n=len(examples), **_missing(missing))
    return Report(_summary(exact, f1), signature, _intervals(exact, f1, resamples))


def grade_squad2(
    examples: Sequence[QAExample], predictions: Mapping[str, str], regime: Regimes = SQUAD
) -> tuple[list[int], list[float]]:
    """Exact match (0 or 1) and F1 (0 to 1) of each question [n] by SQuAD 2.0's rules; each needs a prediction."""
    grades = [
        _grade(own, [prepare(answer.text) for answer in example.answers], prepare(predictions[example.id]))
        for example, own, prepare in _compared(examples, regime)
    ]
    return [exact for exact, _ in grades], [f1 for _, f1 in grades]


def grade_squad1(
    examples: Sequence[QAExample], predictions: Mapping[str, str], regime: Regimes = SQUAD
) -> tuple[list[int], list[float]]:
    """Exact match (0 or 1) and F1 (0 to 1) of each question [n] by SQuAD 1.1's rules; a missing prediction is wrong.

    Raises DatasetError for a question without gold answers.
    """
    exact, f1 = [], []
    for example, own, prepare in _compared(examples, regime):
        if not example.answers:
            raise DatasetError(
                f"question {example.id!r}: it has no gold answer; SQuAD 1.1 expects one or more, score it as SQuAD 2.0"
            )
        if example.id not in predictions:
            matched, overlap = 0, 0.0
        else:
            text, tokens = prepare(predictions[example.id])
            gold = [prepare(answer.text) for answer in example.answers]
            matched = int(any(text == alternative for alternative, _ in gold))
            overlap = max(own.f1(alternative, tokens) for _, alternative in gold)
        exact.append(matched)
        f1.append(overlap)
    return exact, f1


def match_predictions(
    examples: Sequence[QAExample],
    predictions: Mapping[str, object],
    *,
    allow_missing: bool = False,
    what: str = "predictions",
) -> tuple[list[QAExample], int]:
    """The examples that have a prediction (by id), and how many have none.

    Raises DatasetError, which calls the predictions ``what``, where ids are missing or unknown, unless
    ``allow_missing``; always where no id is that of an example, or the dataset is empty or repeats an id.
    """
    ids = dict.fromkeys(example.id for example in examples)
    if not ids:
        raise DatasetError("dataset: there are no questions to score; expected at least one")
    if len(ids) != len(examples):
        raise DatasetError(f"dataset: {len(examples) - len(ids)} question ids occur twice; expected unique ids")
    if not allow_missing:
        _check_ids(what, list(ids), predictions)
        unknown = [key for key in predictions if key not in ids]
        if unknown:
            raise DatasetError(
                f"{what}: {_some(unknown)} not in the dataset; "
                "expected ids of its questions only, is it the right dataset?"
            )
    scored = [example for example in examples if example.id in predictions]
    if not scored:
        raise DatasetError(f"{what}: none is for a question of the dataset; is it the right dataset?")
    return scored, len(examples) - len(scored)


def normaliser_name(regime: Regimes, official: str = "squad-v2-official") -> str:
    """The regimes' names in signatures; SQuAD's is that of the ``official`` script whose rules are followed."""
    used = [regime] if isinstance(regime, Regime) else regime.values()
    return "+".join(dict.fromkeys(official if one is SQUAD else one.normaliser for one in used))


@dataclass(frozen=True, slots=True)
class _Table:
    """One row a question, in the order of the dataset."""

    answerable: list[bool]
    predicted: list[bool]  # whether the raw prediction is not empty
    na_probs: list[float]
    exact: list[int]
    f1: list[float]

    def abstaining(self, scores: Sequence[float], threshold: float) -> list[float]:
        """The scores once predictions above the threshold are turned into no answer."""
        return [
            float(not answerable) if probability > threshold else score
            for score, probability, answerable in zip(scores, self.na_probs, self.answerable, strict=True)
        ]


def _grade_all(
    regime: Regimes,
    examples: Sequence[QAExample],
    predictions: Mapping[str, str],
    na_probs: Mapping[str, float] | None,
) -> _Table:
    exact, f1 = grade_squad2(examples, predictions, regime)
    return _Table(
        answerable=[bool(example.answers) for example in examples],
        predicted=[bool(predictions[example.id]) for example in examples],
        na_probs=[0.0 if na_probs is None else na_probs[example.id] for example in examples],
        exact=exact,
        f1=f1,
    )


def _compared(
    examples: Sequence[QAExample], regime: Regimes
) -> Iterator[tuple[QAExample, Regime, Callable[[str], Prepared]]]:
    """Each example with its regime, and the regime's ``prepare``, which knows what it has prepared before."""
    remembering = functools.cache(lambda one: functools.cache(one.prepare))
    for example in examples:
        own = regime if isinstance(regime, Regime) else regime[example.id]
        yield example, own, remembering(own)


def _grade(regime: Regime, gold: Sequence[Prepared], predicted: Prepared) -> tuple[int, float]:
    text, tokens = predicted
    alternatives = [prepared for prepared in gold if prepared[0]] or [("", ())]
    if any(text == alternative for alternative, _ in alternatives):
        return 1, 1.0
    return 0, max(regime.f1(alternative, tokens) for _, alternative in alternatives)


def _best_threshold(table: _Table, scores: Sequence[float], rows: Iterable[int]) -> tuple[float, float]:
    """The best score over all thresholds and where it is reached; ``rows`` in rising probability."""
    current: float = table.answerable.count(False)
    best, threshold = current, 0.0
    for row in rows:
        if table.answerable[row]:
            current += scores[row]
        elif table.predicted[row]:
            current -= 1
        if current > best:
            best, threshold = current, table.na_probs[row]
    return 100.0 * best / len(scores), threshold


def _summary(exact: Sequence[float], f1: Sequence[float]) -> dict[str, float]:
    total = len(exact)
    return {"exact": 100.0 * _sum(exact) / total, "f1": 100.0 * _sum(f1) / total, "total": total}


def _sum(values: Iterable[float]) -> float:
    total = 0.0
    for value in values:  # not sum(): from Python 3.12 on it rounds differently than published figures
        total += value
    return total


def _intervals(exact: Sequence[float], f1: Sequence[float], resamples: int) -> dict[str, tuple[float, float]]:
    if not resamples:
        return {}
    return {
        key: bootstrap_interval([100.0 * value for value in values], resamples)
        for key, values in (("exact", exact), ("f1", f1))
    }


def _missing(count: int) -> dict[str, int]:
    return {"missing": count} if count else {}


def _check_ids(what: str, ids: Sequence[str], given: Mapping[str, object]) -> None:
    missing = [key for key in ids if key not in given]
    if missing:
        raise DatasetError(
            f"{what}: {_some(missing)} of {len(ids)} missing; expected one for each question, complete the file"
        )


def _some(ids: Sequence[str]) -> str:
    names = ", ".join(repr(key) for key in ids[:3])
    return f"{len(ids)} ({names}{', …' if len(ids) > 3 else ''})"
