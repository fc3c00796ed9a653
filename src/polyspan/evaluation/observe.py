"""What a reader answers to questions with known answers, as the numbers that a calibration is fitted to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from polyspan.datasets.shared import normalise_context
from polyspan.decoding import FEATURES, Calibration
from polyspan.errors import DatasetError
from polyspan.evaluation.predictions import Prediction
from polyspan.metrics import exact_match, space_characters, token_f1
from polyspan.metrics.arrays import Flags, Floats
from polyspan.reader import Reader
from polyspan.types import QAExample, Reading

Datasets = Mapping[str, Sequence[QAExample]]

ONE_IN = 16
MOST_DOCUMENTS = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a dataset, by name, and the documents that it is asked of, its own context first."""

    dataset: str
    example: QAExample
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """What a reader that may not abstain answered to n questions; all arrays [n].

    ``features`` are the best span's, ``null_margin`` (logits) is what a threshold is compared with, ``exact`` and
    ``f1`` (0 to 1) are what the best span scores, 0 where the question is ``unanswerable``. ``alone`` says whether the
    question was asked of its own context only. Questions of one ``context`` have the same number there, in whichever
    ``dataset`` they stand.
    """

    features: Mapping[str, Floats]
    null_margin: Floats
    unanswerable: Flags
    exact: Flags
    f1: Floats
    alone: Flags
    context: npt.NDArray[np.int64]
    dataset: npt.NDArray[np.str_]

    def at(self, rows: Flags) -> "Observations":
        """Those of some rows."""
        arrays = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "features"}
        return Observations(features={name: column[rows] for name, column in self.features.items()}, **arrays)


def ask_alone(datasets: Datasets) -> list[Asked]:
    """Each question, of its own context."""
    return [Asked(name, one, (one.context,)) for name, examples in datasets.items() for one in examples]


def ask_among_others(datasets: Datasets, seed: int = 0) -> list[Asked]:
    """One in ``ONE_IN`` of the questions of each kind, of its own context and others that its dataset holds.

    Small and large numbers of documents, 2 to ``MOST_DOCUMENTS``, are drawn alike (log-uniformly), so that a fit sees
    what chance answers of documents without one do. This takes about as long as all questions alone.
    """
    generator = np.random.default_rng(seed)
    contexts = {name: list(dict.fromkeys(one.context for one in examples)) for name, examples in datasets.items()}
    alone = [one for one in ask_alone(datasets) if len(contexts[one.dataset]) > 1]
    found = []
    for kind in (True, False):
        of_kind = [one for one in alone if bool(one.example.answers) == kind]
        for number in generator.permutation(len(of_kind))[::ONE_IN]:
            one = of_kind[number]
            others = [context for context in contexts[one.dataset] if context != one.example.context]
            wanted = int(np.exp(generator.uniform(np.log(2), np.log(MOST_DOCUMENTS + 1)))) - 1
            chosen = generator.permutation(len(others))[:wanted]
            found.append(replace(one, documents=(*one.documents, *(others[i] for i in chosen))))
    return found


def read_asked(reader: Reader, asked: Iterable[Asked], *, calibrated: bool = False) -> Iterator[Reading]:
    """The readings that ``observe`` takes: the best span of each question, in order, as they come.

    They are those of the reader without its calibration unless ``calibrated``.
    """
    if not calibrated:
        reader = Reader(reader.scorer, replace(reader.settings, calibration=Calibration()))
    options = replace(reader.defaults, top_k=1, return_no_answer=False, score_threshold=0.0)
    return reader.read_stream(((one.example.question, one.documents) for one in asked), options)


def observe(asked: Iterable[Asked], readings: Iterable[Reading]) -> Observations:
    """Compare readings, one for each question and in the same order, with the gold answers.

    Exact match and F1 are SQuAD 2.0's, F1 over characters where a script writes no spaces. Questions of documents
    that hold nothing to quote are left out.
    """
    read = [(one, reading) for one, reading in zip(asked, readings, strict=True) if reading.answers]
    return _observations(
        [_Best(one, reading.answers[0].text, reading.no_answer.null_margin, reading.features) for one, reading in read]
    )


def observe_kept(datasets: Datasets, kept: Mapping[str, Mapping[str, Prediction]]) -> Observations:
    """What kept predictions (by dataset and question id) say of each question, of its own context.

    As ``observe``; it does not matter by which calibration and threshold the predictions were made, if that has no
    span temperature. Raises DatasetError where a question has no prediction, or one without features.
    """
    rows = []
    for one in ask_alone(datasets):
        said = kept[one.dataset].get(one.example.id)
        if said is None or (said.text and set(FEATURES) - set(said.features)):
            raise DatasetError(
                f"{one.dataset}: question {one.example.id!r} has no prediction with all features; evaluate it anew"
            )
        if said.text:
            rows.append(_Best(one, said.text, said.null_margin, said.features))
    return _observations(rows)


class _Best(NamedTuple):
    """A question's best span."""

    asked: Asked
    text: str
    null_margin: float
    features: Mapping[str, float]


def _observations(rows: Sequence[_Best]) -> Observations:
    contexts: dict[str, int] = {}
    asked, texts, null_margins, features = zip(*rows, strict=True) if rows else ((), (), (), ())
    graded = [grade(one.example, text) for one, text in zip(asked, texts, strict=True)]
    numbers = [contexts.setdefault(normalise_context(one.example.context), len(contexts)) for one in asked]
    return Observations(
        features={name: np.array([one[name] for one in features]) for name in FEATURES},
        null_margin=np.array(null_margins),
        unanswerable=np.array([not one.example.answers for one in asked], np.bool_),
        exact=np.array([exact for exact, _ in graded], np.bool_),
        f1=np.array([f1 for _, f1 in graded]),
        alone=np.array([len(one.documents) == 1 for one in asked], np.bool_),
        context=np.array(numbers, np.int64),
        dataset=np.array([one.dataset for one in asked]),
    )


def grade(example: QAExample, text: str) -> tuple[int, float]:
    """Exact match and F1, 0 to 1, as ``observe`` has them; 0 where there is no answer."""
    gold = [answer.text for answer in example.answers]
    if not gold:
        return 0, 0.0
    return exact_match(gold, text), token_f1([space_characters(one) for one in gold], space_characters(text))
