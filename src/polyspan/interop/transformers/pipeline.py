"""``pipeline("question-answering", …)`` over a ``Reader``."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from polyspan.errors import InputError
from polyspan.interop.opening import Opening, open_named
from polyspan.interop.ranking import with_no_answer
from polyspan.interop.transformers.arguments import (
    INPUTS,
    CallOptions,
    QuestionAnsweringArgumentHandler,
    SquadExample,
)
from polyspan.interop.transformers.strict import PairEncoder, strict_results
from polyspan.interop.transformers.words import whole_words
from polyspan.reader import Reader, ReadOptions
from polyspan.types import Answer, Reading, Span

Result = dict[str, Any]

TASK = "question-answering"
_LENGTHS = ("max_seq_len", "doc_stride", "max_question_len", "max_answer_len")
_OPENING = {field.name for field in fields(Opening)}
_NO_EFFECT = {
    *("config", "feature_extractor", "image_processor", "processor", "modelcard", "use_fast", "framework"),
    *("binary_output", "args_parser", "task"),
}
"""Arguments of opening that never changed an answer of this task."""
_REFUSED = {
    "token": "set HF_TOKEN instead",
    "use_auth_token": "set HF_TOKEN instead",
    "trust_remote_code": "a model's own code is never run here",
    "device_map": "give device",
    "pipeline_class": "call that class itself",
    "model_kwargs": "give dtype, or an open model",
}


def pipeline(
    task: str | None = None, model: Any = None, config: Any = None, tokenizer: Any = None, **arguments: Any
) -> "QuestionAnsweringPipeline":
    """What answers questions as transformers 4 did.

    Args:
        task: "question-answering".
        model: a folder, a hub id, an open ``AutoModelForQuestionAnswering``, or None for the reader that comes with
            polyspan.
        config: without effect; a model has its own.
        tokenizer: a folder, a hub id or an open fast tokenizer; None for the model's own.
        arguments: those of ``QuestionAnsweringPipeline``.

    Raises:
        InputError: for another task, and for what ``QuestionAnsweringPipeline`` refuses.
    """
    if task not in (None, TASK):
        raise InputError(f"the task {task!r} is not one of polyspan's; expected {TASK!r}, take transformers for others")
    return QuestionAnsweringPipeline(model, tokenizer, config=config, **arguments)


class QuestionAnsweringPipeline:
    """Questions and contexts to ``{"score", "start", "end", "answer"}``.

    ``reader`` is the reader behind it; ``model`` and ``tokenizer`` are what it was made from.
    """

    default_input_names = "question,context"
    _load_tokenizer = True  # what transformers' own pipeline() loads for a class that is registered there
    _load_processor = _load_image_processor = _load_video_processor = _load_feature_extractor = False

    def __init__(self, model: Any = None, tokenizer: Any = None, *, strict_v4: bool = False, **arguments: Any) -> None:
        """Open a model.

        Args:
            model: as for ``pipeline``.
            tokenizer: likewise.
            strict_v4: answer exactly as transformers 4 did.
            arguments: ``device`` (torch's, or the number of a GPU, if there is one; None: the processor),
                ``torch_dtype`` or ``dtype``, ``revision``, ``local_files_only``, and those of a call, for all calls
                that do not give their own. Arguments of transformers without effect on an answer are taken; unknown
                ones bring a warning.

        Raises:
            InputError: if an argument makes no sense, or cannot be honoured.
            ModelError: if the model cannot be opened.
            MissingExtraError: if it needs torch and that is not installed.
        """
        for name, advice in _REFUSED.items():
            if arguments.pop(name, None):
                raise InputError(f"{name} has no meaning here; {advice}")
        if arguments.get("framework") not in (None, "pt"):
            raise InputError(f"framework {arguments['framework']!r} is not supported; leave it out")
        self.task, self.model, self.tokenizer = TASK, model, tokenizer
        arguments.setdefault("dtype", arguments.pop("torch_dtype", None))
        opening = Opening(**{name: arguments.pop(name) for name in _OPENING & set(arguments)})
        self.reader, source = open_named(model, tokenizer, opening)
        self._encoder = PairEncoder(source) if strict_v4 else None
        self._options = CallOptions().updated({k: v for k, v in arguments.items() if k not in _NO_EFFECT})
        self._parse = QuestionAnsweringArgumentHandler()

    def __call__(self, *given: Any, **arguments: Any) -> Any:
        """Answer.

        Args:
            given: examples, mappings with question and context or ``SquadExample``s, one, several or a list of them; a
                generator or a dataset of them; or two texts, question and context.
            arguments: ``question`` and ``context``, texts or lists, in place of ``given``. ``top_k``; ``doc_stride``,
                ``max_answer_len``, ``max_seq_len`` and ``max_question_len`` in tokens; ``handle_impossible_answer``;
                ``align_to_words``; ``batch_size``, windows.

        Returns:
            For one example a mapping with score (0 to 1), start, end (characters, exclusive) and answer, or a list of
            them, best first, where there are several. For more examples a list of these, for a generator or a dataset
            an iterator. Empty text, from 0 to 0, says that there is no answer.

        Raises:
            InputError: if the input or an argument makes no sense; it is a ValueError.
            MissingKeyError: if a mapping has no question or context; it is a KeyError.
        """
        examples = self._parse(*given, **arguments)
        options = self._options.updated({name: value for name, value in arguments.items() if name not in INPUTS})
        if self._encoder is None:
            found = _results(self.reader, examples, options)
        else:
            found = strict_results(self.reader, self._encoder, examples, options)
        if isinstance(examples, Iterator):
            return map(_unwrapped, found)
        answered = [_unwrapped(one) for one in found]
        return answered[0] if len(examples) == 1 else answered

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write the model, its tokenizer and its calibration as a folder."""
        self.reader.save_pretrained(save_directory)

    @staticmethod
    def create_sample(question: Any, context: Any) -> SquadExample | list[SquadExample]:
        """The example, or the examples of lists, that a call takes."""
        examples = list(QuestionAnsweringArgumentHandler()(question=question, context=context))
        return examples if isinstance(question, list) else examples[0]


def _unwrapped(found: list[Result]) -> Result | list[Result]:
    return found[0] if len(found) == 1 else found


def _results(reader: Reader, examples: Iterable[SquadExample], options: CallOptions) -> Iterator[list[Result]]:
    """For each example its answers, best first, as they come; what the reader had to do to it becomes a warning."""
    contexts: deque[str] = deque()

    def pairs() -> Iterator[tuple[str, list[str]]]:
        for example in examples:
            contexts.append(example.context_text)
            yield example.question_text, [example.context_text]

    for reading in reader.read_stream(pairs(), _read_options(reader.defaults, options)):
        for notice in reading.notices:
            warnings.warn(notice, UserWarning, stacklevel=3)
        yield _ranked(reading, contexts.popleft(), options)


def _read_options(defaults: ReadOptions, options: CallOptions) -> ReadOptions:
    lengths = {name: getattr(options, name) for name in _LENGTHS}
    if options.max_seq_len is not None and options.doc_stride is None:
        lengths["doc_stride"] = min(options.max_seq_len // 2, defaults.doc_stride)
    given: dict[str, Any] = {name: int(value) for name, value in lengths.items() if value is not None}
    read = replace(defaults, top_k=int(options.top_k), return_no_answer=bool(options.handle_impossible_answer), **given)
    if options.batch_size is None:
        return read
    return replace(read, batch_tokens=int(options.batch_size) * read.max_seq_len)


def _ranked(reading: Reading, context: str, options: CallOptions) -> list[Result]:
    """Answers, with "no answer" among them if it is allowed, and alone where nothing can be quoted."""
    quotes = list(_quotes(reading.answers or reading.candidates, context, options.align_to_words))
    if quotes and not options.handle_impossible_answer:
        return quotes
    score = reading.no_answer.score if options.handle_impossible_answer else 0.0
    none: Result = {"score": score, "start": 0, "end": 0, "answer": ""}
    ranked = with_no_answer(quotes, none, reading.no_answer.chosen, lambda one: float(one["score"]))
    return ranked[: options.top_k]


def _quotes(answers: Iterable[Answer], context: str, align_to_words: bool) -> Iterator[Result]:
    """Answers as mappings, each place once."""
    seen = set()
    for answer in answers:
        span = Span(answer.start, answer.end)
        if align_to_words:
            span = whole_words(context, span)
        if span not in seen:
            seen.add(span)
            text = context[span.start : span.end]
            yield {"score": answer.score, "start": span.start, "end": span.end, "answer": text}
