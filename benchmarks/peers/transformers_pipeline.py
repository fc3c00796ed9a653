"""The question-answering pipeline of transformers 4."""

from typing import Any

import torch
import transformers
from protocol import Answer, Item, serve


def load(model: str, threads: int) -> Answer:
    """In float32, as the pipeline comes."""
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    return answer_with(transformers.pipeline("question-answering", model=model, tokenizer=model, device="cpu"))


def answer_with(pipeline: Any) -> Answer:
    """One call of the pipeline for all pairs; of a question's documents the answer with the best score counts."""

    def answer(items: list[Item]) -> list[str]:
        pairs = [(question, document) for question, documents in items for document in documents]
        questions, contexts = map(list, zip(*pairs, strict=True))
        found = pipeline(question=questions, context=contexts)
        results = iter([found] if isinstance(found, dict) else found)
        best = [max((next(results) for _ in documents), key=lambda one: one["score"]) for _, documents in items]
        return [one["answer"] for one in best]

    return answer


if __name__ == "__main__":
    serve(load, ["transformers", "torch"])
