"""The question-answering pipeline of transformers 4, which transformers 5.3 removed.

What used to run runs after one import changed, ``from polyspan.interop.transformers import pipeline``, which needs no
torch where the model has an ONNX file; or after one line that puts it back into transformers itself, ``register()``.
``docs/migration-cases.md`` lists what differs on purpose; ``strict_v4=True`` reproduces transformers 4.
"""

from polyspan.interop.transformers.arguments import QuestionAnsweringArgumentHandler, SquadExample
from polyspan.interop.transformers.pipeline import QuestionAnsweringPipeline, pipeline
from polyspan.interop.transformers.registry import register

__all__ = ["QuestionAnsweringArgumentHandler", "QuestionAnsweringPipeline", "SquadExample", "pipeline", "register"]
