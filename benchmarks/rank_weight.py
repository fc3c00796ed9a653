"""How much the rank of a passage should count beside what the reader makes of it.

    python benchmarks/rank_weight.py default dev/*.json.gz --index DIR --questions 25

Questions of development files are asked of all their contexts; each of the ten passages that rank best is read alone,
so that any handicap by rank can be tried afterwards: the weight times the natural logarithm of the rank, in logits.
"cross-fitted" scores each half of the questions with the weight that suits the other.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Passage, Reader
from polyspan.backends import open_encoder
from polyspan.evaluation import read_questions
from polyspan.evaluation.opendomain import REGIME, OpenDomainOptions, asking_options, choose, collect
from polyspan.metrics import grade_squad2, paired_difference
from polyspan.retrieval import IndexRanking, RetrievalOptions
from polyspan.types import QAExample, Reading
from retrieval import filled

RESULT = Path(__file__).parent / "results" / "rank-weight.json"
READ = 10
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
NOTHING = 1e6

Floats = npt.NDArray[np.float64]


def graded(example: QAExample, readings: Sequence[Reading]) -> Floats:
    """Null margin, exact match and F1 (0 to 100) of the best answer of each passage that was read alone [3, READ]."""
    found = np.tile([[NOTHING], [0.0], [0.0]], (1, READ))
    for rank, reading in enumerate(readings):
        if reading.answers:
            answer = reading.answers[0]
            (exact,), (f1,) = grade_squad2([example], {example.id: answer.text}, REGIME)
            found[:, rank] = answer.null_margin, 100 * exact, 100 * f1
    return found


def chosen(found: Floats, weight: float) -> Floats:
    """Exact match and F1 [2, questions] of the answers that lead with a weight; ``found`` is [questions, 3, READ]."""
    best = (found[:, 0] + weight * np.log(np.arange(1, READ + 1))).argmin(axis=1)
    picked: Floats = found[np.arange(len(found)), 1:, best].T
    return picked


def cross_fitted(found: Floats) -> Floats:
    """Exact match and F1 [2, questions], each half by the weight whose F1 is best on the other."""
    scores = np.zeros((2, len(found)))
    for half in (0, 1):
        other = found[1 - half :: 2]
        weight = max(WEIGHTS, key=lambda one: float(chosen(other, one)[1].mean()))
        scores[:, half::2] = chosen(found[half::2], weight)
    return scores


def means(scores: Floats) -> dict[str, float]:
    """Rounded."""
    return {name: round(float(one.mean()), 2) for name, one in zip(("exact", "f1"), scores, strict=True)}


def against(scores: Floats, plain: Floats) -> Mapping[str, Any]:
    """The gain in F1 with its 95 % interval."""
    gain = paired_difference(scores[1], plain[1])
    return {"gain in f1": [round(one, 2) for one in (gain.difference, gain.low, gain.high)]}


def main() -> None:
    """Rank, read, try all weights and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path, nargs="+")
    parser.add_argument("--index", type=Path, required=True, help="where the index is kept")
    parser.add_argument("--questions", type=int, default=25, help="so many answerable ones of each dataset, at random")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    reader, encoder = Reader.from_pretrained(given.model), open_encoder()
    sets = [read_questions(path) for path in given.dataset]
    collection = collect(sets)
    ranking = IndexRanking(filled(given.index, encoder, collection), encoder, RetrievalOptions(rank_weight=0.0))
    sampled = [choose(questions, unanswerable=False, sample=given.questions) for questions in sets]
    examples = [example for questions in sampled for example in questions.examples]
    options = asking_options(reader, OpenDomainOptions((1,)))
    rows = []
    for example in tqdm(examples, unit="q"):
        pairs: list[tuple[str, list[Passage]]] = [
            (example.question, [one]) for one in ranking.best(example.question, READ)
        ]
        rows.append(graded(example, list(reader.read_stream(pairs, options))))
    found = np.random.default_rng(0).permutation(np.array(rows))
    plain = chosen(found, 0.0)
    write_result(
        given.out,
        {
            "what": "the best answer over ten passages, 0 to 100, by what the reader and the rank say together",
            "model": reader.scorer.name,
            "datasets": len(sets),
            "questions": len(examples),
            **collection.signature,
            "weights": {
                f"{one:g}": {**means(chosen(found, one)), **against(chosen(found, one), plain)} for one in WEIGHTS
            },
            "cross-fitted": {**means(cross_fitted(found)), **against(cross_fitted(found), plain)},
            **machine(("polyspan", "lancedb", "onnxruntime", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
