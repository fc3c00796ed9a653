"""onnxruntime in the question-answering pipeline of transformers 4, by way of optimum.

    python onnxruntime_pipeline.py float|int8 …

int8: what optimum's and onnxruntime's guides do first, dynamic quantisation of all matrices.
"""

import sys
import tempfile
from pathlib import Path

import onnxruntime
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.onnxruntime import ORTModelForQuestionAnswering
from protocol import Answer, serve
from transformers_pipeline import answer_with


def load(model: str, threads: int) -> Answer:
    """Exported by optimum, quantised if asked for."""
    transformers.logging.set_verbosity_error()
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = threads
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as scratch:
        ORTModelForQuestionAnswering.from_pretrained(model, export=True).save_pretrained(scratch)
        if sys.argv[1] == "int8":
            file = Path(scratch) / "model.onnx"
            quantize_dynamic(file, file, weight_type=QuantType.QInt8)
        exported = ORTModelForQuestionAnswering.from_pretrained(scratch, session_options=session)
    return answer_with(transformers.pipeline("question-answering", model=exported, tokenizer=tokenizer))


if __name__ == "__main__":
    serve(load, ["optimum-onnx", "onnxruntime", "transformers", "torch"])
