"""FARMReader of farm-haystack 1.26."""

import os

import torch

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document
from haystack.nodes import FARMReader
from protocol import Answer, Item, serve


def load(model: str, threads: int) -> Answer:
    """With its own defaults but one answer and no processes; one call of predict_batch for all questions."""
    torch.set_num_threads(threads)
    reader = FARMReader(model_name_or_path=model, use_gpu=False, num_processes=0, progress_bar=False, top_k=1)

    def answer(items: list[Item]) -> list[str]:
        questions = [question for question, _ in items]
        documents = [[Document(content=document) for document in documents] for _, documents in items]
        if len(items) == 1:
            found = [reader.predict(questions[0], documents[0], top_k=1)["answers"]]
        else:
            found = reader.predict_batch(questions, documents, top_k=1)["answers"]
        return [answers[0].answer if answers else "" for answers in found]

    return answer


if __name__ == "__main__":
    serve(load, ["farm-haystack", "transformers", "torch"])
