"""What teachers say about a student's windows, kept on disk so that it is computed once."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from polyspan.backends import BackendOptions, ModelFolder, find_model, open_scorer
from polyspan.features import Tokens, WindowSettings, collate, make_windows, plan_batches
from polyspan.training.examples import TrainingWindow
from polyspan.training.recipe import TeacherSpec
from polyspan.types import FloatArray, Int32Array, Span, Window

BLOCK_WINDOWS = 2_048
BATCH_TOKENS = 4_096
DIGEST_BYTES = 16
HASHED = ("config.json", "tokenizer.json*", "vocab.*", "merges.txt", "*.model", "*.safetensors", "*.bin", "**/*.onnx*")
Shown = Callable[[Iterable[list[int]], int, str], Iterable[list[int]]]


class Prediction(NamedTuple):
    """Start and end logits, float32 [1 + tokens], null first, and the tokens' characters, int32 [tokens, 2]."""

    start: FloatArray
    end: FloatArray
    offsets: Int32Array


class Teacher:
    """A reader that has read every window of a training set; its logits lie in memory-mapped files.

    The cache is keyed by the teacher's weights and tokenizer, the size of its windows, and each window's question
    and characters, so runs share it and an interrupted one goes on. Logits are kept as float16.
    """

    def __init__(self, spec: TeacherSpec, windows: WindowSettings, cache: Path, device: str = "cpu") -> None:
        """Open the model; ModelError where it is no extractive reader."""
        self.spec = spec
        folder = find_model(spec.model, spec.revision or None)
        on_cpu = device == "cpu"
        options = BackendOptions() if on_cpu else BackendOptions(backend="torch", device=device)
        self._scorer = open_scorer(folder, options)
        longest = self._scorer.max_seq_len
        # The teacher may need more tokens for the same characters than the student.
        size = 2 * windows.max_seq_len if longest is None else longest
        self._settings = WindowSettings(size, 0, windows.max_question_len)
        self._cache = cache / teacher_digest(folder, self._settings)
        self._shards: list[tuple[Any, ...]] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        self._context: tuple[str, Tokens] | None = None

    def speaks(self, language: str) -> bool:
        """Whether the recipe asks this teacher about a language."""
        return not self.spec.languages or language in self.spec.languages

    def read_all(self, windows: Sequence[TrainingWindow], shown: Shown) -> None:
        """Compute what the cache lacks, and open it."""
        self.open_cache()
        wanted = {key(one): number for number, one in enumerate(windows) if self.speaks(one.language)}
        missing = [number for digest, number in wanted.items() if digest not in self._places]
        blocks = [missing[begin : begin + BLOCK_WINDOWS] for begin in range(0, len(missing), BLOCK_WINDOWS)]
        for block in shown(blocks, len(blocks), f"{self._scorer.name} reads"):
            self._write([windows[number] for number in block])
        self.open_cache()

    def open_cache(self) -> None:
        """Map all files that are there."""
        self._shards, self._places = [], {}
        for number, folder in enumerate(sorted(self._cache.glob("shard-*"))):
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("begins", "logits", "offsets")]
            self._shards.append(tuple(arrays))
            for row, digest in enumerate(np.load(folder / "keys.npy")):
                self._places[digest.tobytes()] = number, row

    def prediction(self, one: TrainingWindow) -> Prediction | None:
        """What the teacher says about a window; None where it was not asked or could not see all of it."""
        place = self._places.get(key(one)) if self.speaks(one.language) else None
        if place is None:
            return None
        begins, logits, offsets = self._shards[place[0]]
        rows = slice(int(begins[place[1]]), int(begins[place[1] + 1]))
        if rows.start == rows.stop:
            return None
        found = np.asarray(logits[rows], np.float32)
        return Prediction(found[:, 0], found[:, 1], np.asarray(offsets[rows])[1:])

    def _write(self, windows: Sequence[TrainingWindow]) -> None:
        """One more shard, whole or not at all."""
        found = self._score([self._window(one) for one in windows])
        sizes = np.array([0, *(0 if one is None else len(one.start) for one in found)], np.int64)
        seen = [one for one in found if one is not None]
        logits = [np.stack([one.start, one.end], 1).astype(np.float16) for one in seen]
        offsets = [np.concatenate([np.zeros((1, 2), np.int32), one.offsets]) for one in seen]
        arrays: dict[str, npt.NDArray[Any]] = {
            "keys": np.frombuffer(b"".join(key(one) for one in windows), np.uint8).reshape(-1, DIGEST_BYTES),
            "begins": np.cumsum(sizes),
            "logits": np.concatenate([np.zeros((0, 2), np.float16), *logits]),
            "offsets": np.concatenate([np.zeros((0, 2), np.int32), *offsets]),
        }
        self._cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._cache) as scratch:
            shard = Path(scratch) / "shard"
            shard.mkdir()
            for name, array in arrays.items():
                np.save(shard / f"{name}.npy", array)
            shard.replace(self._cache / f"shard-{sha256(arrays['keys'].tobytes()).hexdigest()[:DIGEST_BYTES]}")

    def _window(self, one: TrainingWindow) -> Window | None:
        """The student's characters in the teacher's tokens; None where they do not fit into one window."""
        if self._context is None or self._context[0] != one.context:
            self._context = one.context, self._scorer.tokenizer.encode(one.context)
        tokens, span = self._context[1], characters(one.window)
        inside = (tokens.offsets[:, 0] >= span.start) & (tokens.offsets[:, 1] <= span.end)
        part = Tokens(tokens.ids[inside], tokens.offsets[inside])
        question = self._scorer.tokenizer.encode(one.question).ids
        found = list(make_windows(question, part, self._scorer.tokenizer.template, self._settings))
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
                found[number] = Prediction(start[row, places], end[row, places], window.offsets)
        return found


def characters(window: Window) -> Span:
    """The characters of the whole context that a window covers."""
    return Span(int(window.offsets[:, 0].min()), int(window.offsets[:, 1].max()))


def key(one: TrainingWindow) -> bytes:
    """What a teacher's answer depends on beside the teacher: 16 bytes over question, context and characters."""
    span = characters(one.window)
    content = "\0".join((one.question, one.context, f"{span.start}:{span.end}"))
    return sha256(content.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


def teacher_digest(folder: ModelFolder, settings: WindowSettings) -> str:
    """16 hex digits over a model folder's weights, configuration and tokenizer, and the size of its windows."""
    digest = sha256(repr(settings).encode())
    for path in sorted({path for pattern in HASHED for path in folder.path.glob(pattern) if path.is_file()}):
        with path.open("rb") as file:
            while content := file.read(1 << 24):
                digest.update(content)
    return digest.hexdigest()[:DIGEST_BYTES]


def log_probabilities(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Log softmax, [tokens]."""
    shifted = logits.astype(np.float64) - logits.max()
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result
