"""Does the probability of an answer stay calibrated when a question is asked of 1, 5 and 50 documents?

    python benchmarks/open_collection.py MODEL SQUAD2.json --others MORE.json

Each question is asked of its own context and of others beside it: half of them those that BM25 ranks best for the
question, half at random, none of which holds the words of an annotated answer. What is asked of 5 documents is asked of
50 too, so that the same questions tell what more documents do to right answers.

Whether another context answers a question that its own one does not answer cannot be told, so that calibration over
several documents may be better than it seems.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Document, InputError, Passage, Reader, Span
from polyspan.datasets import file_signature, read_squad
from polyspan.datasets.shared import normalise_context
from polyspan.evaluation.observe import Asked, observe, read_asked
from polyspan.evaluation.opendomain import searchable
from polyspan.metrics import prior_weights, selective_scores
from polyspan.retrieval import PassageRanking
from polyspan.types import QAExample

RESULT = Path(__file__).parent / "results" / "open-collection.json"
SIZES = (1, 5, 50)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Contexts:
    """Contexts of which some are put beside a question's own."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = list(dict.fromkeys(texts))
        self._ranking = PassageRanking([Passage(Document(text), Span(0, len(text))) for text in self._texts])
        self._words = {text: searchable(text) for text in self._texts}

    def beside(self, example: QAExample, count: int, generator: np.random.Generator) -> tuple[str, ...]:
        """So many others, hard and random ones in turn."""
        ranked = [passage.text for passage in self._ranking.best(example.question, len(self._texts) - 1)]
        shuffled = [self._texts[i] for i in generator.permutation(len(self._texts))]
        found: dict[str, None] = {}
        in_turn = zip(self._others(example, ranked), self._others(example, shuffled), strict=False)
        for text in chain.from_iterable(in_turn):
            found[text] = None
            if len(found) == count:
                return tuple(found)
        raise InputError(f"question {example.id!r}: {len(found)} contexts go beside its own, not {count}; add --others")

    def _others(self, example: QAExample, texts: Sequence[str]) -> Iterator[str]:
        own = normalise_context(example.context)
        answers = [searchable(answer.text) for answer in example.answers]
        for text in texts:
            if normalise_context(text) != own and not any(answer in self._words[text] for answer in answers):
                yield text


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Arrays [n]: each best answer's probability, and whether it is right; the verdict on abstaining; logits."""

    answer: Floats
    exact: Flags
    no_answer: Floats
    unanswerable: Flags
    null_margin: Floats


def read(reader: Reader, asked: Sequence[Asked]) -> Answered:
    """What the reader, with its stored calibration, answers to the questions."""
    readings = list(tqdm(read_asked(reader, asked, calibrated=True), total=len(asked), unit="q"))
    seen = observe(asked, readings)
    return Answered(
        np.array([reading.answers[0].score for reading in readings]),
        seen.exact,
        np.array([reading.no_answer.score for reading in readings]),
        seen.unanswerable,
        seen.null_margin,
    )


def calibration(found: Answered, threshold: float, prior: float) -> dict[str, Any]:
    """What the probabilities are worth: of what is shown, an answer or the abstention, and of the best answer alone."""
    weights = prior_weights(found.unanswerable, prior)
    abstained = found.null_margin > threshold
    kinds = {
        "shown": (
            np.where(abstained, found.no_answer, found.answer),
            np.where(abstained, found.unanswerable, found.exact),
        ),
        "best answer": (found.answer, found.exact),
    }
    result: dict[str, Any] = {"abstained": round(float(np.average(abstained, weights=weights)), 4)}
    for kind, (probability, right) in kinds.items():
        scores: dict[str, Any] = {
            "accuracy": round(float(np.average(right, weights=weights)), 4),
            "mean_probability": round(float(np.average(probability, weights=weights)), 4),
        }
        for name, one in selective_scores(probability, right, weights).items():
            scores |= {name: round(one.value, 4), f"{name}_interval": [round(one.low, 4), round(one.high, 4)]}
        result[kind] = scores
    return result


def changes(alone: Answered, among: Answered, threshold: float) -> dict[str, Any]:
    """What becomes of the right answers of one document among more."""
    right = alone.exact & (alone.null_margin <= threshold)
    lost = right & (among.null_margin > threshold)
    return {
        "right answers of 1 document": int(right.sum()),
        "that become no answer": int(lost.sum()),
        "by logits beyond the threshold": [round(float(one), 4) for one in among.null_margin[lost] - threshold],
        "that become another answer": int((right & ~lost & ~among.exact).sum()),
        "largest rise of a null margin, logits": round(float((among.null_margin - alone.null_margin).max()), 6),
        "mean fall of their probability": round(
            float((alone.answer - among.answer)[right].sum()) / max(1, int(right.sum())), 4
        ),
    }


def main() -> None:
    """Ask, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="SQuAD JSON whose contexts are used too")
    parser.add_argument("--questions", type=int, default=300, help="of each kind at most")
    parser.add_argument("--prior", type=float, default=0.5, help="share of unanswerable questions to weight for")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    generator = np.random.default_rng(given.seed)
    examples = [one for one in read_squad(given.dataset) if one.context.strip()]
    contexts = Contexts([one.context for path in (given.dataset, *given.others) for one in read_squad(path)])
    chosen = []
    for kind in (True, False):
        of_kind = [one for one in examples if bool(one.answers) == kind]
        chosen += [of_kind[i] for i in generator.permutation(len(of_kind))[: given.questions]]
    largest = [(one.context, *contexts.beside(one, max(SIZES) - 1, generator)) for one in chosen]
    reader = Reader.from_pretrained(given.model)
    threshold = reader.threshold(reader.defaults)
    if threshold is None:
        raise InputError(f"{given.model}: it never abstains, so that its probabilities say nothing of no answer")
    found = {
        size: read(reader, [Asked("", one, texts[:size]) for one, texts in zip(chosen, largest, strict=True)])
        for size in SIZES
    }
    write_result(
        given.out,
        {
            "what": "calibration over 1, 5 and 50 documents; ECE in 15 bins of equal mass",
            "model": reader.scorer.name,
            "fitted": reader.settings.calibration.confidence is not None,
            "threshold": threshold,
            **file_signature(given.dataset),
            "questions": {
                kind: sum(bool(one.answers) == (kind == "answerable") for one in chosen)
                for kind in ("answerable", "unanswerable")
            },
            "prior": given.prior,
            "seed": given.seed,
            "documents": {size: calibration(one, threshold, given.prior) for size, one in found.items()},
            "changes": {size: changes(found[1], one, threshold) for size, one in found.items() if size > 1},
            **machine(("polyspan", "onnxruntime", "tokenizers", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
