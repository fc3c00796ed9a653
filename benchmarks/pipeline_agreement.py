"""Does the drop-in for transformers 4's pipeline say what transformers 4 says?

    python benchmarks/pipeline_agreement.py MODEL DATASET --peer envs/transformers/bin/python --out RESULT.json

MODEL holds float weights that both open (`model.safetensors`); the peer's environment is described in peers/README.md.
Strict mode is held against it answer by answer. Of the usual mode it is measured how often it agrees, what both score
by SQuAD's rules, and why they differ: what differs is asked again in strict mode, one defect at a time switched off.
"""

import argparse
import json
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from measure import machine, write_result
from polyspan.backends import SpanScorer
from polyspan.datasets import file_signature, read_squad
from polyspan.features import Batch
from polyspan.interop.transformers import QuestionAnsweringPipeline
from polyspan.metrics import exact_match, token_f1
from polyspan.types import FloatArray, QAExample

PEER = Path(__file__).parent / "peers" / "transformers_answers.py"
SETTINGS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({}, [{}, {"handle_impossible_answer": True}, {"align_to_words": False, "max_answer_len": 30, "top_k": 5}]),
    ({"max_seq_len": 96, "doc_stride": 32}, [{}, {"handle_impossible_answer": True, "top_k": 3}]),
]
"""Of windows, each with those of decoding."""
SHOWN = 4
Answers = list[Any]


def main() -> None:
    """Ask both, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--peer", required=True, help="a python that has transformers 4.57")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    every = read_squad(given.dataset)
    examples = random.Random(0).sample(every, min(given.questions, len(every)))  # noqa: S311 -- a sample to measure on
    peer = _ask_peer(given.peer, given.model, examples)
    strict, usual = (QuestionAnsweringPipeline(str(given.model), strict_v4=mode) for mode in (True, False))
    strict.reader.scorer = usual.reader.scorer = RememberingScorer(usual.reader.scorer)
    write_result(
        given.out,
        {
            "machine": machine(("tokenizers", "torch", "transformers")),
            "peer": peer["versions"],
            "model": given.model.name,
            **file_signature(given.dataset),
            "questions": len(examples),
            "seed": 0,
            "strict": [
                {"settings": windows | decoding, **_agreement(_ask(strict, examples, **windows, **decoding), theirs)}
                for (windows, decodings), found in zip(SETTINGS, peer["results"], strict=True)
                for decoding, theirs in zip(decodings, found, strict=True)
            ],
            "usual": _differences(usual, strict, examples, peer["results"][0][0]),
        },
    )


class RememberingScorer:
    """Scores each window once."""

    def __init__(self, scorer: SpanScorer) -> None:
        self.name, self.tokenizer, self.max_seq_len, self.save = (
            scorer.name,
            scorer.tokenizer,
            scorer.max_seq_len,
            scorer.save,
        )
        self._scorer = scorer
        self._known: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """As the scorer's own."""
        shape = batch.input_ids.shape
        start, end = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for row, size in enumerate(batch.attention_mask.sum(1)):
            one = Batch(*(getattr(batch, field.name)[row : row + 1, :size] for field in fields(Batch)))
            key = one.input_ids.tobytes()
            if key not in self._known:
                found = self._scorer.score(one)
                self._known[key] = found[0][0], found[1][0]
            start[row, :size], end[row, :size] = self._known[key]
        return start, end


def _ask_peer(python: str, model: Path, examples: Sequence[QAExample]) -> dict[str, Any]:
    pairs = [(example.question, example.context) for example in examples]
    job = json.dumps({"model": str(model), "pairs": pairs, "settings": SETTINGS})
    ran = subprocess.run([python, PEER], input=job, stdout=subprocess.PIPE, check=True, text=True)
    answers: dict[str, Any] = json.loads(ran.stdout)
    return answers


def _ask(pipeline: QuestionAnsweringPipeline, examples: Sequence[QAExample], **settings: Any) -> Answers:
    pairs = [{"question": example.question, "context": example.context} for example in examples]
    return list(pipeline(iter(pairs), **settings))


def _agreement(ours: Answers, theirs: Answers) -> dict[str, Any]:
    """How many questions have the same answers at the same places, and the largest difference of their scores."""
    same, furthest = 0, 0.0
    for mine, other in zip(ours, theirs, strict=True):
        pair = [one if isinstance(one, list) else [one] for one in (mine, other)]
        if [_place(one) for one in pair[0]] == [_place(one) for one in pair[1]]:
            same += 1
            furthest = max(furthest, *(abs(a["score"] - b["score"]) for a, b in zip(*pair, strict=True)))
    return {"same": same, "of": len(ours), "largest_score_difference": furthest}


def _place(answer: dict[str, Any]) -> tuple[Any, ...]:
    return answer["start"], answer["end"], answer["answer"]


def _differences(
    reader: QuestionAnsweringPipeline,
    strict: QuestionAnsweringPipeline,
    examples: Sequence[QAExample],
    theirs: Answers,
) -> dict[str, Any]:
    """How often the usual mode agrees, what both score, and why they differ."""
    ours = _ask(reader, examples)
    differing = [i for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)) if _place(mine) != _place(other)]
    asked = [examples[i] for i in differing]
    bare = _ask(reader, asked, align_to_words=False)
    unaligned = _ask(strict, asked, align_to_words=False)
    longer = _ask(strict, asked, align_to_words=False, max_answer_len=reader.reader.defaults.max_answer_len)
    rows = [
        {
            "question": examples[i].question,
            "gold": sorted({answer.text for answer in examples[i].answers}),
            "ours": ours[i]["answer"],
            "theirs": theirs[i]["answer"],
            "why": _why(ours[i], theirs[i], bare[row], unaligned[row], longer[row]),
        }
        for row, i in enumerate(differing)
    ]
    causes = dict(Counter(row["why"] for row in rows).most_common())
    return {
        "same_place": len(examples) - len(differing),
        "same_text": sum(mine["answer"] == other["answer"] for mine, other in zip(ours, theirs, strict=True)),
        "same_by_exact_match": sum(
            exact_match([other["answer"]], mine["answer"]) for mine, other in zip(ours, theirs, strict=True)
        ),
        "of": len(examples),
        "scores": {"ours": _scores(examples, ours), "theirs": _scores(examples, theirs)},
        "why": causes,
        "sample": [one for why in causes for one in [row for row in rows if row["why"] == why][:SHOWN]],
    }


def _why(ours: Any, theirs: Any, bare: Any, unaligned: Any, longer: Any) -> str:
    """The defect without which transformers' decoding gives the reader's span."""
    if _place(unaligned) == _place(bare):
        letters = ["".join(c for c in one["answer"] if c.isalnum()) for one in (ours, theirs)]
        if letters[0] == letters[1]:
            return "punctuation that the tokenizer joins to a word"
        return "spans widened to the tokenizer's words, and the scores of those that become equal summed"
    if _place(longer) == _place(bare):
        return "longer than 15 tokens"
    return "windows that are softmaxed apart, or no span of words"


def _scores(examples: Sequence[QAExample], answers: Answers) -> dict[str, float]:
    """SQuAD's exact match and F1, 0 to 100."""
    pairs = [
        ([one.text for one in example.answers], found["answer"])
        for example, found in zip(examples, answers, strict=True)
    ]
    return {
        "exact": 100 * mean(exact_match(*pair) for pair in pairs),
        "f1": 100 * mean(token_f1(*pair) for pair in pairs),
    }


if __name__ == "__main__":
    main()
