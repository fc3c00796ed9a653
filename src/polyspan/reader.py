"""Questions and documents to quotes."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from unicodedata import category

import numpy as np

from polyspan.backends import (
    BackendOptions,
    ModelFolder,
    NativeSettings,
    SpanScorer,
    find_model,
    open_scorer,
)
from polyspan.decoding import (
    RUNNERS_UP,
    Calibration,
    Candidate,
    Decoded,
    SpanSettings,
    answer_features,
    decode_window,
    detect_language,
    merge_candidates,
    snippet_span,
    whole_characters,
)
from polyspan.errors import InputError, ModelError
from polyspan.features import WindowSettings, collate, plan_batches
from polyspan.tasks import Task, WindowCutter, as_passages, checked_question, is_collection, take_windows
from polyspan.types import (
    LANGUAGE_CODE,
    Answer,
    Document,
    FloatArray,
    NoAnswer,
    Readable,
    Reading,
    Span,
    Window,
)

BLOCK_WINDOWS = 512
AUTO_LANGUAGE = "auto"
NEVER_TRAINED = "this model was never trained to give no answer, so it always answers; scores compare spans only"
_PROBES = (
    ("Who painted the ceiling of the chapel?", "Water boils at a lower temperature on high mountains."),
    ("When was the treaty signed?", "The recipe needs flour, butter, eggs and a pinch of salt."),
    ("What is the name of the captain's ship?", "Bees dance to tell each other where flowers grow."),
    ("How many students passed the exam?", "The valley is known for its mild winters and stone bridges."),
)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How questions are answered.

    ``top_k`` answers in all, ``top_k_per_document`` of one document and ``top_k_per_window`` of one window at
    most (None: as many as ``top_k``). ``return_no_answer`` allows "no answer": chosen when the null margin plus
    ``no_answer_bias`` is above ``no_answer_threshold``, in logits (None: the model's own). Answers of a
    probability below ``score_threshold`` are dropped, and, where "no answer" is allowed but not chosen, those whose
    own null margin is above the threshold. ``language``, an ISO 639 code such as "de", takes the model's threshold and
    probabilities for it, if it has any; "auto" those for the question's language (see ``detect_language``). A
    probability that was fitted (see ``Calibration.confidence``) stays the same whatever threshold and bias are given,
    and holds for the lengths and the ``overlap_threshold`` that it was fitted with, the model's own. Lengths are in
    tokens; ``doc_stride`` is the overlap of neighbouring windows, ``overlap_threshold`` (0 to 1) what two answers may
    share, ``context_chars`` the length of the text shown around an answer, ``batch_tokens`` how many tokens are scored
    at once. Models that quantise a batch by its largest value answer otherwise in company; 1 scores each window alone.
    ``step``, where it is given, stands in place of ``doc_stride``: the tokens from one window's begin to the next
    one's.
    """

    top_k: int = 5
    top_k_per_document: int | None = None
    top_k_per_window: int | None = None
    return_no_answer: bool = True
    no_answer_threshold: float | None = None
    no_answer_bias: float = 0.0
    language: str | None = None
    score_threshold: float = 0.0
    overlap_threshold: float = 0.01
    max_seq_len: int = 384
    doc_stride: int = 128
    max_question_len: int = 64
    max_answer_len: int = 64
    context_chars: int = 240
    batch_tokens: int = 800
    step: int | None = None

    def __post_init__(self) -> None:
        """Refuse counts below 1 and what is no language."""
        for name in ("top_k", "top_k_per_document", "top_k_per_window", "batch_tokens", "step"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.language is not None and not re.fullmatch(f"{LANGUAGE_CODE}|{AUTO_LANGUAGE}", str(self.language)):
            raise InputError(f"language must be an ISO 639 code such as 'de', or 'auto', not {self.language!r}")


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """When the documents that are left need not be read.

    ``enough`` is asked after each of the rising numbers of documents ``after``, of what was found in them.
    """

    after: Sequence[int]
    enough: Callable[[Reading], bool]

    def until(self, opened: int) -> int | None:
        """To which document to go on where so many were read; None: to the last."""
        return next((number for number in self.after if number > opened), None)


class Reader:
    """A model that answers questions by quoting; safe to use from several threads."""

    def __init__(self, scorer: SpanScorer, settings: NativeSettings | None = None) -> None:
        """Wrap any scorer.

        ``settings`` None takes an uncalibrated model and tries out on four unanswerable questions whether it
        gives no answer.
        """
        self.scorer = scorer
        settings = NativeSettings() if settings is None else settings
        if settings.no_answer is None:
            settings = replace(settings, no_answer=_abstains(scorer))
        self.settings = settings
        try:
            defaults = ReadOptions(**settings.options)
        except TypeError as error:
            raise ModelError(f"{scorer.name}: polyspan.json holds an unknown reading option: {error}") from error
        longest = defaults.max_seq_len if scorer.max_seq_len is None else scorer.max_seq_len
        self.defaults = replace(defaults, max_seq_len=min(defaults.max_seq_len, longest))

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        options: BackendOptions | None = None,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> "Reader":
        """Open a reader.

        Args:
            model: a model folder, a hub id ``org/name``, or None for the reader that comes with polyspan.
            options: runtime, device, precision, threads.
            revision: branch, tag or commit of a hub id.
            local_files_only: take hub ids from the local cache alone.

        Raises:
            ModelError: if there is no such model or its files are not those of an extractive reader.
            MissingExtraError: if it needs torch and that is not installed.
        """
        folder = find_model(model, revision, local_files_only)
        return cls(open_scorer(folder, BackendOptions() if options is None else options), folder.settings)

    def save_pretrained(self, path: str | Path) -> None:
        """Write the model with its calibration as a folder that ``from_pretrained`` opens.

        Everything is written beside the folder first, so an interrupted save leaves what was there.
        """
        folder = Path(path).absolute()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            unfinished = Path(scratch)
            self.scorer.save(unfinished)
            ModelFolder(unfinished).write_settings(self.settings)
            for file in [file for file in unfinished.rglob("*") if file.is_file()]:
                target = folder / file.relative_to(unfinished)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)

    def read(
        self, question: str, documents: Readable | Iterable[Readable], options: ReadOptions | None = None
    ) -> Reading:
        """Answer one question from all documents together.

        Args:
            question: any language; the model's best in those it was trained on.
            documents: texts, Documents, Passages or mappings with "text" and perhaps "id" and "title". Those without
                text are skipped. A text without an id gets its position as id.
            options: None takes ``self.defaults``.

        Raises:
            InputError: if the question is not a string with something in it, or a document of no known kind.
        """
        return next(self.read_stream([(question, documents)], options))

    def read_batch(
        self,
        questions: Iterable[str],
        documents: Iterable[Readable | Sequence[Readable]],
        options: ReadOptions | None = None,
    ) -> list[Reading]:
        """Answer many questions, each from all documents or, given a list for each question, from its own.

        The results equal those of single calls and stand in the order of the questions.
        """
        asked, given = list(questions), list(documents)
        collections = [one for one in given if is_collection(one)]
        if not collections:
            return list(self.read_stream(zip(asked, repeat(cast("list[Readable]", given))), options))
        if len(collections) != len(given) or len(given) != len(asked):
            raise InputError(
                f"read_batch got {len(asked)} questions, {len(collections)} lists of documents and "
                f"{len(given) - len(collections)} documents; give one list for each question, or one flat list for all"
            )
        return list(self.read_stream(zip(asked, collections, strict=True), options))

    def threshold(self, options: ReadOptions, question: str | None = None) -> float | None:
        """The null margin, in logits, above which a question has no answer, whether or not that is allowed.

        None where the null score does not count, as the model never learnt it and the options give no threshold of
        their own; and where each question has its own threshold, but none is given.
        """
        by_question = options.language == AUTO_LANGUAGE and self.settings.calibration.thresholds
        unknown = by_question and question is None and options.no_answer_threshold is None
        if unknown or not self._null_counts(options):
            return None
        return self._calibration(options, question).no_answer_threshold

    def _calibration(self, options: ReadOptions, question: str | None) -> Calibration:
        """That of the options' or the question's language, with the options' own threshold."""
        calibration, language, own = self.settings.calibration, options.language, options.no_answer_threshold
        if language == AUTO_LANGUAGE:
            differs = calibration.languages if own is None else calibration.confidences
            language = detect_language(question) if question and differs else None
        calibration = calibration.of(language)
        return calibration if own is None else replace(calibration, no_answer_threshold=own)

    def _null_counts(self, options: ReadOptions) -> bool:
        """Whether the null score means something."""
        return bool(self.settings.no_answer) or options.no_answer_threshold is not None

    def read_stream(
        self,
        pairs: Iterable[tuple[str, Readable | Iterable[Readable]]],
        options: ReadOptions | None = None,
        stop: EarlyStop | None = None,
    ) -> Iterator[Reading]:
        """Answer questions, each from its own documents, as they come; memory stays bounded.

        Windows of neighbouring questions are scored together, so results come in groups, in order. ``stop``, where the
        documents that deserve it most stand first, says when the others need not be read.
        """
        options = self.defaults if options is None else options
        spans, cutter = self._span_settings(options), self._cutter(options)
        tasks: deque[Task] = deque()
        coming = self._open_tasks(pairs, cutter, options, stop)
        while True:
            block = list(islice(take_windows(tasks, coming), BLOCK_WINDOWS))
            for (task, _), decoded in zip(block, self._decode(block, spans, options.batch_tokens), strict=True):
                task.decoded.append(decoded)
            for task in tasks:
                if task.taken and task.reading is None:
                    reading = self._finish(task, options)
                    if stop is None or task.opened == len(task.passages) or stop.enough(reading):
                        task.reading = reading
                    else:
                        cutter.open(task, stop.until(task.opened))
            while tasks and tasks[0].reading is not None:
                yield cast("Reading", tasks.popleft().reading)
            if not (block or tasks):
                return

    def window_logits(
        self, question: str, documents: Readable | Iterable[Readable], options: ReadOptions | None = None
    ) -> Iterator[tuple[Window, FloatArray, FloatArray]]:
        """Each window of a question over documents with its start and its end logits, each float32 [window's tokens].

        The windows are scored one by one. Raises what ``read`` raises.
        """
        options = self.defaults if options is None else options
        coming = self._open_tasks([(question, documents)], self._cutter(options), options, None)
        for _, window in take_windows(deque(), coming):
            (start,), (end,) = self._score([window])
            yield window, start, end

    def _cutter(self, options: ReadOptions) -> WindowCutter:
        settings = WindowSettings(options.max_seq_len, options.doc_stride, options.max_question_len, options.step)
        longest = self.scorer.max_seq_len
        if longest is not None and settings.max_seq_len > longest:
            raise InputError(
                f"max_seq_len {settings.max_seq_len} is more than {self.scorer.name} can see: {longest} tokens"
            )
        return WindowCutter(self.scorer.tokenizer, settings)

    def _span_settings(self, options: ReadOptions) -> SpanSettings:
        return SpanSettings(
            max_answer_len=options.max_answer_len,
            top_k=max(_per_window(options), RUNNERS_UP),
            overlap_threshold=options.overlap_threshold,
            temperature=self.settings.calibration.span_temperature,
            null_trained=self._null_counts(options),
        )

    def _open_tasks(
        self,
        pairs: Iterable[tuple[str, Readable | Iterable[Readable]]],
        cutter: WindowCutter,
        options: ReadOptions,
        stop: EarlyStop | None,
    ) -> Iterator[Task]:
        """All pairs as tasks whose first windows can be taken."""
        for question, documents in pairs:
            ids = self.scorer.tokenizer.encode(checked_question(question)).ids
            task = Task(question, ids, as_passages(documents), self._calibration(options, question))
            if len(ids) > options.max_question_len:
                task.notices.append(
                    f"the question has {len(ids)} tokens; only the first {options.max_question_len} were read "
                    "(max_question_len)"
                )
            cutter.open(task, None if stop is None else stop.until(0))
            yield task

    def _decode(self, block: Sequence[tuple[Task, Window]], settings: SpanSettings, batch_tokens: int) -> list[Decoded]:
        """What each window of a block says, in order, whichever batches they are scored in."""
        decoded: dict[int, Decoded] = {}
        for batch in plan_batches([len(window.input_ids) for _, window in block], batch_tokens):
            windows = [block[i][1] for i in batch]
            for i, window, start, end in zip(batch, windows, *self._score(windows), strict=True):
                decoded[i] = decode_window(window, start, end, settings)
        return [decoded[i] for i in range(len(block))]

    def _score(self, windows: Sequence[Window]) -> tuple[FloatArray, FloatArray]:
        """Logits of a batch, each [windows, tokens]; ModelError where they are not numbers."""
        start, end = self.scorer.score(collate(windows, self.scorer.tokenizer.pad_id))
        for row, window in enumerate(windows):
            size = len(window.input_ids)
            if not (np.isfinite(start[row, :size]).all() and np.isfinite(end[row, :size]).all()):
                raise ModelError(
                    f"{self.scorer.name}: its logits are not finite numbers; if it runs in half precision, try float32"
                )
        return start, end

    def _finish(self, task: Task, options: ReadOptions) -> Reading:
        """The windows' candidates as one reading."""
        shown = (one for decoded in task.decoded for one in decoded.candidates[: _per_window(options)])
        merged = merge_candidates(
            (candidate for candidate in shown if _says_something(task, candidate)),
            options.overlap_threshold,
            options.top_k if options.top_k_per_document is None else options.top_k_per_document,
        )[: options.top_k]
        calibration = task.calibration
        threshold = calibration.no_answer_threshold if self._null_counts(options) else None
        log_mass = float(np.logaddexp.reduce([decoded.log_mass for decoded in task.decoded], initial=-np.inf))
        features = _features(task, merged, calibration, log_mass, options) if merged else {}
        margin = merged[0].null_margin + options.no_answer_bias if merged else np.inf
        null = calibration.no_answer_probability(margin, features) if threshold is not None or not merged else 0.0
        chosen = options.return_no_answer and (not merged or (threshold is not None and margin > threshold))
        scores = calibration.answer_probabilities([one.null_margin for one in merged], log_mass, null, features)
        worst = np.inf
        if threshold is not None and options.return_no_answer and not chosen:
            worst = threshold - options.no_answer_bias
        found = tuple(
            _answer(candidate, task.document_of(candidate), score, options.context_chars)
            for candidate, score in zip(merged, scores, strict=True)
            if candidate.null_margin <= worst and score >= options.score_threshold
        )
        notices = task.notices + ([NEVER_TRAINED] if threshold is None and options.return_no_answer else [])
        return Reading(
            question=task.question,
            answers=() if chosen else found,
            no_answer=NoAnswer(null, chosen, float(margin)),
            candidates=found if chosen else (),
            notices=tuple(notices),
            features=features,
            passages_read=task.passages_read,
        )


def _says_something(task: Task, candidate: Candidate) -> bool:
    """Whether a span holds more than punctuation."""
    return any(character.isalnum() or category(character)[0] in "SN" for character in task.text_of(candidate))


def _per_window(options: ReadOptions) -> int:
    """How many answers of one window may be shown."""
    return options.top_k_per_window or options.top_k_per_document or options.top_k


def _features(
    task: Task, merged: Sequence[Candidate], calibration: Calibration, log_mass: float, options: ReadOptions
) -> dict[str, float]:
    """The best answer's features."""
    log_share = calibration.log_share(merged[0].null_margin, log_mass)
    return answer_features(merged[0], task.decoded, log_share, options.overlap_threshold, task.text_of)


def _answer(candidate: Candidate, document: Document, score: float, context_chars: int) -> Answer:
    begin = document.part_start or 0
    local = Span(candidate.span.start - begin, candidate.span.end - begin)
    span = whole_characters(document.text, local)
    around = snippet_span(document.text, span, context_chars)
    return Answer(
        text=document.text[span.start : span.end],
        start=begin + span.start,
        end=begin + span.end,
        score=score,
        raw_score=candidate.raw_score,
        null_margin=candidate.null_margin,
        document=document.id,
        page=document.page_at(begin + span.start),
        context=document.text[around.start : around.end],
        context_start=begin + around.start,
    )


def _abstains(scorer: SpanScorer) -> bool:
    """Whether a model prefers its null score on at least half of a few unanswerable questions."""
    reader = Reader(scorer, NativeSettings(no_answer=True))
    readings = reader.read_stream(_PROBES, replace(reader.defaults, max_question_len=16))
    return sum(reading.no_answer.null_margin > 0 for reading in readings) * 2 >= len(_PROBES)
