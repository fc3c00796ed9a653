"""The Questions pipeline of txtai, which its Extractor reads with."""

import torch
from protocol import Answer, Item, serve
from txtai.pipeline import Questions


def load(model: str, threads: int) -> Answer:
    """One call for all pairs; it gives no scores, so the first answer of several documents counts."""
    torch.set_num_threads(threads)
    questions = Questions(model, gpu=False)

    def answer(items: list[Item]) -> list[str]:
        pairs = [(question, document) for question, documents in items for document in documents]
        found = iter(questions(*map(list, zip(*pairs, strict=True))))
        best = [[next(found) for _ in documents] for _, documents in items]
        return [next((one for one in answers if one), "") for answers in best]

    return answer


if __name__ == "__main__":
    serve(load, ["txtai", "transformers", "torch"])
