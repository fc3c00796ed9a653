"""A server as people write it: FastAPI around the question-answering pipeline of transformers 4, without limits.

    python naive_server.py MODEL PORT

In the environment of ``transformers_pipeline.py`` with fastapi and uvicorn. It takes the requests of ``load.py``.
"""

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline


class Text(BaseModel):
    """A document."""

    text: str


class Asked(BaseModel):
    """A question about documents."""

    question: str
    documents: list[Text]


def main() -> None:
    """Serve."""
    model, port = sys.argv[1:3]
    torch.set_num_threads(2)
    reader = pipeline("question-answering", model=model, tokenizer=model)
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/answer")
    def answer(asked: Asked) -> dict[str, list[dict[str, object]]]:
        found = reader(question=asked.question, context=asked.documents[0].text, handle_impossible_answer=True)
        return {"answers": [{"text": found["answer"], "score": found["score"]}] if found["answer"] else []}

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
