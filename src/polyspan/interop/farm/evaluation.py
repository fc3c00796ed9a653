"""Haystack 1's figures of a reader, and the fit of its probabilities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from polyspan import types
from polyspan.datasets import read_squad
from polyspan.errors import DatasetError
from polyspan.evaluation import evaluate, predict
from polyspan.evaluation.calibrate import calibrate, questions_to_ask
from polyspan.evaluation.observe import observe, read_asked
from polyspan.interop.farm.base import BaseReader
from polyspan.interop.farm.schema import Label
from polyspan.metrics import exact_match, token_f1
from polyspan.reader import Reader, ReadOptions
from polyspan.types import GoldAnswer, QAExample

if TYPE_CHECKING:
    from polyspan.interop.farm.store import InMemoryDocumentStore

Examples = Sequence[QAExample]


def examples_of(labels: Iterable[Label], origin: str) -> list[QAExample]:
    """The questions of an origin's labels, each once for each of its documents, with all its right answers."""
    answers: dict[tuple[str, str], list[GoldAnswer]] = {}
    contexts: dict[str, str] = {}
    for label in labels:
        if label.origin == origin and label.is_correct_document:
            contexts[label.document.id] = label.document.content
            found = answers.setdefault((label.document.id, label.query), [])
            answer = label.answer
            if answer is not None and label.is_correct_answer and not label.no_answer and answer.offsets_in_document:
                found.append(GoldAnswer(answer.answer, answer.offsets_in_document[0].start))
    return [
        QAExample(f"{document}-{number}", query, contexts[document], tuple(gold), is_impossible=not gold)
        for number, ((document, query), gold) in enumerate(answers.items())
    ]


def scores(reader: Reader, examples: Examples, options: ReadOptions, top_n: int) -> dict[str, float]:
    """Haystack 1's figures, 0 to 100, by SQuAD's official rules, on texts.

    "EM" and "f1" are of the best answer, which may be "no answer" where some question has none; "top_n_accuracy" is the
    share of questions of which one of ``top_n`` answers, "no answer" among them, shares a character with a right one.
    Each also over questions with an answer ("_text_answer"; there the best of the top n too) and without
    ("_no_answer"), if there are any, with their numbers ("Total_…").
    """
    abstains = any(not example.answers for example in examples)
    options = replace(options, top_k=top_n - 1, top_k_per_document=None, top_k_per_window=None, return_no_answer=False)
    readings = list(predict(reader, examples, options))
    report = evaluate(examples, readings, reader.threshold(options) if abstains else None).report.scores
    found = {"EM": report["exact"], "f1": report["f1"], "top_n": float(top_n)}
    rows = [(bool(one.answers), *_top(one, reading, abstains)) for one, reading in zip(examples, readings, strict=True)]
    found["top_n_accuracy"] = 100 * fmean(row[1] for row in rows)
    for kind, prefix, part in (
        ("text_answer", "HasAns_", [row for row in rows if row[0]]),
        ("no_answer", "NoAns_", [row for row in rows if not row[0]]),
    ):
        if part:
            found[f"EM_{kind}"] = report.get(f"{prefix}exact", report["exact"])
            found[f"f1_{kind}"] = report.get(f"{prefix}f1", report["f1"])
            found[f"top_n_accuracy_{kind}"] = 100 * fmean(row[1] for row in part)
            found[f"Total_{kind}"] = float(len(part))
            if kind == "text_answer":
                found["top_n_EM_text_answer"] = 100 * fmean(row[2] for row in part)
                found["top_n_f1_text_answer"] = 100 * fmean(row[3] for row in part)
    return found


def _top(example: QAExample, reading: types.Reading, abstains: bool) -> tuple[float, float, float]:
    """Whether one of the answers touches a right one, and the best exact match and F1 among them, all 0 to 1."""
    answers = reading.answers or reading.candidates
    if not example.answers:
        return float(abstains or not answers), 0.0, 0.0
    gold = [(one.start, one.start + len(one.text)) for one in example.answers]
    touches = any(one.start < end and start < one.end for one in answers for start, end in gold)
    texts = [one.text for one in example.answers]
    exact = max((exact_match(texts, one.text) for one in answers), default=0)
    return float(touches), float(exact), max((token_f1(texts, one.text) for one in answers), default=0.0)


def calibrated(reader: Reader, datasets: Mapping[str, Examples]) -> Reader:
    """The reader with probabilities and a no-answer threshold that fit these questions.

    Raises InputError where the model never learnt to abstain, DatasetError where there are too few questions.
    """
    asked = questions_to_ask(datasets, reader.settings)
    fitted = calibrate(observe(asked, read_asked(reader, asked)))
    return Reader(reader.scorer, replace(reader.settings, calibration=fitted.calibration))


class MeasuredReader(BaseReader):
    """A reader with Haystack 1's verbs of evaluation."""

    top_k_per_candidate: int

    def eval_on_file(
        self,
        data_dir: str | Path,
        test_filename: str,
        device: Any = None,  # noqa: ARG002 -- Haystack's argument; the model is where it is
        calibrate_conf_scores: bool = False,
    ) -> dict[str, float]:
        """Figures of the reader on a file of SQuAD's JSON, as ``polyspan.interop.farm.evaluation.scores`` has them.

        ``device`` has no effect. ``calibrate_conf_scores`` fits the reader's probabilities to the file afterwards.
        Raises DatasetError where the file cannot be read.
        """
        return self._score(test_filename, read_squad(Path(data_dir) / test_filename), calibrate_conf_scores)

    def eval(  # Haystack's name
        self,
        document_store: "InMemoryDocumentStore",
        device: Any = None,  # noqa: ARG002 -- likewise
        label_index: str = "label",
        doc_index: str = "eval_document",  # noqa: ARG002 -- labels hold their documents
        label_origin: str = "gold-label",
        calibrate_conf_scores: bool = False,
    ) -> dict[str, float]:
        """The same on the labels of a store that are of an origin.

        ``device`` and ``doc_index`` have no effect; labels hold their documents.
        """
        examples = examples_of(document_store.get_all_labels(label_index), label_origin)
        return self._score(label_index, examples, calibrate_conf_scores)

    def calibrate_confidence_scores(
        self,
        document_store: "InMemoryDocumentStore",
        device: Any = None,  # noqa: ARG002 -- likewise
        label_index: str = "label",
        doc_index: str = "eval_document",  # noqa: ARG002 -- likewise
        label_origin: str = "gold-label",
    ) -> None:
        """Fit probabilities and no-answer threshold to the labels of a store; ``save`` keeps them.

        Raises InputError where the model never learnt to abstain, DatasetError where there are too few labels.
        """
        examples = examples_of(document_store.get_all_labels(label_index), label_origin)
        self.reader = calibrated(self.reader, {label_index: examples})

    def _score(self, name: str, examples: Sequence[QAExample], calibrate: bool) -> dict[str, float]:
        if not examples:
            raise DatasetError(f"{name}: holds no question; expected labels with documents, of the given origin")
        options = self._read_options(self.top_k, None)
        found = scores(self.reader, examples, options, self.top_k_per_candidate + 1)
        if calibrate:
            self.reader = calibrated(self.reader, {name: examples})
        return found
