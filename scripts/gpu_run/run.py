#!/usr/bin/env python3
"""Fine-tunes a teacher and distils it into a reader, by the clock, on one GPU, from what pack.py packed.

    python run.py PACK OUT --teacher-seconds S --seconds S

Needs numpy, torch and safetensors alone, so that it can be carried to a machine without anything else. First the
teacher learns from the windows of its languages, until ``--teacher-seconds`` have passed (0: no teacher), and says for
each of these windows where answers begin and end; then the student learns from all windows and, where the teacher
spoke, from it, until ``--seconds``, both counted from the start. Word embeddings stay as they are. OUT holds:

    reader-0.safetensors, -1, ...     the student's averaged weights in float16, without the word embeddings, in files
                                      below 15 MiB, for unpack.py
    dev.npz                           predictions at each mark, as MARK|best, MARK|null (float32 [questions], the sums
                                      of start and end logit of the best span and of "no answer") and MARK|span
                                      (int32 [questions, 2], first and last token, counted in the whole context); the
                                      questions and their tokens are those of dev.json
    run.json                          tokens, windows, updates, seconds, settings and machine

The average is that of Karras et al. (2024), "Analyzing and Improving the Training Dynamics of Diffusion Models": update
t keeps (1 - 1/t)^(gamma + 1) of it, so that its length grows with the run.
"""

import argparse
import io
import json
import lzma
import math
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

Arrays = dict[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]
Tensors = dict[str, torch.Tensor]
Logits = tuple[torch.Tensor, torch.Tensor]

FIRST_POSITION = {"bert": 0, "mpnet": 2}
ATTENTION = {
    "bert": ("self.query", "self.key", "self.value", "output.dense", "output.LayerNorm"),
    "mpnet": ("attn.q", "attn.k", "attn.v", "attn.o", "LayerNorm"),
}
REST = ("intermediate.dense", "output.dense", "output.LayerNorm")
SHORT = ("out", "norm1", "up", "down", "norm2")  # after "qkv", the names of both in a model's own weights
EMBEDDINGS = ("position_embeddings", "token_type_embeddings", "LayerNorm")
WORDS = "embeddings.word_embeddings.weight"
FARTHEST = 128  # tokens that MPNet's relative positions tell apart
IMPOSSIBLE = -1e9
MASKED = -1e4  # in bfloat16, added to the attention that nothing may pay
LONGEST_ANSWER = 40  # tokens of a dev prediction
PAD_TO = 16
CHUNK = 12_000  # windows that are sorted by length together
LOOK_EVERY = 10  # updates from one look at the clock to the next, for which the GPU must be waited for
PART_BYTES = 15 * 2**20
LABEL_BLOCK = 20_000
TELL_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """How both models learn; those that the recipe has come from the pack, the defaults are its own.

    Rates rise from 0 in the ``warmup`` updates, hold, and fall to 0 in the last ``fall`` of the time, a share of 0
    to 1. A pass of the student draws each window as often as its weight says, one of the teacher ``teacher_pass`` times
    as often. ``step_tokens`` are those of an update, padding counted.
    """

    step_tokens: int = 32_768  # recipe: batch
    student_rate: float = 3e-4  # recipe: learning_rate
    student_warmup: int = 100
    student_fall: float = 0.3  # recipe: decay
    teacher_rate: float = 7e-5
    teacher_warmup: int = 60
    teacher_fall: float = 0.9
    teacher_pass: float = 2.0
    label_seconds: float = 60.0  # at most, so that enough is left for the student
    distillation_weight: float = 0.6  # recipe: distillation_loss_weight
    temperature: float = 1.5  # recipe
    dropout: float = 0.1  # as both families were pretrained
    weight_decay: float = 0.01  # recipe
    max_grad_norm: float = 1.0  # recipe
    betas: tuple[float, float] = (0.9, 0.98)  # RoBERTa's: the second moment follows faster in short runs
    gamma: float = 10.0  # an average over about a twelfth of the run so far
    first_mark: int = 5_000_000  # tokens; each mark is twice the one before
    seed: int = 1


class Clock:
    """Seconds since the start, and a log that begins its lines with them."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        """Print a line."""
        print(f"[{self.now():6.1f}] {text}", flush=True)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Windows of one side ("student" or "teacher") as it reads them, tensors of shape [windows, tokens].

    ``mask`` is true on tokens, ``inside`` on context tokens, ``allowed`` on those that an answer may begin or end at
    and on the null position 0. ``places`` are the context tokens' places among the tokens of all contexts, ``first``
    [windows, 1] the context's first position, ``rows`` [windows] the windows' numbers.
    """

    side: str
    rows: torch.Tensor
    ids: torch.Tensor
    mask: torch.Tensor
    inside: torch.Tensor
    allowed: torch.Tensor
    places: torch.Tensor
    first: torch.Tensor


class Data:
    """What pack.py packed: ``arrays`` on the host, and all numbers of them on the device as ``on_device``."""

    def __init__(self, pack: Path, device: torch.device) -> None:
        self.device = device
        self.pack = pack
        self.described: dict[str, Any] = json.loads((pack / "pack.json").read_text(encoding="utf-8"))
        with np.load(io.BytesIO(lzma.decompress((pack / "data.npz.xz").read_bytes()))) as content:
            self.arrays: Arrays = dict(content)
        self.on_device: Tensors = {
            name: torch.from_numpy(values.astype(np.int32) if values.dtype in (np.uint16, np.int16) else values).to(
                device
            )
            for name, values in self.arrays.items()
            if values.dtype.kind in "iufb" and values.ndim
        }
        for side in ("student", "teacher"):
            for what in ("head", "context"):
                lengths = self.on_device[f"{side}_{what}_lengths"].long()
                self.on_device[f"{side}_{what}_begins"] = lengths.cumsum(0) - lengths
        self.train_rows = int(self.arrays["train_rows"])
        self.lengths = {side: self._window_lengths(side) for side in ("student", "teacher")}

    def _window_lengths(self, side: str) -> Ints:
        """Tokens of each window as a side reads it, [windows]."""
        heads = self.arrays[f"{side}_head_lengths"][self.arrays[_row(side, "head")]].astype(np.int64)
        return heads + self.arrays[_row(side, "length")] + 1

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """How often each training window comes in a pass on average, [training windows]."""
        return self.arrays["row_weight"][: self.train_rows].astype(np.float64)

    @property
    def taught(self) -> npt.NDArray[np.bool_]:
        """Which windows the teacher reads, of training and dev, [windows]."""
        read: npt.NDArray[np.bool_] = self.arrays[_row("teacher", "length")] > 0
        return read

    def batch(self, chosen: Ints, side: str) -> Batch:
        """The windows of these numbers, padded to a multiple of 16 tokens."""
        rows = torch.from_numpy(chosen).to(self.device)
        head, context, begin, length = (
            self.on_device[_row(side, name)][rows].long() for name in ("head", "context", "begin", "length")
        )
        position = torch.arange(padded(int(self.lengths[side][chosen].max())), device=self.device)[None]
        first = self.on_device[f"{side}_head_lengths"][head].long()[:, None]
        end = first + length[:, None]
        inside = (position >= first) & (position < end)
        heads, contexts = self.on_device[f"{side}_head_ids"], self.on_device[f"{side}_context_ids"]
        asked = (self.on_device[f"{side}_head_begins"][head][:, None] + position).clamp(max=len(heads) - 1)
        start = (self.on_device[f"{side}_context_begins"][context] + begin)[:, None]
        places = (start + position - first).clamp(0, len(contexts) - 1)
        tail = torch.where(position == end, self.described[side]["suffix"], self.described[side]["pad"])
        ids = torch.where(position < first, heads[asked], torch.where(inside, contexts[places], tail)).long()
        allowed = inside & self.on_device["student_context_filled"][places] if side == "student" else inside
        return Batch(side, rows, ids, position <= end, inside, allowed | (position == 0), places, first)

    def targets(self, batch: Batch) -> torch.Tensor:
        """First and last position of each right answer, int64 [windows, 3, 2]; (0, 0) for none, padded with -1."""
        given = self.on_device["row_targets"][batch.rows].long()
        none = given[..., 0] < 0
        found = given + batch.first[:, :, None] if batch.side == "student" else self._teacher_targets(batch, given)
        found = torch.where((none | (found[..., 0] < 0))[..., None], -1, found)
        found[:, 0] = torch.where(none.all(1)[:, None], 0, found[:, 0])
        return found

    def _teacher_targets(self, batch: Batch, given: torch.Tensor) -> torch.Tensor:
        """The teacher's positions from the first that ends at or behind a start to the last that begins before an end.

        -1 where there is none.
        """
        starts, ends = self.to_student(batch)
        tokens = batch.ids.shape[1]
        position = torch.arange(tokens, device=self.device)
        inside = batch.inside[:, None]
        first = torch.where(inside & (ends[:, None] >= given[..., :1]), position, tokens).amin(2)
        last = torch.where(inside & (starts[:, None] <= given[..., 1:]), position, -1).amax(2)
        return torch.stack([torch.where(first < tokens, first, -1), torch.maximum(first, last)], -1)

    def to_student(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The student's tokens that hold each teacher token's first and last character, [windows, tokens] each.

        They are counted in the student's window, which may not hold them; nonsense outside the context.
        """
        begin = self.on_device["row_begin"][batch.rows].long()[:, None]
        starts, ends = (self.on_device[name][batch.places].long() - begin for name in ("map_start", "map_end"))
        return starts, ends


def _row(side: str, name: str) -> str:
    return f"row_{name}" if side == "student" else f"row_teacher_{name}"


def padded(length: int) -> int:
    """The next multiple of 16, which the GPU's attention asks for."""
    return -(-length // PAD_TO) * PAD_TO


def read_weights(*files: Path) -> Tensors:
    """Packed weights in float32."""
    packed = {name: values for file in files for name, values in load_file(file).items()}
    state: Tensors = {}
    for name, values in packed.items():
        plain, _, form = name.partition("|")
        if form == "4":
            numbers = torch.stack([values & 15, values >> 4], -1).flatten(2).float() - 8
            state[plain] = (numbers * packed[f"{plain}|s"].float()).flatten(1)
        elif form == "8":
            state[plain] = (values.float() * packed[f"{plain}|s"].float()).flatten(1)
        elif not form:
            state[plain] = values.float()
    return state


class Model:
    """A reader of BERT's or MPNet's family, in bfloat16 with float32 weights, norms and sums.

    ``weights`` are those that learn; each forward pass is given some, so that averaged ones can be tried. Queries, keys
    and values of a layer are one matrix. The word embeddings, and MPNet's relative positions, stay as they are.
    """

    def __init__(self, described: dict[str, Any], state: Tensors, device: torch.device) -> None:
        self.family, self.heads, self.epsilon = described["family"], described["heads"], described["epsilon"]
        self._context_type = described["context_type"]
        self.words = state[WORDS].to(device)
        self.layers = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.layer."))
        relative = state.get("encoder.relative_attention_bias.weight")
        self._relative = None if relative is None else relative.to(device)
        learning = self._learning(state)
        self.weights = {name: one.to(device, copy=True).contiguous().requires_grad_() for name, one in learning.items()}
        self.finish: Callable[..., torch.Tensor] = finish_layer

    def _learning(self, state: Tensors) -> Tensors:
        """The weights that learn by the names that they have here; a model without a span head gets a new one."""
        inner = {name.removeprefix("embeddings."): one for name, one in state.items()}
        found = {name: one for name, one in inner.items() if name.startswith(EMBEDDINGS)}
        for layer in range(self.layers):
            for part in ("weight", "bias"):
                names = [f"{name}.{part}" for name in self._names(layer)]
                found[f"{layer}.qkv.{part}"] = torch.cat([state[name] for name in names[:3]])
                found |= {f"{layer}.{short}.{part}": state[name] for short, name in zip(SHORT, names[3:], strict=True)}
        new = torch.randn(2, self.words.shape[1], generator=torch.Generator().manual_seed(11)) * 0.02
        found["head.weight"] = state.get("qa_outputs.weight", new)
        found["head.bias"] = state.get("qa_outputs.bias", torch.zeros(2))
        return found

    def _names(self, layer: int) -> list[str]:
        """The names of a layer's parts in Hugging Face's weights: queries, keys, values, then those of SHORT."""
        parts = [*(f"attention.{name}" for name in ATTENTION[self.family]), *REST]
        return [f"encoder.layer.{layer}.{name}" for name in parts]

    def renamed(self, weights: Tensors) -> Tensors:
        """Weights by Hugging Face's names, without the word embeddings."""
        inner = {f"embeddings.{name}": one for name, one in weights.items() if name.startswith(EMBEDDINGS)}
        for layer in range(self.layers):
            for part in ("weight", "bias"):
                parts = [*weights[f"{layer}.qkv.{part}"].chunk(3), *(weights[f"{layer}.{one}.{part}"] for one in SHORT)]
                inner |= {f"{name}.{part}": one for name, one in zip(self._names(layer), parts, strict=True)}
        named = {f"{self.family}.{name}": one for name, one in inner.items()}
        return {**named, "qa_outputs.weight": weights["head.weight"], "qa_outputs.bias": weights["head.bias"]}

    def logits(self, weights: Tensors, batch: Batch, dropout: float = 0.0) -> Logits:
        """Start and end logits, float32 [windows, tokens]."""
        windows, tokens = batch.ids.shape
        width = self.words.shape[1]
        hidden = functional.dropout(self._embedded(weights, batch), dropout, dropout > 0).reshape(-1, width)
        bias = self._attention_bias(batch.mask)
        finish = self.finish if dropout else finish_layer
        for layer in range(self.layers):
            matrices = [weights[f"{layer}.{name}.{part}"] for name in SHORT for part in ("weight", "bias")]
            qkv = functional.linear(
                hidden.bfloat16(), weights[f"{layer}.qkv.weight"].bfloat16(), weights[f"{layer}.qkv.bias"].bfloat16()
            )
            queries, keys, values = qkv.view(windows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
                seen = functional.scaled_dot_product_attention(queries, keys, values, bias, dropout)
            seen = seen.transpose(1, 2).reshape(-1, width)
            if finish is not finish_layer:
                for one in (hidden, seen):
                    torch._dynamo.mark_dynamic(one, 0)  # the number of tokens changes from batch to batch
            hidden = finish(hidden, seen, matrices, dropout, self.epsilon)
        hidden = functional.dropout(hidden, dropout, dropout > 0)
        both = functional.linear(hidden, weights["head.weight"], weights["head.bias"])
        start, end = both.view(windows, tokens, 2).float().unbind(-1)
        return start, end

    def _embedded(self, weights: Tensors, batch: Batch) -> torch.Tensor:
        table = weights["position_embeddings.weight"]
        # Padding may lie behind the last position; nothing looks at it.
        position = torch.arange(batch.ids.shape[1], device=table.device) + FIRST_POSITION[self.family]
        hidden = self.words[batch.ids] + table[position.clamp(max=len(table) - 1)]
        if self.family == "bert":
            types = weights["token_type_embeddings.weight"]
            second = (torch.arange(batch.ids.shape[1], device=table.device) >= batch.first)[..., None]
            hidden = hidden + torch.where(second, types[self._context_type], types[0])
        norm = weights["LayerNorm.weight"], weights["LayerNorm.bias"]
        return functional.layer_norm(hidden, (hidden.shape[-1],), *norm, self.epsilon)

    def _attention_bias(self, mask: torch.Tensor) -> torch.Tensor:
        """What is added to attention scores, bfloat16 [windows, heads, tokens, tokens]."""
        tokens = mask.shape[1]
        low = torch.zeros(mask.shape, device=mask.device, dtype=torch.bfloat16).masked_fill_(~mask, MASKED)
        if self._relative is None:
            return low[:, None, None].expand(-1, self.heads, tokens, -1)
        position = torch.arange(tokens, device=mask.device)
        buckets = relative_buckets(position[None] - position[:, None], len(self._relative))
        return (self._relative[buckets].permute(2, 0, 1) + low[:, None, None].float()).bfloat16()


def relative_buckets(distance: torch.Tensor, buckets: int) -> torch.Tensor:
    """MPNet's (and T5's) buckets of distances, half of them for what lies ahead: exact at first, then logarithmic."""
    half = buckets // 2
    exact = half // 2
    far = distance.abs()
    grown = torch.log(far.clamp(min=1).float() / exact) / math.log(FARTHEST / exact) * (half - exact)
    return (distance > 0).long() * half + torch.where(far < exact, far, (exact + grown.long()).clamp(max=half - 1))


def finish_layer(
    hidden: torch.Tensor, seen: torch.Tensor, matrices: list[torch.Tensor], dropout: float, epsilon: float
) -> torch.Tensor:
    """What a layer does after attention, for each token by itself: [tokens, width].

    ``matrices`` are weight and bias of each part of SHORT; the residual sums and norms are in float32.
    """
    out, out_bias, norm1, norm1_bias, up, up_bias, down, down_bias, norm2, norm2_bias = matrices
    shape = (hidden.shape[1],)
    added = functional.linear(seen, out.bfloat16(), out_bias.bfloat16()).float()
    hidden = functional.layer_norm(
        hidden + functional.dropout(added, dropout, dropout > 0), shape, norm1, norm1_bias, epsilon
    )
    wide = functional.gelu(functional.linear(hidden.bfloat16(), up.bfloat16(), up_bias.bfloat16()))
    added = functional.linear(wide, down.bfloat16(), down_bias.bfloat16()).float()
    return functional.layer_norm(
        hidden + functional.dropout(added, dropout, dropout > 0), shape, norm2, norm2_bias, epsilon
    )


def compiled_finish(name: str) -> Callable[..., torch.Tensor]:
    """``finish_layer`` compiled apart under a name: models that shared it would count as its recompilations."""
    code = finish_layer.__code__.replace(co_name=f"finish_{name}")
    compiled: Callable[..., torch.Tensor] = torch.compile(types.FunctionType(code, globals()), dynamic=False)
    return compiled


def log_softmax(logits: torch.Tensor, allowed: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Over the allowed positions, [windows, tokens]."""
    return torch.log_softmax((logits / temperature).masked_fill(~allowed, IMPOSSIBLE), -1)


def span_loss(logits: Logits, allowed: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Half the negative log of the probability of all right spans together, [windows]; 0 without any.

    ``targets`` [windows, answers, 2] as ``Data.targets`` gives them.
    """
    first, last = targets.clamp(min=0).unbind(-1)
    right = targets[..., 0] >= 0
    start, end = (log_softmax(one, allowed) for one in logits)
    total = (start.gather(1, first) + end.gather(1, last)).masked_fill(~right, IMPOSSIBLE).logsumexp(-1)
    return (-total / 2).masked_fill(~right.any(-1), 0)


def plan_pass(
    weights: npt.NDArray[np.float64], lengths: Ints, step_tokens: int, random: np.random.Generator
) -> list[Ints]:
    """The batches of one pass in their order: numbers of windows, of like length.

    Each window comes as often as its weight says on average, rounded down or up, and so do all together (systematic
    sampling).
    """
    order = random.permutation(len(weights))
    bounds = np.floor(np.cumsum(weights[order]) + random.random()).astype(np.int64)
    drawn = np.repeat(order, np.diff(bounds, prepend=0))
    random.shuffle(drawn)
    batches: list[Ints] = []
    for begin in range(0, len(drawn), CHUNK):
        chunk = drawn[begin : begin + CHUNK]
        chunk = chunk[np.argsort(lengths[chunk] + random.random(len(chunk)) * 8, kind="stable")]
        cut, left = [], len(chunk)
        while left > 0:
            size = max(1, step_tokens // padded(int(lengths[chunk[max(0, left - 1000) : left]].max())))
            cut.append(chunk[max(0, left - size) : left])
            left -= size
        batches += [cut[number] for number in random.permutation(len(cut))]
    return batches


@dataclass(slots=True)
class Progress:
    """What a model has learnt so far; ``share``, 0 to 1, is that of its time."""

    began: float
    share: float = 0.0
    updates: int = 0
    tokens: int = 0
    windows: int = 0


class Trainer:
    """A model, its optimiser and the average of its weights."""

    def __init__(self, model: Model, settings: Settings, rate: float, warmup: int, fall: float) -> None:
        self.model, self._settings = model, settings
        self._rate, self._warmup, self._fall = rate, warmup, fall
        self._all = list(model.weights.values())
        self._average = [one.detach().clone() for one in self._all]
        groups = [
            {"params": [one for one in self._all if one.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [one for one in self._all if one.ndim < 2], "weight_decay": 0.0},
        ]
        fused = self._all[0].is_cuda
        self._optimiser = torch.optim.AdamW(groups, lr=rate, betas=settings.betas, fused=fused)
        self._losses: list[torch.Tensor] = []

    def logits(self, batch: Batch, clock: Clock) -> Logits:
        """With dropout, by the compiled layers if they compile."""
        dropout = self._settings.dropout
        try:
            return self.model.logits(self.model.weights, batch, dropout)
        except Exception as error:
            if self.model.finish is finish_layer:
                raise
            # Compilers fail in many ways, and the hour is rented.
            clock.say(f"layers do not compile, so they run as they are: {' '.join(repr(error).split())[:300]}")
            self.model.finish = finish_layer
            return self.model.logits(self.model.weights, batch, dropout)

    def update(self, loss: torch.Tensor, progress: Progress) -> None:
        """One update by the mean of a batch's losses, [windows]."""
        mean = loss.mean()
        torch.autograd.backward(mean)
        torch.nn.utils.clip_grad_norm_(self._all, self._settings.max_grad_norm, foreach=True)
        falling = (1 - progress.share) / self._fall if self._fall else 1.0
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate * max(0.0, min(progress.updates / self._warmup, 1.0, falling))
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        progress.updates += 1
        kept = (1 - 1 / progress.updates) ** (self._settings.gamma + 1)
        torch._foreach_lerp_(self._average, [one.detach() for one in self._all], 1 - kept)
        self._losses = [*self._losses[-199:], mean.detach()]

    def averaged(self) -> Tensors:
        """The average of the weights by their names."""
        return dict(zip(self.model.weights, self._average, strict=True))

    def loss(self) -> float:
        """The mean of the last 200 updates."""
        return torch.stack(self._losses).mean().item()


@dataclass(eq=False)
class Run:
    """What all parts of a run share: when the teacher and when all is done, in seconds from the start, among others.

    ``updates`` limits those of each model, for trying it out.
    """

    data: Data
    settings: Settings
    out: Path
    teacher_seconds: float
    seconds: float
    updates: int | None = None
    clock: Clock = field(default_factory=Clock)
    random: np.random.Generator = field(init=False)
    predictions: dict[str, Any] = field(default_factory=dict)
    _told: float = 0.0

    def __post_init__(self) -> None:
        """One stream of random numbers for all draws."""
        self.random = np.random.default_rng(self.settings.seed)

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.data.device.type == "cuda":
            torch.cuda.synchronize()

    def batches(self, progress: Progress, weights: npt.NDArray[np.float64], side: str, until: float) -> Iterator[Ints]:
        """The windows of each batch, pass by pass until the time or the updates are used up."""
        if not weights.sum() > 0:
            raise SystemExit(f"{self.data.pack}: no window that the {side} learns from has a weight; pack others")
        while True:
            for chosen in plan_pass(weights, self.data.lengths[side], self.settings.step_tokens, self.random):
                if progress.updates % LOOK_EVERY == 0:
                    self.wait()
                    if self.clock.now() >= until:
                        return
                if progress.updates == self.updates:
                    return
                passed = (self.clock.now() - progress.began) / (until - progress.began)
                done = progress.updates / self.updates if self.updates else 0.0
                progress.share = min(1.0, max(passed, done))
                yield chosen
                progress.windows += len(chosen)
                progress.tokens += int(self.data.lengths[side][chosen].sum())

    def tell(self, name: str, trainer: Trainer, progress: Progress, last: bool = False) -> None:
        """Say from time to time how far a model is."""
        now = self.clock.now()
        if progress.updates and (last or now - self._told > TELL_SECONDS):
            self._told = now
            rate = progress.tokens / (now - progress.began)
            text = f"{progress.tokens / 1e6:.1f} M tokens, {rate:,.0f} a second, {progress.updates} updates"
            self.clock.say(f"{name}: {text}, loss {trainer.loss():.3f}")

    def trainer(self, side: str, rate: float, warmup: int, fall: float) -> Trainer:
        """The packed model of a side, its layers compiled where that pays, about to learn."""
        files = sorted(self.data.pack.glob(f"{side}*.safetensors"))
        model = Model(self.data.described[side], read_weights(*files), self.data.device)
        if self.data.device.type == "cuda":
            model.finish = compiled_finish(side)
        return Trainer(model, self.settings, rate, warmup, fall)

    @torch.no_grad()
    def save(self, model: Model, weights: Tensors) -> None:
        """Write a model's weights in float16, in parts of a limited size."""
        parts: list[Tensors] = [{}]
        room = PART_BYTES
        for name, exact in model.renamed(weights).items():
            values = exact.half().cpu().contiguous()
            if values.nbytes > room:
                parts.append({})
                room = PART_BYTES
            parts[-1][name] = values
            room -= values.nbytes
        for number, part in enumerate(parts):
            save_file(part, self.out / f"reader-{number}.safetensors")

    def measure(self, model: Model, weights: Tensors, side: str, name: str) -> None:
        """Keep what a model predicts for the dev questions under a name, and say how well it tells answerable ones."""
        if not len(self.data.arrays["dev_file"]):
            return
        began = self.clock.now()
        best, null, span = predict(self.data, model, weights, side, 2 * self.settings.step_tokens)
        if side == "student":
            self.predictions |= {f"{name}|best": best, f"{name}|null": null, f"{name}|span": span}
        areas = [f"{file} {area:.3f}" for file, area in areas_of(self.data.arrays, best, null).items()]
        self.clock.say(f"{name}: area {', '.join(areas)} in {self.clock.now() - began:.1f} s")


def blocks_by_length(rows: Ints, lengths: Ints, tokens: int) -> Iterator[Ints]:
    """Windows in batches of at most so many tokens and 256 windows, the shortest first."""
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    begin = 0
    while begin < len(rows):
        longest = padded(int(lengths[rows[begin : begin + 256]].max()))
        size = min(256, max(1, tokens // longest))
        yield rows[begin : begin + size]
        begin += size


@torch.no_grad()
def predict(data: Data, model: Model, weights: Tensors, side: str, tokens: int) -> tuple[npt.NDArray[Any], ...]:
    """What dev.npz holds of a mark: best, null and span of each dev question.

    A question's best span is that of all its windows, its null the least of any; -1e9, 1e9 and (-1, -1) for questions
    that this side does not read.
    """
    rows = np.flatnonzero((data.arrays["row_dev"] >= 0) & (data.taught | (side == "student")))
    found: list[tuple[Ints, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]] = []
    for chosen in blocks_by_length(rows, data.lengths[side], tokens):
        batch = data.batch(chosen, side)
        top, none, places = best_spans(model.logits(weights, batch), batch)
        places += torch.from_numpy(data.arrays[_row(side, "begin")][chosen].astype(np.int64)).to(places.device)[:, None]
        found.append((chosen, top.cpu().numpy(), none.cpu().numpy(), places.cpu().numpy()))
    count = len(data.arrays["dev_file"])
    best, null = np.full(count, IMPOSSIBLE, np.float32), np.full(count, -IMPOSSIBLE, np.float32)
    span = np.full((count, 2), -1, np.int32)
    if found:
        chosen, tops, nones, spans = (np.concatenate(one) for one in zip(*found, strict=True))
        question = data.arrays["row_dev"][chosen]
        np.maximum.at(best, question, tops)
        np.minimum.at(null, question, nones)
        order = np.argsort(tops, kind="stable")  # the best one is written last
        span[question[order]] = spans[order]
    return best, null, span


def best_spans(logits: Logits, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The highest sum of a start and an end logit [windows], that of null [windows], and the first's context tokens."""
    start, end = logits
    null = start[:, 0] + end[:, 0]
    possible = batch.allowed.clone()
    possible[:, 0] = False
    start, end = (one.masked_fill(~possible, MASKED) for one in (start, end))
    best, first, last = torch.full_like(null, IMPOSSIBLE), torch.zeros_like(batch.rows), torch.zeros_like(batch.rows)
    tokens = start.shape[1]
    for more in range(min(LONGEST_ANSWER, tokens - 1)):
        values, places = (start[:, : tokens - more] + end[:, more:]).max(1)
        better = values > best
        best = torch.where(better, values, best)
        first, last = torch.where(better, places, first), torch.where(better, places + more, last)
    return best, null, torch.stack([first, last], 1) - batch.first


def areas_of(arrays: Arrays, best: npt.NDArray[Any], null: npt.NDArray[Any]) -> dict[str, float]:
    """How often an answerable question of a file has a lower null margin than an unanswerable one (area under ROC)."""
    margin, areas = null - best, {}
    for file in np.unique(arrays["dev_file"]):
        mine = (arrays["dev_file"] == file) & (best > IMPOSSIBLE)
        yes, no = margin[mine & arrays["dev_answerable"]], margin[mine & ~arrays["dev_answerable"]]
        if len(yes) and len(no):
            areas[str(file)] = float((yes[:, None] < no[None]).mean())
    return areas


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What a teacher says: ``values``, float16 [2, numbers], are probabilities of starts and of ends.

    A window's lie one after the other from ``begins`` [windows] on, null first, then its context tokens; -1: nothing.
    """

    values: torch.Tensor
    begins: torch.Tensor


def teach(run: Run) -> tuple[Model, Tensors]:
    """The fine-tuned teacher and the average of its weights."""
    data, settings = run.data, run.settings
    trainer = run.trainer("teacher", settings.teacher_rate, settings.teacher_warmup, settings.teacher_fall)
    progress = Progress(run.clock.now())
    weights = data.weights * data.taught[: data.train_rows] * settings.teacher_pass
    for chosen in run.batches(progress, weights, "teacher", run.teacher_seconds):
        batch = data.batch(chosen, "teacher")
        loss = span_loss(trainer.logits(batch, run.clock), batch.allowed, data.targets(batch))
        trainer.update(loss, progress)
        run.tell("teacher", trainer, progress)
    run.tell("teacher", trainer, progress, last=True)
    return trainer.model, trainer.averaged()


@torch.no_grad()
def label(run: Run, model: Model, weights: Tensors) -> Labels:
    """What the teacher says of the training windows that it reads, those that come often first, while there is time."""
    data, began = run.data, run.clock.now()
    use = np.flatnonzero(data.taught[: data.train_rows] & (data.weights > 0))
    use = use[np.argsort(-data.weights[use] * (0.5 + run.random.random(len(use))), kind="stable")]
    sizes = data.arrays["row_length"][use].astype(np.int64) + 1
    places = np.full(data.train_rows, -1, np.int64)
    places[use] = np.cumsum(sizes) - sizes
    begins = torch.full((data.train_rows,), -1, device=data.device)
    values = torch.zeros(2, int(sizes.sum()), dtype=torch.float16, device=data.device)
    said = 0
    for block in range(0, len(use), LABEL_BLOCK):
        if run.clock.now() > run.teacher_seconds + run.settings.label_seconds:
            break
        part = use[block : block + LABEL_BLOCK]
        for chosen in blocks_by_length(part, data.lengths["teacher"], 2 * run.settings.step_tokens):
            batch = data.batch(chosen, "teacher")
            carried = carry_over(data, batch, model.logits(weights, batch), run.settings.temperature)
            begin = torch.from_numpy(places[chosen]).to(data.device)
            column = torch.arange(carried.shape[2], device=data.device)[None]
            own = column <= data.on_device["row_length"][batch.rows].long()[:, None]
            values[:, (begin[:, None] + column)[own]] = carried[:, own].half()
            begins[batch.rows] = begin
            said += len(chosen)
        run.wait()
    run.clock.say(f"labelled {said} of {len(use)} windows in {run.clock.now() - began:.1f} s")
    return Labels(values, begins)


def carry_over(data: Data, batch: Batch, logits: Logits, temperature: float) -> torch.Tensor:
    """The teacher's probabilities on the student's tokens, [2, windows, 1 + context tokens], null first.

    Starts go to the student's token that holds the first character of the teacher's, ends to that of the last one; what
    lies beyond the student's window goes to its nearest token.
    """
    length = data.on_device["row_length"][batch.rows].long()[:, None]
    carried = []
    for one, places in zip(logits, data.to_student(batch), strict=True):
        column = torch.where(batch.inside, torch.minimum(places.clamp(min=0), length - 1) + 1, 0)
        mass = log_softmax(one, batch.allowed, temperature).exp().masked_fill(~batch.allowed, 0)
        carried.append(mass.new_zeros(len(mass), int(length.max()) + 1).scatter_add_(1, column, mass))
    return torch.stack(carried)


def student_loss(
    logits: Logits, batch: Batch, targets: torch.Tensor, labels: Labels | None, settings: Settings
) -> torch.Tensor:
    """The span loss, and where the teacher spoke the cross-entropy with it in ``distillation_weight`` of it, [windows].

    The latter is the mean of start and end, times the squared temperature (Hinton et al., 2015).
    """
    gold = span_loss(logits, batch.allowed, targets)
    if labels is None:
        return gold
    begin = labels.begins[batch.rows][:, None]
    position = torch.arange(batch.ids.shape[1], device=begin.device)[None]
    known = (begin >= 0) & batch.allowed
    place = torch.where(known, begin + torch.where(position == 0, 0, position - batch.first + 1), 0)
    crossed = torch.zeros_like(gold)
    for one, values in zip(logits, labels.values, strict=True):
        said = torch.where(known, values[place].float(), 0)
        crossed = crossed - (said * log_softmax(one, batch.allowed, settings.temperature)).sum(1)
    crossed = crossed * settings.temperature**2 / 2
    weight = settings.distillation_weight
    return torch.where(begin[:, 0] >= 0, weight * crossed + (1 - weight) * gold, gold)


def learn(run: Run, labels: Labels | None) -> Progress:
    """Train the student, measure it at marks, and save the average of its weights."""
    data, settings = run.data, run.settings
    trainer = run.trainer("student", settings.student_rate, settings.student_warmup, settings.student_fall)
    model = trainer.model
    progress = Progress(run.clock.now())
    mark, holding = settings.first_mark, True
    for chosen in run.batches(progress, data.weights, "student", run.seconds):
        batch = data.batch(chosen, "student")
        loss = student_loss(trainer.logits(batch, run.clock), batch, data.targets(batch), labels, settings)
        trainer.update(loss, progress)
        if progress.tokens >= mark:
            run.measure(model, trainer.averaged(), "student", f"mark-{mark / 1e6:g}")
            mark *= 2
        if holding and progress.share > 1 - settings.student_fall:
            holding = False
            run.measure(model, trainer.averaged(), "student", "before-fall")
            run.save(model, trainer.averaged())  # something to have, should the machine go too early
        run.tell("student", trainer, progress)
    run.tell("student", trainer, progress, last=True)
    run.save(model, trainer.averaged())
    run.measure(model, trainer.averaged(), "student", "final")
    run.measure(model, model.weights, "student", "final-last")
    return progress


def main(arguments: list[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher-seconds", type=float, required=True, help="when the teacher is done; 0: no teacher")
    parser.add_argument("--seconds", type=float, required=True, help="when all is done")
    parser.add_argument("--updates", type=int, help="of each model at most, for trying it out")
    given = parser.parse_args(arguments)
    if not (given.pack / "pack.json").is_file():
        parser.error(f"{given.pack}: holds no pack.json; expected a folder that pack.py wrote")
    run = open_run(given.pack, given.out, given.teacher_seconds, given.seconds, given.updates)
    labels = None
    if given.teacher_seconds > 0:
        teacher, weights = teach(run)
        run.measure(teacher, weights, "teacher", "teacher")
        labels = label(run, teacher, weights)
        del teacher, weights
        if run.data.device.type == "cuda":
            torch.cuda.empty_cache()
    progress = learn(run, labels)
    np.savez_compressed(given.out / "dev.npz", **run.predictions)
    done = {name: values for name, values in asdict(progress).items() if name not in {"began", "share"}}
    cuda = run.data.device.type == "cuda"
    machine = {"device": torch.cuda.get_device_name() if cuda else "cpu", "torch": torch.__version__}
    content = {**done, "seconds": run.clock.now() - progress.began, **machine, "settings": asdict(run.settings)}
    (given.out / "run.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def open_run(pack: Path, out: Path, teacher_seconds: float, seconds: float, updates: int | None = None) -> Run:
    """A run that is about to begin, on the GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True  # of the span head; all other products are in bfloat16
    data = Data(pack, device)
    settings = Settings(**data.described["settings"])
    torch.manual_seed(settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    run = Run(data, settings, out, teacher_seconds, seconds, updates)
    tokens = (data.weights * data.lengths["student"][: data.train_rows]).sum()
    run.clock.say(f"{data.train_rows} windows, {tokens / 1e6:.2f} M tokens a pass")
    return run


if __name__ == "__main__":
    sys.exit(main())
