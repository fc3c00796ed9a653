"""Haystack's extractive reader over ``Reader``."""

import asyncio
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast, get_type_hints

from haystack import Document, ExtractedAnswer, component, default_from_dict, default_to_dict
from haystack.utils import ComponentDevice, Secret

from polyspan.errors import InputError
from polyspan.interop.haystack.answers import Showing, answers_of, readable, sources
from polyspan.interop.haystack.arguments import opening_of, plain
from polyspan.interop.opening import open_named
from polyspan.reader import NEVER_TRAINED, Reader, ReadOptions

TOKENS = ["HF_API_TOKEN", "HF_TOKEN"]
ALL_BUT_EQUAL = 1.0


class ReaderInputs(TypedDict, total=False):
    """What a call may set for itself; what is absent or None is as the component has it."""

    top_k: int | None
    score_threshold: float | None
    max_seq_length: int | None
    stride: int | None
    max_batch_size: int | None
    answers_per_seq: int | None
    no_answer: bool | None
    overlap_threshold: float | None


INPUTS = get_type_hints(ReaderInputs)


@component
@dataclass(eq=False)
class PolyspanReader:
    """Documents and a question to ``ExtractedAnswer``s, in place of Haystack's ``TransformersExtractiveReader``.

    ``model`` is a folder, a hub id, "default" for the reader that comes with polyspan, or an open ``Reader``, which
    cannot be written to YAML. ``device`` None takes a GPU, if there is one, for a model without an ONNX file. ``token``
    is for the hub, looked up when the model is opened. ``model_kwargs`` may hold "torch_dtype" or "dtype", "revision",
    "local_files_only" and "device_map".

    There are ``top_k`` answers at most, ``answers_per_seq`` of one window (None: as many as ``top_k``), and with
    ``no_answer`` one more, without text and document. It stands first if and only if the model decides for it, and its
    score does not depend on ``top_k``. Scores are calibrated probabilities, 0 to 1, those of all answers and of "no
    answer" together 1 at most; with a ``calibration_factor`` those of answers are as Haystack's, the logistic function
    of so many times the sum of the logits. What has a score below ``score_threshold`` is left out. Of two answers of a
    document that share more than ``overlap_threshold`` (0 to 1) of the shorter one's characters, the worse one goes;
    with None only the equal ones do.

    A window has ``max_seq_length`` tokens and shares ``stride`` with the one before. ``max_batch_size`` windows are
    scored at once (None: as many as suit the model). What follows is the model's own where it is None:
    ``max_answer_len`` and ``max_question_len`` in tokens; ``no_answer_threshold``, the null margin in logits above
    which there is no answer; ``language``, whose threshold is taken ("auto": the question's); ``context_chars``, the
    length of ``context``, the text around an answer.

    ``reader`` is the ``Reader`` behind it; None before ``warm_up`` or the first question.

    Raises:
        InputError: if an argument makes no sense, or cannot be honoured; it is a ValueError.
    """

    model: str | Path | Reader = "default"
    device: ComponentDevice | None = None
    token: Secret | None = field(default_factory=partial(Secret.from_env_var, TOKENS, strict=False))
    top_k: int = 20
    score_threshold: float | None = None
    max_seq_length: int = 384
    stride: int = 128
    max_batch_size: int | None = None
    answers_per_seq: int | None = None
    no_answer: bool = True
    calibration_factor: float | None = None
    overlap_threshold: float | None = 0.01
    model_kwargs: dict[str, Any] | None = None
    max_answer_len: int | None = None
    max_question_len: int | None = None
    no_answer_threshold: float | None = None
    language: str | None = None
    context_chars: int | None = None
    reader: Reader | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Declare the inputs, and refuse what makes no sense before a model is opened."""
        for name, kind in INPUTS.items():
            component.set_input_type(self, name, kind, None)
        opening_of(self.device, self.model_kwargs, None)
        self._read_options(ReadOptions(), self._settings({}))

    def to_dict(self) -> dict[str, Any]:
        """All arguments as YAML can hold them. InputError where ``model`` is an open reader."""
        if isinstance(self.model, Reader):
            raise InputError("model: a Reader that is open already cannot be written; give its folder or hub id")
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        given["model"] = str(self.model)
        given["model_kwargs"] = plain(self.model_kwargs)
        for name in ("device", "token"):
            given[name] = None if given[name] is None else given[name].to_dict()
        return default_to_dict(self, **given)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "PolyspanReader":
        """The component of what ``to_dict`` gave."""
        given = dict(data.get("init_parameters", {}))
        for name, kind in (("device", ComponentDevice), ("token", Secret)):
            if isinstance(given.get(name), dict):
                given[name] = kind.from_dict(given[name])
        return default_from_dict(cls, {**data, "init_parameters": given})

    def warm_up(self) -> None:
        """Open the model, if it is not open yet.

        Raises:
            ModelError: if it cannot be opened.
            MissingExtraError: if it needs torch and that is not installed.
            ValueError: if ``token`` is a strict one whose variable is not set.
        """
        if self.reader is None:
            token = None if self.token is None else self.token.resolve_value()
            opening = opening_of(self.device, self.model_kwargs, token)
            self.reader, _ = open_named(self.model, None, opening)

    @component.output_types(answers=list[ExtractedAnswer])
    def run(self, query: str, documents: list[Document], **inputs: Unpack[ReaderInputs]) -> dict[str, Any]:
        """Answers to a question from all documents together, best first.

        Args:
            query: the question.
            documents: those without content are skipped.
            inputs: see ``ReaderInputs``.

        Returns:
            "answers": empty where there are no documents.
        """
        return {"answers": self._answers([(query, documents)], inputs)[0]}

    @component.output_types(answers=list[ExtractedAnswer])
    async def run_async(self, query: str, documents: list[Document], **inputs: Unpack[ReaderInputs]) -> dict[str, Any]:
        """As ``run``, in a thread."""
        return await asyncio.to_thread(self.run, query, documents, **inputs)

    def run_batch(
        self,
        queries: Sequence[str],
        documents: Sequence[Document] | Sequence[Sequence[Document]],
        **inputs: Unpack[ReaderInputs],
    ) -> dict[str, Any]:
        """Answers to many questions, equal to those of single calls, but in less time.

        Args:
            queries: the questions.
            documents: a list for each question, or one flat list for all of them.
            inputs: as for ``run``.

        Returns:
            "answers": a list for each question.
        """
        grouped = [one for one in documents if not isinstance(one, Document)]
        if isinstance(queries, str) or (grouped and len(grouped) != len(documents)):
            raise InputError("queries must be a list of questions; documents a flat list, or a list for each question")
        if not grouped:
            return {"answers": self._answers([(query, cast("list[Document]", documents)) for query in queries], inputs)}
        if len(grouped) != len(queries):
            raise InputError(f"{len(queries)} questions and {len(grouped)} lists of documents; give one list for each")
        return {"answers": self._answers(list(zip(queries, grouped, strict=True)), inputs)}

    def _answers(
        self, asked: Sequence[tuple[str, Sequence[Document]]], inputs: ReaderInputs
    ) -> list[list[ExtractedAnswer]]:
        """Of each question; what the reader had to do to its input becomes a warning."""
        self.warm_up()
        reader, settings = cast("Reader", self.reader), self._settings(inputs)
        options = self._read_options(reader.defaults, settings)
        if any(sources(documents) < len(documents) for _, documents in asked):
            options = replace(options, top_k=2 * options.top_k)  # parts of a text share some of it with the next one
        found = []
        readings = reader.read_stream(((query, readable(documents)) for query, documents in asked), options)
        for (query, documents), reading in zip(asked, readings, strict=True):
            threshold = reader.threshold(options, query)
            untrained = [NEVER_TRAINED] if settings["no_answer"] and threshold is None else []
            for notice in (*reading.notices, *untrained):
                warnings.warn(notice, UserWarning, stacklevel=4)
            shown = Showing(
                settings["top_k"],
                settings["no_answer"],
                threshold,
                settings["score_threshold"],
                self.calibration_factor,
            )
            found.append(answers_of(reading, documents, shown) if documents else [])
        return found

    def _settings(self, inputs: ReaderInputs) -> dict[str, Any]:
        """What ``ReaderInputs`` names, as a call has it. TypeError for other names."""
        if unknown := sorted(set(inputs) - set(INPUTS)):
            raise TypeError(f"unknown inputs: {', '.join(unknown)}; known are {', '.join(INPUTS)}")
        given = {name: value for name, value in inputs.items() if value is not None}
        return {name: given.get(name, getattr(self, name)) for name in INPUTS}

    def _read_options(self, defaults: ReadOptions, settings: dict[str, Any]) -> ReadOptions:
        per_window, overlap = settings["answers_per_seq"], settings["overlap_threshold"]
        own = ("max_answer_len", "max_question_len", "no_answer_threshold", "language", "context_chars")
        given = {name: getattr(self, name) for name in own if getattr(self, name) is not None}
        if settings["max_batch_size"] is not None:
            given["batch_tokens"] = settings["max_batch_size"] * settings["max_seq_length"]
        return replace(
            defaults,
            top_k=settings["top_k"],
            top_k_per_window=settings["top_k"] if per_window is None else per_window,
            return_no_answer=False,  # what is no answer is told apart when all answers are there
            score_threshold=0.0,
            overlap_threshold=ALL_BUT_EQUAL if overlap is None else overlap,
            max_seq_len=settings["max_seq_length"],
            doc_stride=settings["stride"],
            **given,
        )
