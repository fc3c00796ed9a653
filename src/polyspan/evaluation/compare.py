"""Two systems over the same questions: by how much they differ, whether by chance, and where."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from polyspan.errors import DatasetError
from polyspan.evaluation.reports import TEXT_REGIMES, Questions, counted, grade_texts
from polyspan.metrics import (
    McNemar,
    PairedDifference,
    Signature,
    changed,
    make_signature,
    match_predictions,
    mcnemar,
    normaliser_name,
    paired_difference,
)
from polyspan.types import QAExample


@dataclass(frozen=True, slots=True)
class ChangedQuestion:
    """A question that only one of two systems answers right, with its gold texts, each once, and what both said."""

    id: str
    question: str
    gold: tuple[str, ...]
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What system B changes over system A.

    ``a`` and ``b`` are ``exact`` and ``f1``, 0 to 100, and ``difference`` those of B minus those of A. The changed
    questions, by exact match, are in the order of the dataset.
    """

    a: Mapping[str, float]
    b: Mapping[str, float]
    difference: Mapping[str, PairedDifference]
    mcnemar: McNemar
    right_to_wrong: tuple[ChangedQuestion, ...]
    wrong_to_right: tuple[ChangedQuestion, ...]
    signature: Signature


def compare(
    regime: str,
    questions: Questions,
    a: Mapping[str, str],
    b: Mapping[str, str],
    *,
    names: tuple[str, str] = ("system A", "system B"),
    allow_missing: bool = False,
) -> Comparison:
    """Compare the texts (by question id) of two systems under one of the ``TEXT_REGIMES``.

    Messages call the systems by their ``names``. With ``allow_missing`` the questions count that both have a text for.
    Raises DatasetError and InputError as ``score_texts``.
    """
    everything = questions
    for name, texts in zip(names, (a, b), strict=True):
        questions, texts_counted = counted(regime, everything, texts)
        match_predictions(questions.examples, texts_counted, allow_missing=allow_missing, what=name)
    questions = questions.those(lambda example: example.id in a and example.id in b)
    examples = questions.examples
    if not examples:
        raise DatasetError(f"{names[0]} and {names[1]}: no question has a prediction in both; are they of one dataset?")
    exact_a, f1_a = grade_texts(regime, questions, a)
    exact_b, f1_b = grade_texts(regime, questions, b)
    changes = changed([example.id for example in examples], exact_a, exact_b)
    comparison = TEXT_REGIMES[regime]
    normaliser = normaliser_name(questions.regimes(comparison.comparison), f"squad-v{comparison.rules[-1]}-official")
    return Comparison(
        a={"exact": 100 * fmean(exact_a), "f1": 100 * fmean(f1_a)},
        b={"exact": 100 * fmean(exact_b), "f1": 100 * fmean(f1_b)},
        difference={
            "exact": paired_difference(_percent(exact_b), _percent(exact_a)),
            "f1": paired_difference(_percent(f1_b), _percent(f1_a)),
        },
        mcnemar=mcnemar(exact_a, exact_b),
        right_to_wrong=_changed(changes.right_to_wrong, examples, a, b),
        wrong_to_right=_changed(changes.wrong_to_right, examples, a, b),
        signature=make_signature(f"paired-{comparison.rules}", normaliser, questions.source, n=len(examples)),
    )


def _changed(
    ids: Collection[str], examples: Iterable[QAExample], a: Mapping[str, str], b: Mapping[str, str]
) -> tuple[ChangedQuestion, ...]:
    wanted = set(ids)
    return tuple(
        ChangedQuestion(
            one.id, one.question, tuple(dict.fromkeys(answer.text for answer in one.answers)), a[one.id], b[one.id]
        )
        for one in examples
        if one.id in wanted
    )


def _percent(shares: Sequence[float]) -> list[float]:
    return [100.0 * share for share in shares]
