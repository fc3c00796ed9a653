"""A plain loop over onnxruntime: a window at a time, and the best sum of start and end."""

import tempfile
from typing import Any

import numpy as np
import onnxruntime
import transformers
from optimum.onnxruntime import ORTModelForQuestionAnswering
from protocol import Answer, Item, serve

MAX_SEQ_LEN, DOC_STRIDE, MAX_ANSWER_LEN = 384, 128, 15  # the pipeline's


def load(model: str, threads: int) -> Answer:
    """Float32, exported by optimum."""
    transformers.logging.set_verbosity_error()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as scratch:
        ORTModelForQuestionAnswering.from_pretrained(model, export=True).save_pretrained(scratch)
        session = onnxruntime.InferenceSession(f"{scratch}/model.onnx", options, ["CPUExecutionProvider"])
    return lambda items: [best_answer(session, tokenizer, item) for item in items]


def best_answer(session: Any, tokenizer: Any, item: Item) -> str:
    """The span with the best sum of logits in all windows of all documents."""
    question, documents = item
    names = {value.name for value in session.get_inputs()}
    best = -np.inf, ""
    for document in documents:
        encoded = tokenizer(
            question,
            document,
            truncation="only_second",
            max_length=MAX_SEQ_LEN,
            stride=DOC_STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for number in range(len(encoded["input_ids"])):
            given = {name: np.array([encoded[name][number]], np.int64) for name in names}
            start, end = (logits[0] for logits in session.run(["start_logits", "end_logits"], given))
            context = np.array(encoded.sequence_ids(number)) == 1
            places = np.arange(len(context))
            length = places - places[:, None]
            allowed = context[:, None] & context & (length >= 0) & (length < MAX_ANSWER_LEN)
            sums = np.where(allowed, start[:, None] + end, -np.inf)
            first, last = np.unravel_index(sums.argmax(), sums.shape)
            if sums[first, last] > best[0]:
                offsets = encoded["offset_mapping"][number]
                best = sums[first, last], document[offsets[first][0] : offsets[last][1]]
    return best[1]


if __name__ == "__main__":
    serve(load, ["onnxruntime", "transformers", "optimum-onnx"])
