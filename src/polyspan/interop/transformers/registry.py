"""The pipeline back in transformers' own registry."""

from polyspan.errors import MissingExtraError
from polyspan.interop.transformers.pipeline import TASK, QuestionAnsweringPipeline

_DEFAULT = ("distilbert/distilbert-base-cased-distilled-squad", "564e9b5")
"""The model that transformers 4 took where none was named."""


def register() -> None:
    """Make ``transformers.pipeline("question-answering", …)`` answer by ``QuestionAnsweringPipeline``.

    transformers opens the model then, so it needs torch and weights that transformers reads. Once is enough, more do no
    harm. A pipeline that transformers has of its own for this task, before 5.3, is replaced.

    Raises MissingExtraError without torch or transformers.
    """
    try:
        import torch  # noqa: F401 -- transformers imports without, and fails late
        from transformers import AutoModelForQuestionAnswering, pipelines
    except ImportError as error:
        raise MissingExtraError("transformers' own pipeline()", "torch") from error
    getattr(pipelines, "REMOVED_TASKS", {}).pop(TASK, None)
    pipelines.PIPELINE_REGISTRY.supported_tasks.pop(TASK, None)  # transformers warns of tasks that are replaced
    pipelines.PIPELINE_REGISTRY.register_pipeline(
        TASK,
        pipeline_class=QuestionAnsweringPipeline,
        pt_model=AutoModelForQuestionAnswering,
        default={"model": _DEFAULT},
        type="text",
    )
