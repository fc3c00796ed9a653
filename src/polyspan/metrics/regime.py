"""What a scoring regime is: how a gold answer and a prediction are compared."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Tokens = Sequence[str]
Prepared = tuple[str, Tokens]


def bag_f1(gold: Tokens, predicted: Tokens) -> float:
    """F1 (0 to 1) over the tokens that both hold, each as often as it stands in both; 0 where none is shared."""
    shared = (Counter(gold) & Counter(predicted)).total()
    return harmonic_f1(shared, len(gold), len(predicted))


def harmonic_f1(shared: int, gold: int, predicted: int) -> float:
    """The harmonic mean of precision and recall (0 to 1) from counts of tokens, in the official scripts' rounding."""
    if not shared:
        return 0.0
    precision, recall = shared / predicted, shared / gold
    return (2 * precision * recall) / (precision + recall)


@dataclass(frozen=True, slots=True)
class Regime:
    """A way to compare texts.

    ``normaliser`` is its name in signatures. Exact match compares what ``normalise`` makes of two texts; ``f1``
    (0 to 1) takes the tokens that ``split`` makes of the normalised texts, the gold ones first.
    """

    normaliser: str
    normalise: Callable[[str], str]
    split: Callable[[str], Tokens] = str.split
    f1: Callable[[Tokens, Tokens], float] = bag_f1

    def prepare(self, text: str) -> Prepared:
        """The text normalised, and its tokens."""
        normalised = self.normalise(text)
        return normalised, self.split(normalised)
