"""A whole run of an encoder that learns to retrieve: pairs, scores before and after, the model's folder."""

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from polyspan.errors import InputError, MissingExtraError, ModelError

if missing := [name for name in ("sentence_transformers", "datasets", "onnx", "onnxscript") if find_spec(name) is None]:
    raise MissingExtraError(f"training a retriever (without {', '.join(missing)})", "retriever")

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from polyspan.backends.folder import one_line
from polyspan.backends.hub import SHIPPED, find_files
from polyspan.backends.sentence import MODULES_FILE, MORE_FILES, SentenceFolder
from polyspan.backends.torch import OPENING, quietly
from polyspan.backends.torch_encoder import TorchEncoder, open_library_model
from polyspan.datasets import write_json
from polyspan.evaluation import Questions, read_questions
from polyspan.evaluation.encoders import encode, encoder_figures, encoder_report
from polyspan.evaluation.opendomain import Collection, choose, collect
from polyspan.export.encoder import write_encoder_onnx
from polyspan.training.loop import RunSettings
from polyspan.training.model import freeze
from polyspan.training.recipe import as_mapping
from polyspan.training.retriever_card import retriever_card
from polyspan.training.retriever_loop import prompts_of, train_steps
from polyspan.training.retriever_pairs import Lesson, PairSet, add_negatives, read_lessons, read_pairs, write_lessons
from polyspan.training.retriever_recipe import RetrieverRecipe
from polyspan.training.run import CARD, REPORT, WORK, bars, check_out, check_room, move_files, run_digest
from polyspan.types import FloatArray, Report

STATE = "run.json"
LESSONS = "lessons.jsonl.gz"
CHECKPOINTS = "checkpoints"
"""The trainer's own, with pickled moments; they go when the run is over."""


@dataclass(frozen=True, slots=True)
class RetrieverReport:
    """What a run did: ``finished`` is False where it stopped for now.

    ``pairs`` is how many questions an epoch has, ``left_out`` how many had no wrong passage. ``before`` and ``after``
    hold the scores of each dev file, by path, 0 to 100. ``onnx`` says whether the model opens without torch.
    """

    finished: bool
    steps: int
    pairs: int
    left_out: int
    seconds: float
    losses: Sequence[float]
    before: Mapping[str, Mapping[str, float]]
    after: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    onnx: bool = False


@dataclass(slots=True)
class _State:
    """What a run keeps beside the trainer's checkpoints: which run it is, the time it took, the scores before."""

    digest: str
    seconds: float = 0.0
    before: dict[str, Report] | None = None


@dataclass(frozen=True, slots=True)
class _Dev:
    """The questions of the development files, by path, and what they are asked of."""

    asked: Mapping[str, Questions]
    collection: Collection | None

    def measure(self, encoder: TorchEncoder, progress: Any) -> dict[str, Report]:
        """What an encoder's rankings are worth on each file."""
        if self.collection is None:
            return {}
        figures = encoder_figures(encoder, list(self.asked.values()), self.collection, progress)
        return {
            path: encoder_report(values, {**questions.source, "model": encoder.name, **self.collection.signature})
            for (path, questions), values in zip(self.asked.items(), figures, strict=True)
        }


def train_retriever(recipe: RetrieverRecipe, out: Path, settings: RunSettings | None = None) -> RetrieverReport:
    """Train an encoder; ``out`` becomes its folder, with the run's own files in ``out/training``.

    A run that was interrupted goes on from its last checkpoint, to the same weights.

    Args:
        recipe: the whole run.
        out: a new or empty folder, or that of the same run.
        settings: what does not change the result.

    Raises:
        InputError: if ``out`` holds something else, the disk has no room, or there are several processes.
        DatasetError, ModelError: if data or model cannot be used; before any long work.
    """
    settings, work, began = RunSettings() if settings is None else settings, out / WORK, time.monotonic()
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("a retriever is trained by a single process; run the command without torchrun")
    check_out(out)
    state = _read_state(work / STATE, run_digest(recipe))
    if (work / REPORT).is_file():
        return RetrieverReport(**_read_json(work / REPORT)["report"])
    dev, pairs = _open_dev(recipe), read_pairs(recipe)
    model, name = open_student(recipe)
    check_room(out, model)
    progress = bars(settings.show_progress)
    encoder = TorchEncoder(model, name, prompts_of(model))
    if not (work / LESSONS).is_file():
        found = _mine(recipe, pairs, encoder, progress)
        work.mkdir(parents=True, exist_ok=True)
        write_json(work / STATE, asdict(state))
        write_lessons(work / LESSONS, found)
    lessons = read_lessons(work / LESSONS)
    if state.before is None:
        state.before = dev.measure(encoder, progress)
        write_json(work / STATE, asdict(state))
    trained = train_steps(recipe, model, lessons, work / CHECKPOINTS, settings, began)
    state.seconds += time.monotonic() - began
    write_json(work / STATE, asdict(state))
    report = RetrieverReport(
        finished=trained.global_step >= trained.max_steps,
        steps=trained.global_step,
        pairs=len(lessons),
        left_out=len(pairs.pairs) - len(lessons),
        seconds=round(state.seconds, 1),
        losses=[round(entry["loss"], 6) for entry in trained.log_history if "loss" in entry],
        before=_scores(state.before),
    )
    if not report.finished:
        return report
    after = dev.measure(TorchEncoder(model, recipe.name or out.name, encoder.prompts), progress)
    card = retriever_card(recipe, recipe.name or out.name, pairs.questions, state.seconds / 60, (state.before, after))
    report = replace(report, after=_scores(after), onnx=_write_folder(model, card, out))
    write_json(work / REPORT, {"recipe": as_mapping(recipe), "report": asdict(report)})
    shutil.rmtree(work / CHECKPOINTS, ignore_errors=True)
    return report


def open_student(recipe: RetrieverRecipe) -> tuple[SentenceTransformer, str]:
    """The model that learns, with its prompts as "query" and "document", and its name.

    A plain transformer is pooled by mean, at length 1.

    Raises:
        InputError: if ``freeze`` names no module of it.
        ModelError: if sentence-transformers cannot open it.
    """
    if recipe.model == SHIPPED:
        raise InputError(
            f"{SHIPPED}: the encoder that ships is in 8 bits; train intfloat/multilingual-e5-small instead"
        )
    path, name = find_files(recipe.model, recipe.revision or None, more=MORE_FILES)
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    if (path / MODULES_FILE).is_file():
        prompts = SentenceFolder(path).prompts
        model = open_library_model(path, str(device), model_kwargs={"dtype": torch.float32})
    else:
        prompts = "", ""
        model = open_library_model(None, str(device), modules=_pooled(path))
    question, passage = recipe.question_prompt, recipe.passage_prompt
    model.prompts = {
        "query": prompts[0] if question is None else question,
        "document": prompts[1] if passage is None else passage,
    }
    model.max_seq_length = min(recipe.max_seq_len, model.max_seq_length or recipe.max_seq_len)
    freeze(model, recipe.optimisation.freeze)
    return model, name or path.resolve().name


def _pooled(path: Path) -> list[torch.nn.Module]:
    """The modules of an encoder around a plain transformer."""
    try:
        with quietly():
            transformer = Transformer(
                str(path),
                model_kwargs={"dtype": torch.float32, **OPENING},
                processor_kwargs=OPENING,
                config_kwargs=OPENING,
            )
    except Exception as error:  # odd configurations and broken weights fail in many ways
        raise ModelError(f"{path}: transformers cannot open it: {one_line(error)}") from error
    return [transformer, Pooling(transformer.get_embedding_dimension(), "mean"), Normalize()]


def _open_dev(recipe: RetrieverRecipe) -> _Dev:
    asked = {
        file.path: choose(
            read_questions(Path(file.path), file.language), unanswerable=False, sample=recipe.dev_questions or None
        )
        for file in recipe.dev
    }
    return _Dev(asked, collect(list(asked.values())) if asked else None)


def _mine(recipe: RetrieverRecipe, pairs: PairSet, encoder: TorchEncoder, progress: Any) -> list[Lesson]:
    def vectors(questions: Sequence[str], passages: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        return (
            encode(encoder.encode_questions, questions, progress, "questions to learn from"),
            encode(encoder.encode_passages, passages, progress, "passages to learn from"),
        )

    lessons = add_negatives(pairs, recipe.negatives, recipe.seed, vectors, progress)
    if len(lessons) < 2:
        raise InputError("the data files give no wrong passages to learn from: all hold the answers; add contexts")
    return lessons


def _write_folder(model: SentenceTransformer, card: str, out: Path) -> bool:
    """Put the model into its folder, with an ONNX file if it can be exported; whether it has one."""
    latest = out / WORK / "latest"
    shutil.rmtree(latest, ignore_errors=True)
    with quietly():
        model.save_pretrained(str(latest), create_model_card=False)
    (latest / CARD).write_text(card, encoding="utf-8")
    try:
        write_encoder_onnx(SentenceFolder(latest))
    except ModelError:
        shutil.rmtree(latest / "onnx", ignore_errors=True)
    has_onnx = (latest / "onnx").is_dir()
    move_files(latest, out)
    shutil.rmtree(latest)
    return has_onnx


def _scores(reports: Mapping[str, Report]) -> dict[str, dict[str, float]]:
    return {path: dict(report.scores) for path, report in reports.items()}


def _read_state(path: Path, digest: str) -> _State:
    """What was kept of this run; InputError where it is another one's."""
    if not path.is_file():
        return _State(digest)
    content = _read_json(path)
    if content["digest"] != digest:
        raise InputError(
            f"{path}: is of another recipe or other data (run {content['digest']}, this is {digest}); give another "
            "--out, or remove the folder"
        )
    before = content["before"]
    reports = None if before is None else {name: Report(**report) for name, report in before.items()}
    return _State(digest, content["seconds"], reports)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable ({error}); remove {path.parent} to begin anew") from error
