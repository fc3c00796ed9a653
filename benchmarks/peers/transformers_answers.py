"""All that the question-answering pipeline of transformers 4 says: a JSON job on stdin, its results on stdout."""

import json
import sys
from importlib import metadata

import transformers
from tqdm import tqdm


def main() -> None:
    """Answer the pairs of the job with each of its settings, in float32 on the CPU, a window at a time.

    Settings of windows and of decoding come apart, so that what is decoded in several ways is computed once, by the
    pipeline's own three steps.
    """
    said, sys.stdout = sys.stdout, sys.stderr  # libraries print what they like
    transformers.logging.set_verbosity_error()
    job = json.load(sys.stdin)
    model = job["model"]
    pipeline = transformers.pipeline("question-answering", model=model, tokenizer=model, device="cpu")
    results: list[list[list[object]]] = []
    for windows, decodings in job["settings"]:
        results.append([[] for _ in decodings])
        for question, context in tqdm(job["pairs"]):
            example = {"question": question, "context": context}
            outputs = [pipeline.forward(chunk) for chunk in pipeline.preprocess(example, **windows)]
            for found, decoding in zip(results[-1], decodings, strict=True):
                found.append(pipeline.postprocess(outputs, **decoding))
    versions = {name: metadata.version(name) for name in ("transformers", "tokenizers", "torch", "numpy")}
    json.dump({"versions": versions, "results": results}, said)


if __name__ == "__main__":
    main()
