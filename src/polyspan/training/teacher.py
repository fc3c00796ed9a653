"""What teachers say about a student's windows, kept on disk so that it is computed once."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from polyspan.backends import BackendOptions, ModelFolder, find_model, open_scorer
from polyspan.backends.digest import WEIGHTS, model_content
from polyspan.errors import InputError, ModelError
from polyspan.features import PairTokenizer, Tokens, WindowSettings, collate, make_windows, plan_batches
from polyspan.training.batches import PAD_TO
from polyspan.training.examples import TrainingWindow
from polyspan.training.recipe import TeacherSpec
from polyspan.types import FloatArray, Int32Array, Span, Window

BLOCK_WINDOWS = 2_048
BATCH_TOKENS = 4_096
DIGEST_BYTES = 16
LOWEST = float(np.finfo(np.float16).min)
ROW = np.dtype([("logits", np.float16, 2), ("offsets", np.int32, 2)])
Shown = Callable[[Iterable[list[int]], int, str], Iterable[list[int]]]


class Prediction(NamedTuple):
    """Start and end logits, float32 [1 + tokens], null first, and the tokens' characters, int32 [tokens, 2].

    The best logit is 0, for what is added to all of them says nothing.
    """

    start: FloatArray
    end: FloatArray
    offsets: Int32Array


class Teacher:
    """A reader that has read the windows of a run; its logits lie in memory-mapped files.

    The cache is keyed by the teacher's weights and tokenizer, the size of its windows, and each window's question
    and characters, so runs share it and an interrupted one goes on. Logits are kept as float16, below the best one,
    so that those that count are exact to a thousandth.
    """

    def __init__(self, spec: TeacherSpec, windows: WindowSettings, cache: Path, device: str = "cpu") -> None:
        """Open the model; ModelError where it is no extractive reader."""
        self.spec = spec
        folder = find_model(spec.model, spec.revision or None)
        self._scorer = open_scorer(folder, _options(folder, device, spec.precision))
        longest = self._scorer.max_seq_len
        # The teacher may need more tokens for the same characters than the student.
        size = 2 * windows.max_seq_len if longest is None else longest
        self._settings = WindowSettings(size, 0, windows.max_question_len)
        self._cache = cache / teacher_digest(folder, self._settings, spec.precision)
        self._shards: list[tuple[Any, ...]] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        self._context: tuple[str, Tokens] | None = None

    def speaks(self, language: str) -> bool:
        """Whether the recipe asks this teacher about a language."""
        return not self.spec.languages or language in self.spec.languages

    def has_tokens_of(self, tokenizer: PairTokenizer, texts: Iterable[str]) -> bool:
        """Whether its tokenizer is as good as another, by ``have_same_tokens``."""
        return have_same_tokens(self._scorer.tokenizer, tokenizer, texts)

    def live_logits(self, windows: Sequence[TrainingWindow]) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, [windows, tokens], of a student's own tokens, padded as it reads them."""
        return self._scorer.score(collate([one.window for one in windows], self._scorer.tokenizer.pad_id, PAD_TO))

    def read_all(self, windows: Sequence[TrainingWindow], shown: Shown) -> None:
        """Compute what the cache lacks, and open it.

        Raises:
            InputError: if the cache cannot be written, or no window fits.
            ModelError: if the logits are not numbers.
        """
        self.open_cache()
        wanted = {key(one): number for number, one in enumerate(windows) if self.speaks(one.language)}
        missing = [number for digest, number in wanted.items() if digest not in self._places]
        blocks = [missing[begin : begin + BLOCK_WINDOWS] for begin in range(0, len(missing), BLOCK_WINDOWS)]
        for block in shown(blocks, len(blocks), f"{self._scorer.name} reads"):
            self._write([windows[number] for number in block])
        self.open_cache()
        if wanted and all(self.prediction(windows[number]) is None for number in wanted.values()):
            raise InputError(
                f"{self.spec.model}: this teacher can see {self._settings.max_seq_len} tokens, and none of the "
                f"{len(wanted)} windows fits into them; lower windows.max_seq_len or give another teacher"
            )

    def open_cache(self) -> None:
        """Map all files that are there."""
        self._shards, self._places = [], {}
        for number, folder in enumerate(sorted(self._cache.glob("shard-*"))):
            self._shards.append((np.load(folder / "begins.npy"), np.load(folder / "rows.npy", mmap_mode="r")))
            for row, digest in enumerate(np.load(folder / "keys.npy")):
                self._places[digest.tobytes()] = number, row

    def prediction(self, one: TrainingWindow) -> Prediction | None:
        """What the teacher says about a window; None where it was not asked or could not see all of it."""
        place = self._places.get(key(one)) if self.speaks(one.language) else None
        if place is None:
            return None
        begins, rows = self._shards[place[0]]
        found = rows[begins[place[1]] : begins[place[1] + 1]]
        if not len(found):
            return None
        logits = np.asarray(found["logits"], np.float32)
        return Prediction(logits[:, 0], logits[:, 1], np.asarray(found["offsets"][1:]))

    def _write(self, windows: Sequence[TrainingWindow]) -> None:
        """One more shard, whole or not at all."""
        rows = [_rows(one) for one in self._score([self._window(one) for one in windows])]
        arrays: dict[str, npt.NDArray[Any]] = {
            "keys": np.frombuffer(b"".join(key(one) for one in windows), np.uint8).reshape(-1, DIGEST_BYTES),
            "begins": np.cumsum([0, *map(len, rows)]),
            "rows": np.concatenate(rows),
        }
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._cache) as scratch:
                shard = Path(scratch) / "shard"
                shard.mkdir()
                for name, array in arrays.items():
                    np.save(shard / f"{name}.npy", array)
                shard.replace(self._cache / f"shard-{sha256(arrays['keys'].tobytes()).hexdigest()[:DIGEST_BYTES]}")
        except OSError as error:
            raise InputError(f"{self._cache}: cannot be written ({error}); make room and run again to go on") from error

    def _window(self, one: TrainingWindow) -> Window | None:
        """The student's characters in the teacher's tokens; None where they do not fit into one window."""
        if self._context is None or self._context[0] != one.context:
            self._context = one.context, self._scorer.tokenizer.encode(one.context)
        tokens, span = self._context[1], characters(one.window)
        inside = (tokens.offsets[:, 0] >= span.start) & (tokens.offsets[:, 1] <= span.end)
        part = Tokens(tokens.ids[inside], tokens.offsets[inside])
        question = self._scorer.tokenizer.encode(one.question).ids
        try:
            found = list(make_windows(question, part, self._scorer.tokenizer.template, self._settings))
        except InputError:  # the question alone leaves no room
            return None
        return found[0] if len(found) == 1 else None

    def _score(self, windows: Sequence[Window | None]) -> list[Prediction | None]:
        readable = {number: window for number, window in enumerate(windows) if window is not None}
        numbers = list(readable)
        found: list[Prediction | None] = [None] * len(windows)
        lengths = [len(readable[number].input_ids) for number in numbers]
        for batch in plan_batches(lengths, BATCH_TOKENS):
            chosen = [numbers[i] for i in batch]
            group = [readable[number] for number in chosen]
            start, end = self._scorer.score(collate(group, self._scorer.tokenizer.pad_id))
            for row, (number, window) in enumerate(zip(chosen, group, strict=True)):
                context = slice(window.context_start, window.context_start + len(window.offsets))
                places = np.r_[0, np.arange(context.start, context.stop)]
                logits = np.stack([start[row, places], end[row, places]])
                if not np.isfinite(logits).all():
                    raise ModelError(f"{self._scorer.name}: its logits are not finite numbers; it cannot teach")
                below = logits - logits.max(1, keepdims=True)
                found[number] = Prediction(below[0], below[1], window.offsets)
        return found


def _options(folder: ModelFolder, device: str, precision: str) -> BackendOptions:
    has_weights = any(path for pattern in WEIGHTS for path in folder.path.glob(pattern))
    if precision != "float32" or (device != "cpu" and has_weights):
        return BackendOptions(backend="torch", device=device, dtype=precision)
    return BackendOptions()


def have_same_tokens(one: PairTokenizer, other: PairTokenizer, texts: Iterable[str]) -> bool:
    """Whether two tokenizers have the same special tokens, and give these texts the same tokens."""
    same = (np.array_equal(one.encode(text).ids, other.encode(text).ids) for text in texts)
    return one.template == other.template and all(same)


def characters(window: Window) -> Span:
    """The characters of the whole context that a window covers."""
    return Span(int(window.offsets[:, 0].min()), int(window.offsets[:, 1].max()))


def key(one: TrainingWindow) -> bytes:
    """What a teacher's answer depends on beside the teacher: 16 bytes over question, context and characters."""
    span = characters(one.window)
    content = "\0".join((one.question, one.context, f"{span.start}:{span.end}"))
    return sha256(content.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


def teacher_digest(folder: ModelFolder, settings: WindowSettings, precision: str) -> str:
    """16 hex digits over a model folder's weights, configuration and tokenizer, its precision and its windows' size."""
    digest = sha256(f"{settings} {precision}".encode())
    for content in model_content(folder):
        digest.update(content)
    return digest.hexdigest()[:DIGEST_BYTES]


def _rows(prediction: Prediction | None) -> npt.NDArray[Any]:
    """What is kept of a prediction: a ROW for null and for each token, none where there is no prediction."""
    if prediction is None:
        return np.zeros(0, ROW)
    rows = np.zeros(len(prediction.start), ROW)
    rows["logits"] = np.maximum(np.stack([prediction.start, prediction.end], 1), LOWEST)
    rows["offsets"][1:] = prediction.offsets
    return rows


def log_probabilities(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Log softmax, [tokens]."""
    shifted = logits.astype(np.float64) - logits.max()
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result
