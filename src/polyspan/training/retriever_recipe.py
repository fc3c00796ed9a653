"""What a run that trains an encoder for retrieval needs, as one file: model, data, settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from polyspan.errors import InputError
from polyspan.training.recipe import build


@dataclass(frozen=True, slots=True)
class PairFile:
    """A file of questions in SQuAD's JSON; those that have an answer teach.

    ``weight`` is how often each of them comes in an epoch, on average. ``source`` and ``licence`` go into the model's
    card.
    """

    path: str
    language: str = ""
    weight: float = 1.0
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse negative weights."""
        if not 0 <= self.weight <= 100:
            raise InputError(f"the weight of {self.path} must lie between 0 and 100, not {self.weight}")


@dataclass(frozen=True, slots=True)
class Negatives:
    """Wrong passages that a question is told from, besides the right ones of all other questions in its batch.

    ``count`` of them are drawn for each question from the ``ranked`` first that each ranking in ``by`` puts before it:
    "bm25" by shared words, "encoder" by the vectors of the model that training starts from. None of them holds the
    words of an answer.
    """

    count: int = 1
    ranked: int = 30
    by: tuple[Literal["bm25", "encoder"], ...] = ("bm25",)

    def __post_init__(self) -> None:
        """Refuse what gives none of those that are asked for."""
        if not 0 <= self.count <= self.ranked or self.ranked < 1 or (self.count and not self.by):
            raise InputError(
                f"count must be at least 0 and at most ranked, and by name a ranking, not {self.count}, {self.ranked} "
                f"and {self.by}"
            )


@dataclass(frozen=True, slots=True)
class RetrieverOptimisation:
    """How weights change.

    The rate rises over ``warmup``, a share of the run (0 to 1), and falls to 0 at its end. ``scale`` multiplies cosines
    before the softmax over a batch's passages: 1 / temperature. ``freeze`` names modules (as ``named_modules`` gives
    them, or their last parts: "word_embeddings") whose weights stay.
    """

    learning_rate: float = 2e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    scale: float = 20.0
    freeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers that cannot train."""
        above = self.learning_rate, self.max_grad_norm, self.scale
        if not (min(above) > 0 and 0 <= self.warmup < 1 and self.weight_decay >= 0):
            raise InputError(
                "learning_rate, max_grad_norm and scale must be above 0, warmup at least 0 and below 1, weight_decay "
                f"at least 0, not {above}, {self.warmup} and {self.weight_decay}"
            )


@dataclass(frozen=True, slots=True)
class RetrieverRecipe:
    """A whole run.

    ``batch`` questions are told from each other's passages at once, the more the better; of them ``micro_batch`` texts
    are encoded at once, which changes memory and not the result. ``max_seq_len`` is in tokens. ``question_prompt`` and
    ``passage_prompt`` stand before texts (None: what the model names). ``dev_questions``: how many of each dev file
    are asked, at random (0: all); their contexts, of all files together, are what is searched. ``precision`` "bfloat16"
    computes in autocast and keeps float32 weights. ``licence`` is the new model's, one of the hub's licence ids.
    """

    model: str
    data: tuple[PairFile, ...]
    dev: tuple[PairFile, ...] = ()
    revision: str = ""
    name: str = ""
    licence: str = ""
    epochs: int = 1
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int = 64
    micro_batch: int = 16
    max_seq_len: int = 256
    question_prompt: str | None = None
    passage_prompt: str | None = None
    dev_questions: int = 200
    negatives: Negatives = field(default_factory=Negatives)
    optimisation: RetrieverOptimisation = field(default_factory=RetrieverOptimisation)

    def __post_init__(self) -> None:
        """Refuse empty runs, and batches in which there is nothing to tell apart."""
        if not self.data:
            raise InputError("a recipe needs at least one data file")
        if min(self.epochs, self.micro_batch) < 1 or self.batch < 2 or self.max_seq_len < 8:
            raise InputError(
                "epochs and micro_batch must be at least 1, batch at least 2 and max_seq_len at least 8, not "
                f"{self.epochs}, {self.micro_batch}, {self.batch} and {self.max_seq_len}"
            )
        if min(self.seed, self.dev_questions) < 0:
            raise InputError(f"seed and dev_questions must be at least 0, not {self.seed} and {self.dev_questions}")


def parse_retriever_recipe(content: Mapping[str, Any]) -> RetrieverRecipe:
    """As ``parse_recipe``."""
    return build(RetrieverRecipe, content, "recipe")
