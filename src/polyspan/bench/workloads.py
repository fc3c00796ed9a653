"""What is read while the clock runs: questions and texts of a file, or made up."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from polyspan.datasets import file_signature, read_squad
from polyspan.errors import DatasetError

PAGE_CHARS = 3_000
PARAGRAPHS = 100
_MADE_UP = 1_000
_MEDIAN_CHARS, _SPREAD = 680, 0.45  # of the contexts of SQuAD's development set: characters, and deviation of their log
_PLACES = ("Aldmoor", "Brackwell", "Corrie", "Dunsby", "Eskford", "Fenwick", "Garrow", "Hallin", "Inchmore", "Kelby")
_PEOPLE = ("Ada Korte", "Jonas Weil", "Mara Lind", "Piet Romer", "Selma Aydin", "Tom Harker", "Una Byrne", "Vera Novak")
_THINGS = ("bridge", "harbour", "library", "market hall", "mill", "observatory", "post office", "railway", "town hall")
_FACTS = (
    ("The {thing} of {place} was opened in {year} by {person}.", "Who opened the {thing} of {place}?"),
    (
        "After the flood of {year}, the council of {place} asked {person} to rebuild the {thing} in stone.",
        "What did the council of {place} ask {person} to rebuild?",
    ),
    (
        "{person}, who had studied engineering abroad, offered to finish the {thing} for {count} crowns.",
        "For how many crowns did {person} offer to finish the {thing}?",
    ),
    (
        "In {year} about {count} people lived in {place}, most of whom worked at the {thing} or in the fields.",
        "How many people lived in {place} in {year}?",
    ),
    (
        "A letter that {person} sent from {place} in {year} describes the {thing} as cold, crowded and well loved.",
        "From where did {person} send a letter in {year}?",
    ),
    ("It took {count} days to repair the roof.", "How many days did it take to repair the roof?"),
)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Material:
    """``pairs`` of a question and its context, different ``paragraphs``, and in ``source`` where they come from."""

    pairs: Sequence[Pair]
    paragraphs: Sequence[str]
    source: Mapping[str, str | int]

    def document(self, pages: float) -> str:
        """A text of so many pages of 3,000 characters: the paragraphs, from the first one again when they end."""
        size = round(pages * PAGE_CHARS)
        whole = "\n\n".join(self.paragraphs) + "\n\n"
        return (whole * (size // len(whole) + 1))[:size]


@dataclass(frozen=True, slots=True)
class Workload:
    """Questions, each with the documents that it is asked of."""

    name: str
    items: Sequence[tuple[str, Sequence[str]]]


def squad_material(path: Path, questions: int, seed: int) -> Material:
    """So many questions of a SQuAD JSON file, or all if it has fewer, drawn from the seed.

    Raises DatasetError as ``read_squad`` does, and where no question has a context.
    """
    examples = [one for one in read_squad(path) if one.question.strip() and one.context.strip()]
    if not examples:
        raise DatasetError(f"{path}: no question has a context; give a file with texts to read")
    chosen = Random(seed).sample(examples, min(questions, len(examples)))  # noqa: S311 -- no secret
    return Material(
        [(example.question, example.context) for example in chosen],
        list(dict.fromkeys(example.context for example in examples)),
        {**file_signature(path), "seed": seed},
    )


def made_up_material(questions: int, seed: int) -> Material:
    """English paragraphs about invented places, as long as those of SQuAD's development set, with questions on them."""
    generator = Random(seed)  # noqa: S311 -- no secret
    pairs = [_made_up_pair(generator) for _ in range(max(questions, _MADE_UP))]
    return Material(pairs[:questions], [context for _, context in pairs], {"dataset": "made up", "seed": seed})


def own_paragraphs(material: Material) -> Workload:
    """Each question on its own paragraph."""
    items = [(question, [context]) for question, context in material.pairs]
    return Workload(f"{len(items)} questions, each on its own paragraph", items)


def many_paragraphs(material: Material) -> Workload:
    """The first question on 100 paragraphs, or on all if there are fewer; its own is one of them."""
    question, context = material.pairs[0]
    texts = list(dict.fromkeys([context, *material.paragraphs]))[:PARAGRAPHS]
    return Workload(f"1 question on {len(texts)} paragraphs", [(question, texts)])


def _made_up_pair(generator: Random) -> Pair:
    """A paragraph, and a question that one of its sentences answers."""
    size = generator.lognormvariate(math.log(_MEDIAN_CHARS), _SPREAD)
    sentences: list[str] = []
    questions: list[str] = []
    while sum(map(len, sentences)) < size:
        values = {
            "place": generator.choice(_PLACES),
            "person": generator.choice(_PEOPLE),
            "thing": generator.choice(_THINGS),
            "year": generator.randrange(1700, 2000),
            "count": generator.randrange(12, 9000),
        }
        sentence, question = generator.choice(_FACTS)
        sentences.append(sentence.format(**values))
        questions.append(question.format(**values))
    return generator.choice(questions), " ".join(sentences)
