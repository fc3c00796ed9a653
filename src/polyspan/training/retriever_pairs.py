"""Questions of SQuAD files with the passages that answer them, and with those that only seem to."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, cycle, islice
from pathlib import Path

import numpy as np

from polyspan.backends import unpacked
from polyspan.datasets import read_squad
from polyspan.datasets.writing import json_text, write_text
from polyspan.errors import InputError
from polyspan.evaluation.encoders import Progress
from polyspan.evaluation.opendomain import searchable
from polyspan.retrieval import PassageRanking, cut_passages
from polyspan.training.retriever_recipe import Negatives, PairFile, RetrieverRecipe
from polyspan.types import Document, FloatArray, Passage, QAExample, Span

Vectors = Callable[[Sequence[str], Sequence[str]], tuple[FloatArray, FloatArray]]
"""Gives unit vectors of questions and of passages, [texts, dimension] each."""

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, the number of the passage that answers it, and the texts of its answers."""

    question: str
    passage: int
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PairSet:
    """All pairs of a run, in the order of their files, and all passages of the contexts, each once.

    ``questions`` counts the answerable questions of each data file; of these, some may come often and some never.
    """

    pairs: Sequence[Pair]
    passages: Sequence[str]
    questions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question, the passage that answers it, and passages that do not."""

    question: str
    passage: str
    negatives: tuple[str, ...]


def read_pairs(recipe: RetrieverRecipe) -> PairSet:
    """The pairs of all data files, each as often as the weight of its file says.

    Contexts are cut by ``cut_passages``; the passage that answers is the one that the first answer begins in.

    Raises:
        DatasetError: where a file is broken.
        InputError: if the files give fewer than two pairs.
    """
    numbers: dict[str, int] = {}
    pairs: list[Pair] = []
    counts = []
    for place, file in enumerate(recipe.data):
        found = list(_pairs_of(file, numbers))
        counts.append(len(found))
        pairs += [found[row] for row in _drawn(len(found), file.weight, [recipe.seed, place])]
    if len(pairs) < 2:
        raise InputError(f"the data files give {len(pairs)} answerable questions to learn from; expected at least 2")
    return PairSet(pairs, list(numbers), tuple(counts))


def _pairs_of(file: PairFile, numbers: dict[str, int]) -> Iterator[Pair]:
    """The pairs of a file; new passages get the next numbers."""
    cut: dict[str, list[Passage]] = {}
    for example in read_squad(Path(file.path)):
        if example.context not in cut:
            cut[example.context] = cut_passages(Document(example.context))
            for passage in cut[example.context]:
                numbers.setdefault(passage.text, len(numbers))
        right = _answering(example, cut[example.context])
        if right is not None and example.question.strip():
            yield Pair(example.question, numbers[right.text], tuple(answer.text for answer in example.answers))


def _answering(example: QAExample, passages: Sequence[Passage]) -> Passage | None:
    """The passage that the first answer begins in; None for questions without one."""
    start = example.answers[0].start if example.answers else -1
    return next((one for one in passages if one.span.start <= start < one.span.end), None)


def _drawn(size: int, weight: float, seed: Sequence[int]) -> list[int]:
    """Rows 0 to ``size``, each ``weight`` times on average, in rising order."""
    whole, rest = divmod(weight, 1)
    more = np.random.default_rng(seed).permutation(size)[: round(rest * size)]
    return sorted([*np.repeat(np.arange(size), int(whole)).tolist(), *more.tolist()])


def add_negatives(pairs: PairSet, settings: Negatives, seed: int, vectors: Vectors, progress: Progress) -> list[Lesson]:
    """The pairs with wrong passages, all with ``settings.count``.

    Where the rankings give too few, there are others at random. A pair whose answers stand in all other passages is
    left out.

    Args:
        pairs: what ``read_pairs`` gives.
        settings: how many passages, and from which rankings.
        seed: of the draw.
        vectors: asked where "encoder" is one of the rankings.
        progress: shows how far the work is.
    """
    if not settings.count:
        return [Lesson(one.question, pairs.passages[one.passage], ()) for one in pairs.pairs]
    rankings = []
    if "bm25" in settings.by:
        rankings.append(_ranked_by_words(pairs, settings.ranked))
    if "encoder" in settings.by:
        rankings.append(_ranked_by_vectors(pairs, settings.ranked, vectors))
    words_of = cache(lambda number: searchable(pairs.passages[number]))
    lessons = []
    rows = zip(pairs.pairs, zip(*rankings, strict=True), strict=True)
    for number, (pair, ranked) in enumerate(progress(rows, len(pairs.pairs), "looking for wrong passages")):
        wanted = [words for words in map(searchable, pair.answers) if words.strip()]
        wrong = (
            one
            for one in _in_order(set(chain(*ranked)), len(pairs.passages), [seed, number])
            if one != pair.passage and not any(words in words_of(one) for words in wanted)
        )
        if found := list(islice(wrong, settings.count)):
            negatives = tuple(pairs.passages[one] for one in islice(cycle(found), settings.count))
            lessons.append(Lesson(pair.question, pairs.passages[pair.passage], negatives))
    return lessons


def _in_order(best: set[int], size: int, seed: Sequence[int]) -> Iterator[int]:
    """Numbers 0 to ``size``, the best at random and then all others at random."""
    generator = np.random.default_rng(seed)
    yield from generator.permutation(sorted(best)).tolist()
    yield from (one for one in generator.permutation(size).tolist() if one not in best)


def _ranked_by_words(pairs: PairSet, count: int) -> Iterator[list[int]]:
    """For each pair the numbers of the passages that BM25 puts first."""
    ranking = PassageRanking([Passage(Document(text), Span(0, len(text))) for text in pairs.passages])
    numbers = {text: number for number, text in enumerate(pairs.passages)}
    for pair in pairs.pairs:
        yield [numbers[passage.text] for passage in ranking.best(pair.question, count)]


def _ranked_by_vectors(pairs: PairSet, count: int, vectors: Vectors) -> Iterator[list[int]]:
    """For each pair the numbers of the passages whose vectors are closest to the question's."""
    questions, passages = vectors([pair.question for pair in pairs.pairs], pairs.passages)
    for begin in range(0, len(questions), _AT_ONCE):
        scores = questions[begin : begin + _AT_ONCE] @ passages.T
        yield from np.argsort(-scores, axis=1, kind="stable")[:, :count].tolist()


def write_lessons(path: Path, lessons: Iterable[Lesson]) -> None:
    """Write lessons as JSON, one a line, whole or not at all."""
    write_text(path, (f"{json_text([one.question, one.passage, *one.negatives])}\n" for one in lessons))


def read_lessons(path: Path) -> list[Lesson]:
    """What ``write_lessons`` wrote; ModelError where it cannot be read."""
    lessons = []
    for line in unpacked(path).decode().rstrip("\n").split("\n"):
        question, passage, *negatives = json.loads(line)
        lessons.append(Lesson(question, passage, tuple(negatives)))
    return lessons
