"""ExtractiveReader of Haystack 2."""

import os

import torch

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document
from haystack.components.readers import ExtractiveReader
from haystack.utils import ComponentDevice
from protocol import Answer, Item, serve


def load(model: str, threads: int) -> Answer:
    """With its own defaults but one answer; a call for each question, as it takes no more."""
    torch.set_num_threads(threads)
    reader = ExtractiveReader(model=model, device=ComponentDevice.from_str("cpu"), top_k=1, no_answer=False)
    reader.warm_up()

    def answer(items: list[Item]) -> list[str]:
        results = []
        for question, documents in items:
            found = reader.run(question, [Document(content=document) for document in documents])["answers"]
            results.append((found[0].data or "") if found else "")
        return results

    return answer


if __name__ == "__main__":
    serve(load, ["haystack-ai", "transformers", "torch"])
