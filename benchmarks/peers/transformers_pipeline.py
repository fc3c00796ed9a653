"""The question-answering pipeline of transformers 4, in an environment of its own.

    python transformers_pipeline.py MODEL_FOLDER PAIRS.json THREADS

Reads one line for each run from stdin and answers with seconds and answers as JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch
import transformers


def main() -> None:
    """Load once, then run as often as asked."""
    model, pairs_file, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    transformers.logging.set_verbosity_error()
    reader = transformers.pipeline("question-answering", model=model, tokenizer=model, device="cpu")
    questions, contexts = zip(*json.loads(Path(pairs_file).read_text(encoding="utf-8")), strict=True)
    print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        answers = reader(question=list(questions), context=list(contexts))
        taken = time.perf_counter() - began
        print(json.dumps({"seconds": taken, "answers": [answer["answer"] for answer in answers]}), flush=True)


if __name__ == "__main__":
    main()
