"""Questions asked of a whole collection: what was ranked, what was answered, and what both are worth.

A passage is relevant in one of two senses. "gold": it shares characters with an annotated answer in the question's own
context, so that it is known to answer. "answer": it holds the words of an annotated answer, as Karpukhin et al. (2020)
count; passages that hold them by chance count too, but so do those of other documents that answer as well.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from polyspan.datasets.fields import field as typed_field
from polyspan.datasets.fields import items
from polyspan.errors import DatasetError, InputError
from polyspan.evaluation.evaluate import origin_of
from polyspan.evaluation.predictions import Layout, Origin, number_field, predictions_file
from polyspan.evaluation.reports import Questions
from polyspan.metrics import (
    Regime,
    Signature,
    bootstrap_interval,
    grade_squad2,
    make_signature,
    ndcg_at,
    normalise_answer,
    recall_at,
    reciprocal_rank,
    space_characters,
)
from polyspan.metrics.arrays import Floats
from polyspan.pipeline import QAPipeline
from polyspan.reader import Reader, ReadOptions
from polyspan.retrieval import cut_passages
from polyspan.types import Document, Passage, QAExample, Report, Span

Figures = Mapping[str, Floats]

RANKS = 10
"""How many ranks MRR and nDCG look at."""

REGIME = Regime("squad+characters", normalise_answer, lambda text: space_characters(text).split())
RELEVANCE = {"gold": "passage overlaps an answer in its own context", "answer": "passage holds an answer's words"}


@dataclass(frozen=True, slots=True)
class OpenDomainOptions:
    """``top_k``: for which k the first k answers and passages are scored, in rising order, each 1 or more."""

    top_k: tuple[int, ...] = (1, 5, 10)

    def __post_init__(self) -> None:
        """Refuse what no ranking can be cut at."""
        if not self.top_k or self.top_k[0] < 1 or list(self.top_k) != sorted(set(self.top_k)):
            raise InputError(f"top_k: expected whole numbers of at least 1, rising, got {self.top_k}")

    @property
    def ranks(self) -> int:
        """How many passages are ranked for a question, at least."""
        return max(RANKS, *self.top_k)


@dataclass(frozen=True, slots=True)
class Collection:
    """What is asked: ``documents`` by id, all of different texts, and the passages that these were cut into."""

    documents: Mapping[str, Document]
    passages: Sequence[Passage]
    ids: Mapping[str, str] = field(repr=False)
    """The id of the document that has a text."""

    @property
    def signature(self) -> Signature:
        """How large it is, and what tells it from others."""
        digest = sha256("\0".join(self.ids).encode("utf-8", "surrogatepass")).hexdigest()
        return {"documents": len(self.documents), "passages": len(self.passages), "collection_sha256": digest[:12]}


@dataclass(frozen=True, slots=True)
class Place:
    """Characters ``start`` to ``end`` (exclusive) of the document with that id."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quote(Place):
    """An answer: its text, its probability (0 to 1), and the null margin, in logits, to compare with a threshold."""

    text: str
    score: float
    null_margin: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a question: passages as they were ``ranked``, and ``answers`` without abstaining, best first.

    ``no_answer_score`` is the probability, 0 to 1, that abstaining is right.
    """

    id: str
    ranked: tuple[Place, ...]
    answers: tuple[Quote, ...]
    no_answer_score: float


def context_documents(questions: Questions) -> list[Document]:
    """The distinct contexts of a dataset as documents, called ``dev.json#0``, ``dev.json#1`` and so on."""
    contexts = dict.fromkeys(example.context for example in questions.examples)
    return [Document(text, f"{questions.source['dataset']}#{number}") for number, text in enumerate(contexts)]


def collect(asked: Sequence[Questions], others: Iterable[Document] = (), ranks: int = RANKS) -> Collection:
    """All contexts of the datasets, and other documents, without those of equal text.

    Raises InputError where names of datasets or documents are not unique, and where there are no more passages than the
    ``ranks`` that a ranking has: then it would find everything.
    """
    names = [str(questions.source["dataset"]) for questions in asked]
    if len(set(names)) < len(names):
        raise InputError(f"two datasets are called {max(names, key=names.count)}; ask them apart, or rename one")
    documents: dict[str, Document] = {}
    ids: dict[str, str] = {}
    for document in (*(one for questions in asked for one in context_documents(questions)), *others):
        if document.text in ids:
            continue
        if document.id in documents:
            raise InputError(f"two documents are called {document.id}; expected unique names, rename one")
        documents[document.id], ids[document.text] = document, document.id
    passages = [passage for document in documents.values() for passage in cut_passages(document)]
    if len(passages) <= ranks:
        raise InputError(
            f"the collection has {len(passages)} passages; expected more than the {ranks} that are ranked for each "
            "question, add documents"
        )
    return Collection(documents, passages, ids)


def choose(questions: Questions, *, unanswerable: bool = True, sample: int | None = None, seed: int = 0) -> Questions:
    """The questions to ask, in their order: at most ``sample`` at random, perhaps without those without an answer.

    Raises DatasetError where none is answerable.
    """
    rows = [row for row, example in enumerate(questions.examples) if unanswerable or example.answers]
    ids = {questions.examples[row].id for row in np.random.default_rng(seed).permutation(rows)[:sample]}
    chosen = questions.those(lambda example: example.id in ids)
    if not any(example.answers for example in chosen.examples):
        where = f"{questions.source['dataset']}: none of {len(chosen.examples)} questions"
        raise DatasetError(f"{where} is answerable; expected at least one, ask more")
    return chosen


def asking_options(reader: Reader, options: OpenDomainOptions) -> ReadOptions:
    """The reader's own options, for as many answers as are scored, of any probability, without abstaining."""
    return replace(reader.defaults, top_k=options.top_k[-1], return_no_answer=False, score_threshold=0.0)


def ask_collection(pipeline: QAPipeline, examples: Sequence[QAExample], options: OpenDomainOptions) -> Iterator[Found]:
    """What a pipeline finds for each question, in order, as it comes."""
    settings = asking_options(pipeline.reader, options)
    found = pipeline.ask_stream((example.question for example in examples), settings, options.ranks)
    for example, (ranked, reading) in zip(examples, found, strict=True):
        yield Found(
            id=example.id,
            ranked=tuple(Place(one.document.id, one.span.start, one.span.end) for one in ranked),
            answers=tuple(
                Quote(one.document, one.start, one.end, one.text, one.score, one.null_margin + settings.no_answer_bias)
                for one in reading.answers
            ),
            no_answer_score=reading.no_answer.score,
        )


def asked_from(
    pipeline: QAPipeline,
    weights: str,
    questions: Questions,
    collection: Collection,
    options: OpenDomainOptions,
    ranking: Signature,
) -> Origin:
    """What is found depends on this; ``weights`` is the digest of the model's, ``ranking`` tells how passages rank."""
    origin = origin_of(pipeline.reader, weights, questions.source, asking_options(pipeline.reader, options))
    more = {
        "questions": len(questions.examples),
        **asdict(pipeline.options),
        "ranks": options.ranks,
        **({} if ranking["ranking"] == "bm25" else ranking),
        **collection.signature,
    }
    return replace(origin, options={**origin.options, **more})


def found_file(folder: Path, dataset: str) -> Path:
    """Where a folder keeps what was found on the dataset of that name: ``dev.json`` in ``dev.open-domain.jsonl``."""
    return predictions_file(folder, dataset, "open-domain")


def _read_found(record: dict[str, Any], where: str) -> Found:
    quotes = items(record, "answers", where)
    return Found(
        id=typed_field(record, "id", str, where),
        ranked=tuple(Place(**_place(*one)) for one in items(record, "ranked", where)),
        answers=tuple(
            Quote(
                **_place(one, place),
                text=typed_field(one, "text", str, place),
                score=number_field(one, "score", place, 0.0, 1.0),
                null_margin=number_field(one, "null_margin", place),
            )
            for one, place in quotes
        ),
        no_answer_score=number_field(record, "no_answer_score", where, 0.0, 1.0),
    )


def _place(record: dict[str, Any], where: str) -> dict[str, Any]:
    kinds = {"document": str, "start": int, "end": int}
    return {name: typed_field(record, name, kind, where) for name, kind in kinds.items()}


FOUND = Layout("polyspan-open-domain", 1, "polyspan open-domain --out", _read_found)
"""The file that keeps what was found."""


def figures(
    questions: Questions,
    found: Sequence[Found],
    collection: Collection,
    options: OpenDomainOptions,
    threshold: float | None,
) -> Figures:
    """What was found is worth, 0 to 100, each figure an array over the questions that it counts.

    Answerable questions: ``gold_recall_at_K`` and ``answer_recall_at_K`` (see ``recall_at``), ``gold_mrr_at_10``,
    ``answer_mrr_at_10`` and ``gold_ndcg_at_10`` of the ranking, and ``exact_at_K`` and ``f1_at_K`` of the best of the
    first K answers.

    With a ``threshold``, in logits on null margins, above which nothing is answered: ``abstaining_exact_at_K`` and
    ``abstaining_f1_at_K`` of all questions; of the first answers to questions of each kind also ``HasAns_exact``,
    ``HasAns_f1`` and ``NoAns_exact``. A question that has no answer in its own context may have one in another; to
    abstain counts as right all the same.

    Args:
        questions: what was asked, as ``choose`` gives it.
        found: a row for each question, in the same order.
        collection: what was asked of, cut into passages as it was ranked.
        options: the cut-offs K.
        threshold: None where abstaining was not allowed.

    Raises:
        InputError: where what was ranked is no part of the collection.
    """
    rows = list(zip(questions.examples, found, strict=True))
    answerable = [(example, row) for example, row in rows if example.answers]
    grades = _grades(questions.those(lambda example: bool(example.answers)), answerable, options)
    values = ranking_figures(answerable, collection, options)
    for k in options.top_k:
        values |= {f"{name}_at_{k}": array[:, :k].max(axis=1) for name, array in grades.items()}
    if threshold is not None:
        shown = _shown([row for _, row in answerable], threshold, options)
        abstained = 1.0 - _shown([row for example, row in rows if not example.answers], threshold, options)[:, 0]
        for k in options.top_k:
            for name, array in grades.items():
                best = (array * shown)[:, :k].max(axis=1)
                values[f"abstaining_{name}_at_{k}"] = np.concatenate([best, abstained])
        values |= {f"HasAns_{name}": (array * shown)[:, 0] for name, array in grades.items()}
        values |= {"NoAns_exact": abstained} if abstained.size else {}
    return {name: 100.0 * array for name, array in values.items()}


def pool_figures(sets: Sequence[Figures]) -> Figures:
    """The figures over the questions of several datasets."""
    names = dict.fromkeys(name for one in sets for name in one)
    return {name: np.concatenate([one[name] for one in sets if name in one]) for name in names}


def report(values: Figures, source: Signature, options: OpenDomainOptions) -> Report:
    """The means of figures, 0 to 100, with their intervals.

    ``source`` is what the signature says of dataset, collection and pipeline.
    """
    total = max(array.size for array in values.values())
    scores = {name: float(array.mean()) for name, array in values.items()}
    settings = {**source, "top_k": ",".join(map(str, options.top_k)), **RELEVANCE}
    return Report(
        {**scores, "total": total, "HasAns_total": values[f"exact_at_{options.top_k[0]}"].size},
        make_signature("open-domain", REGIME.normaliser, settings, n=total),
        {name: bootstrap_interval(array) for name, array in values.items()},
    )


def searchable(text: str) -> str:
    """The words of a text, without case and punctuation, each between spaces; characters where there are no words.

    A text holds the words of another one where this form of it contains that form of the other.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_SPACED)
    return f" {' '.join(space_characters(plain).split())} "


class _Spaced(dict[int, int]):
    """A table for ``str.translate`` that puts a space for punctuation and symbols; it fills itself."""

    def __missing__(self, character: int) -> int:
        kept = character if unicodedata.category(chr(character))[0] not in "PS" else ord(" ")
        self[character] = kept
        return kept


_SPACED = _Spaced()


def _grades(
    questions: Questions, answerable: Sequence[tuple[QAExample, Found]], options: OpenDomainOptions
) -> dict[str, Floats]:
    """``exact`` and ``f1``, 0 to 1, of each answer [questions, answers]; 0 where there are not so many."""
    exact, f1 = np.zeros((2, len(answerable), options.top_k[-1]))
    for rank in range(options.top_k[-1]):
        texts = {row.id: row.answers[rank].text if rank < len(row.answers) else "" for _, row in answerable}
        exact[:, rank], f1[:, rank] = grade_squad2(questions.examples, texts, REGIME)
    return {"exact": exact, "f1": f1}


def _shown(found: Sequence[Found], threshold: float, options: OpenDomainOptions) -> Floats:
    """1 for each answer [questions, answers] that a reader shows which abstains above the threshold, else 0."""
    shown = np.zeros((len(found), options.top_k[-1]))
    for row, one in enumerate(found):
        answers = one.answers[: options.top_k[-1]]
        shown[row, : len(answers)] = [answer.null_margin <= threshold for answer in answers]
    return shown


def ranking_figures(
    answerable: Sequence[tuple[QAExample, Found]], collection: Collection, options: OpenDomainOptions
) -> dict[str, Floats]:
    """What the rankings are worth, 0 to 1."""
    spans: dict[str, list[Span]] = {}
    for one in collection.passages:
        spans.setdefault(one.document.id, []).append(one.span)

    @cache
    def words_of(place: Place) -> str:
        if place.document not in collection.documents:
            raise InputError(f"the ranking names document {place.document!r}; expected those of the collection only")
        return searchable(collection.documents[place.document].text[place.start : place.end])

    gold, answer = np.zeros((2, len(answerable), options.ranks))
    ideal = np.zeros((len(answerable), RANKS))
    for number, (example, row) in enumerate(answerable):
        own = collection.ids[example.context]
        ideal[number, : sum(_overlaps(span, example) for span in spans.get(own, []))] = 1
        wanted = [words for words in (searchable(one.text) for one in example.answers) if words.strip()]
        for rank, place in enumerate(row.ranked[: options.ranks]):
            gold[number, rank] = place.document == own and _overlaps(Span(place.start, place.end), example)
            answer[number, rank] = any(words in words_of(place) for words in wanted)
    values: dict[str, Floats] = {}
    for name, gains in (("gold", gold), ("answer", answer)):
        values |= {f"{name}_recall_at_{k}": recall_at(gains, k) for k in options.top_k}
        values[f"{name}_mrr_at_{RANKS}"] = reciprocal_rank(gains, RANKS)
    values[f"gold_ndcg_at_{RANKS}"] = ndcg_at(gold, ideal, RANKS)
    return values


def _overlaps(span: Span, example: QAExample) -> bool:
    """Whether characters of the context are some of an answer's."""
    return any(span.start < one.start + len(one.text) and one.start < span.end for one in example.answers)
