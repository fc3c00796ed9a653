#!/usr/bin/env python3
"""Packs a recipe for run.py: tokens, windows, how often each comes, and the weights to start from.

    python scripts/gpu_run/pack.py RECIPE PACK --define NAME=VALUE... [--pool 4] [--dev FOLDER]

The recipe's model is of BERT's family and its one teacher of MPNet's, which the run fine-tunes first. PACK holds:

    data.npz.xz                       distinct texts as token ids, windows over them, the map from the teacher's tokens
                                      to the student's, and which ids of each vocabulary are in use
    student.safetensors               the student's weights: 4 bits a number where that is exact, else float16
    teacher-0.safetensors, -1         the teacher's: 8 bits a number, in two files of like size
    pack.json                         heads, special tokens and the like, and those settings that the recipe has
    dev.json                          what is needed to score dev predictions: file, id and context of each question,
                                      and the characters of the tokens of each context

A question's weight, how often it comes in a pass on average, is its data file's in the recipe; the windows that hold
its answer, or two random windows of an unanswerable one, share it. Where other windows hold nothing of its answers, one
of them, drawn once, comes besides with a fifth of that weight. Unanswerable questions are made from shares ``--pool``
times as large as the recipe's, at most 1, and each comes as much more rarely, so that a pass has as many of them as the
recipe asks for, and the next pass other ones. The recipe's epochs, warm-up, averaging and precision are not read:
run.py goes by the clock.
"""

import argparse
import io
import lzma
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from polyspan.backends import ModelFolder, find_model
from polyspan.backends.torch import open_tokenizer
from polyspan.datasets import read_squad, write_json
from polyspan.datasets.writing import new_folder, write_bytes
from polyspan.errors import InputError, ModelError, PolyspanError
from polyspan.features import PairTokenizer, Tokens, WindowSettings
from polyspan.features.tokens import PairTemplate
from polyspan.features.windows import SMALLEST_ROOM, window_slices
from polyspan.training.examples import read_examples
from polyspan.training.recipe import DataFile, Distillation, Recipe, parse_recipe, read_recipe
from polyspan.training.unanswerable import Unanswerables
from polyspan.types import Int32Array, QAExample

Arrays = dict[str, npt.NDArray[Any]]
Slice = tuple[int, int]
Tensors = dict[str, torch.Tensor]

FAMILIES = {"student": "bert", "teacher": "mpnet"}
TARGETS = 3  # right answers of a window
LONGEST_ANSWER = 80  # tokens
EMPTY_WEIGHT = 0.2  # of one window without an answer, beside those that hold one
DEV_QUESTIONS = 450  # of a file
ROW = (
    "head",
    "context",
    "begin",
    "length",
    "teacher_head",
    "teacher_context",
    "teacher_begin",
    "teacher_length",
    "dev",
)
FOUR_BIT_BLOCK, EIGHT_BIT_BLOCK = 32, 64
NOT_IN_BLOCKS = ("position", "token_type")  # small and delicate


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("pack", type=Path, help="a new folder")
    parser.add_argument("--define", action="append", default=[], help="NAME=VALUE for a ${NAME} in the recipe")
    parser.add_argument("--pool", type=float, default=4.0, help="how many times the recipe's shares are made")
    parser.add_argument("--dev", type=Path, help="folder of SQuAD files (.json.gz) to predict at several marks")
    given = parser.parse_args(arguments)
    try:
        variables = dict(_name_and_value(one) for one in given.define)
        recipe = parse_recipe(read_recipe(given.recipe, variables))
        with new_folder(given.pack) as folder:
            pack(recipe, folder, given.pool, given.dev)
    except PolyspanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in sorted(given.pack.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 2**20:.1f} MiB")
    return 0


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--define {text}: expected NAME=VALUE")
    return name, value


def pack(recipe: Recipe, folder: Path, pool: float = 4.0, dev: Path | None = None) -> None:
    """Write all that ``run.py`` needs into an empty folder.

    Raises:
        InputError: if the recipe asks for what the run does not do.
        ModelError: if a model is not of the family that the run knows.
        DatasetError: as ``read_examples``.
    """
    spec = distillation_of(recipe).teachers[0]
    if pool < 1:
        raise InputError(f"--pool {pool}: expected at least 1, how many times the recipe's shares are made")
    most = recipe.windows.max_question_len
    student = Model.open("student", find_model(recipe.model, recipe.revision or None), most)
    teacher = Model.open("teacher", find_model(spec.model, spec.revision or None), most)
    windows = Windows(student, teacher, recipe.windows, recipe.seed)
    for file in recipe.data:
        before = sum(windows.weights)
        for example, weight in weighted_examples(file, recipe, pool):
            windows.learn(example, weight, not spec.languages or file.language in spec.languages)
        name = " ".join(Path(one).name for one in (file.path, file.questions_from) if one)
        print(f"{name}: {sum(windows.weights) - before:,.1f} windows a pass", flush=True)
    learnt = len(windows.rows)
    asked = ask_dev_files(windows, recipe, dev, spec.languages) if dev else []
    vocabularies = {one.side: one.vocabulary() for one in (student, teacher)}
    write_data(folder / "data.npz.xz", {**windows.arrays(vocabularies), "train_rows": np.array(learnt)}, asked)
    write_dev(folder / "dev.json", asked, windows)
    save_file(packed_student(student.weights(vocabularies["student"])), folder / "student.safetensors")
    for number, part in enumerate(packed_teacher(teacher.weights(vocabularies["teacher"]))):
        save_file(part, folder / f"teacher-{number}.safetensors")
    sides = {one.side: one.describe(vocabularies[one.side]) for one in (student, teacher)}
    write_json(folder / "pack.json", {**sides, "settings": run_settings(recipe)})


def distillation_of(recipe: Recipe) -> Distillation:
    """What is learnt from the one teacher; InputError for what the run does not do."""
    given = recipe.distillation
    if given is None or len(given.teachers) != 1 or given.loss != "kl" or given.intermediate or not given.unanswerable:
        raise InputError(
            "distillation: the run has one teacher, which speaks by loss kl about all windows of its languages; "
            "expected one teacher, loss kl, unanswerable true and no intermediate"
        )
    unlabelled = [file.path for file in recipe.data if not file.labelled]
    if unlabelled:
        raise InputError(f"data: {unlabelled[0]} is not labelled, and the run's teacher learns itself; leave it out")
    if recipe.windows.step is not None:
        raise InputError("windows.step: the run's windows overlap by doc_stride; give that in its place")
    return given


def run_settings(recipe: Recipe) -> dict[str, float]:
    """The settings of ``run.py`` that a recipe has."""
    optimisation, distillation = recipe.optimisation, distillation_of(recipe)
    return {
        "step_tokens": recipe.batch.tokens * recipe.gradient_accumulation,
        "student_rate": optimisation.learning_rate,
        "student_fall": optimisation.decay if optimisation.schedule == "constant" else 1.0,
        "weight_decay": optimisation.weight_decay,
        "max_grad_norm": optimisation.max_grad_norm,
        "temperature": distillation.temperature,
        "distillation_weight": distillation.distillation_loss_weight,
    }


def weighted_examples(file: DataFile, recipe: Recipe, pool: float) -> Iterator[tuple[QAExample, float]]:
    """A data file's questions, and those made unanswerable, with how often each comes in a pass on average."""
    shares = asdict(recipe.unanswerable)
    wider = {kind: min(1.0, share * pool) for kind, share in shares.items()}
    own, made = read_examples(file, replace(recipe, unanswerable=Unanswerables(**wider)))
    for example in own:
        yield example, file.weight * (1.0 if example.answers else file.unanswerable_weight)
    for example in made:
        kind = example.id.rpartition("#")[2].replace("-", "_")
        yield example, file.weight * shares[kind] / wider[kind]


class Texts:
    """Distinct texts as one tokenizer reads them, numbered in the order in which they came."""

    def __init__(self, encode: Callable[[str], Tokens]) -> None:
        self._encode = encode
        self._numbers: dict[str, int] = {}
        self.tokens: list[Tokens] = []

    def number(self, text: str) -> int:
        """The text's number from 0."""
        number = self._numbers.setdefault(text, len(self.tokens))
        if number == len(self.tokens):
            self.tokens.append(self._encode(text))
        return number

    def ids(self) -> Int32Array:
        """The token ids of all texts one after the other, [tokens]."""
        return np.concatenate([np.zeros(0, np.int32), *(one.ids for one in self.tokens)])


class Model:
    """A model with the texts that it reads; ``heads`` are special tokens and question, all before the context."""

    def __init__(self, side: str, folder: ModelFolder, tokenizer: PairTokenizer, question_tokens: int) -> None:
        self.side, self.folder = side, folder
        self.template = tokenizer.template
        self.longest = folder.max_seq_len or sys.maxsize
        self.contexts = Texts(tokenizer.encode)
        self._tokenizer = tokenizer
        self._question_tokens = question_tokens
        self.heads = Texts(self._head)

    @classmethod
    def open(cls, side: str, folder: ModelFolder, question_tokens: int) -> "Model":
        """The "student" or the "teacher", which reads at most so many tokens of a question.

        Raises ModelError if it is not of the family that the run knows.
        """
        family, activation = folder.config.get("model_type"), folder.config.get("hidden_act", "gelu")
        if (family, activation) != (FAMILIES[side], "gelu"):
            raise ModelError(
                f"{folder.name}: model_type {family} with hidden_act {activation}; run.py knows {FAMILIES[side]} with "
                f"gelu as {side}, take such a model"
            )
        tokenizer = open_tokenizer(folder)
        _check_template(tokenizer.template, folder.name)
        return cls(side, folder, tokenizer, question_tokens)

    def _head(self, question: str) -> Tokens:
        ids = self._tokenizer.encode(question).ids[: self._question_tokens]
        whole = np.concatenate([self.template.prefix, ids, self.template.middle]).astype(np.int32)
        return Tokens(whole, np.zeros((len(whole), 2), np.int32))

    def vocabulary(self) -> Int32Array:
        """The token ids in use, the most frequent ones first, [ids]: a packed id is a place in it."""
        specials = [*self.template.prefix, *self.template.middle, *self.template.suffix, self.folder.pad_id]
        counts = np.bincount(np.concatenate([self.heads.ids(), self.contexts.ids(), specials]).astype(np.int64))
        order = np.argsort(-counts, kind="stable")
        return order[: np.count_nonzero(counts)].astype(np.int32)

    def describe(self, vocabulary: Int32Array) -> dict[str, Any]:
        """What the run must know of the model besides its weights."""
        place = {int(token): number for number, token in enumerate(vocabulary)}
        config = self.folder.config
        return {
            "family": FAMILIES[self.side],
            "heads": config["num_attention_heads"],
            "epsilon": config.get("layer_norm_eps", 1e-12),
            "suffix": place[self.template.suffix[0]],
            "pad": place[self.folder.pad_id],
            "context_type": self.template.context_type,
        }

    def weights(self, vocabulary: Int32Array) -> Tensors:
        """The encoder's weights by their names in it, with the word embeddings in use, and a span head's if it has one.

        Raises ModelError where there is no model.safetensors.
        """
        file = self.folder.path / "model.safetensors"
        if not file.is_file():
            raise ModelError(f"{file}: not there; expected all weights in it, as save_pretrained writes them")
        names = ("embeddings.", "encoder.", "qa_outputs.")
        state = {name.removeprefix(f"{FAMILIES[self.side]}."): values for name, values in load_file(file).items()}
        state = {name: one for name, one in state.items() if name.startswith(names) and one.is_floating_point()}
        words = "embeddings.word_embeddings.weight"
        return {**state, words: state[words][torch.from_numpy(vocabulary)]}


def _check_template(template: PairTemplate, name: str) -> None:
    """ModelError for special tokens that the run cannot place."""
    types = {*template.prefix_types, *template.middle_types, template.question_type}
    if types != {0} or template.suffix_types != (template.context_type,):
        raise ModelError(
            f"{name}: its tokenizer's {template} is neither BERT's nor RoBERTa's; expected type 0 up to the context "
            "and one special token after it"
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """A question over its context: the numbers of both among each model's texts, the teacher's -1 without it.

    ``slices`` are first and last (exclusive) context token of the student's windows.
    """

    head: int
    context: int
    teacher_head: int
    teacher_context: int
    slices: list[Slice]


class Windows:
    """All windows so far: ``rows``, int [windows, 9] as ``ROW`` names them, with targets and weights.

    A window's ``teacher_length`` is 0 where the teacher does not read it, ``dev`` the number of its dev question or -1.
    """

    def __init__(self, student: Model, teacher: Model, settings: WindowSettings, seed: int) -> None:
        self.student, self.teacher, self._settings = student, teacher, settings
        least = settings.max_seq_len - settings.max_question_len - student.template.size
        if least < SMALLEST_ROOM or settings.max_seq_len > student.longest:
            raise InputError(
                f"windows: max_seq_len {settings.max_seq_len} must be at most the student's {student.longest} and "
                f"leave {SMALLEST_ROOM} tokens of context beside max_question_len {settings.max_question_len}"
            )
        self._random = np.random.default_rng(seed)
        self.rows: list[tuple[int, ...]] = []
        self.weights: list[float] = []
        self._targets: list[list[Slice]] = []
        self._contexts: dict[int, int] = {}  # the teacher's number of a context to the student's

    def learn(self, example: QAExample, weight: float, taught: bool) -> None:
        """Add a question's windows that teach something; ``taught``: the teacher reads them too."""
        placed = self._place(example, taught)
        if placed is None:
            return
        if not example.answers:
            chosen = self._random.permutation(len(placed.slices))[:2]
            for number in sorted(chosen):
                self._add(placed, placed.slices[number], [], weight / len(chosen))
            return
        spans = self._spans(example, placed.context)
        if not spans:
            return
        inside = [[(i - a, j - a) for i, j in spans if a <= i and j < b] for a, b in placed.slices]
        holding = [number for number, found in enumerate(inside) if found]
        empty = [number for number, (a, b) in enumerate(placed.slices) if not any(j >= a and i < b for i, j in spans)]
        for number in holding:
            self._add(placed, placed.slices[number], inside[number], weight / len(holding))
        if empty:
            self._add(placed, placed.slices[int(self._random.choice(empty))], [], weight * EMPTY_WEIGHT)

    def ask(self, example: QAExample, taught: bool, dev: int) -> int:
        """Add all windows of dev question ``dev``; the number of its context among the student's."""
        placed = self._place(example, taught)
        if placed is None:
            return -1
        for piece in placed.slices:
            self._add(placed, piece, [], 0.0, dev)
        return placed.context

    def sample(self, count: int) -> list[int]:
        """The numbers of the questions of a dev file of ``count`` that are asked."""
        return sorted(int(number) for number in self._random.permutation(count)[:DEV_QUESTIONS])

    def _place(self, example: QAExample, taught: bool) -> Placed | None:
        """None where question or context hold no token."""
        head, context = self.student.heads.number(example.question), self.student.contexts.number(example.context)
        ids, tokens = self.student.heads.tokens[head].ids, self.student.contexts.tokens[context]
        specials = self.student.template.size - len(self.student.template.suffix)
        if len(ids) == specials or not (tokens.offsets[:, 0] < tokens.offsets[:, 1]).any():
            return None
        room = self._settings.max_seq_len - len(ids) - len(self.student.template.suffix)
        slices = window_slices(len(tokens), room, min(self._settings.doc_stride, room // 2))
        if not taught:
            return Placed(head, context, -1, -1, slices)
        other = self.teacher.contexts.number(example.context)
        self._contexts[other] = context
        return Placed(head, context, self.teacher.heads.number(example.question), other, slices)

    def _spans(self, example: QAExample, context: int) -> list[Slice]:
        """First and last context token of each different answer."""
        starts, ends = self.student.contexts.tokens[context].offsets.T
        spans: dict[Slice, None] = {}
        for answer in example.answers:
            last = answer.start + len(answer.text)
            inside = np.flatnonzero((starts < ends) & (ends > answer.start) & (starts < last))
            if len(inside) and inside[-1] - inside[0] < LONGEST_ANSWER:
                spans[int(inside[0]), int(inside[-1])] = None
        return list(spans)

    def _add(self, placed: Placed, piece: Slice, targets: list[Slice], weight: float, dev: int = -1) -> None:
        first, last = piece
        begin, length = self._teacher_part(placed, first, last)
        others = (placed.teacher_head, placed.teacher_context, begin, length) if length else (0, 0, 0, 0)
        self.rows.append((placed.head, placed.context, first, last - first, *others, dev))
        self._targets.append(targets[:TARGETS])
        self.weights.append(weight)

    def _teacher_part(self, placed: Placed, first: int, last: int) -> tuple[int, int]:
        """First token and number of tokens of the teacher's within the student's window; none if it cannot see them."""
        if placed.teacher_context < 0:
            return 0, 0
        own = self.student.contexts.tokens[placed.context].offsets[first:last]
        other = self.teacher.contexts.tokens[placed.teacher_context].offsets
        inside = np.flatnonzero((other[:, 0] >= own[:, 0].min()) & (other[:, 1] <= own[:, 1].max()))
        if not len(inside):
            return 0, 0
        length = int(inside[-1] - inside[0] + 1)
        head = self.teacher.heads.tokens[placed.teacher_head]
        fits = len(head) + length + len(self.teacher.template.suffix) <= self.teacher.longest
        return (int(inside[0]), length) if fits else (0, 0)

    def arrays(self, vocabularies: Mapping[str, Int32Array]) -> Arrays:
        """All as arrays by their names: texts of each model, the map between their tokens, windows."""
        arrays: Arrays = {}
        for model in (self.student, self.teacher):
            vocabulary = vocabularies[model.side]
            places = np.zeros(int(vocabulary.max()) + 1, np.int32)
            places[vocabulary] = np.arange(len(vocabulary))
            arrays[f"{model.side}_vocabulary"] = vocabulary
            for what, texts in (("head", model.heads), ("context", model.contexts)):
                arrays[f"{model.side}_{what}_ids"] = places[texts.ids()]
                arrays[f"{model.side}_{what}_lengths"] = np.array([len(one) for one in texts.tokens], np.int32)
        offsets = [one.offsets for one in self.student.contexts.tokens]
        arrays["student_context_filled"] = np.concatenate([one[:, 0] < one[:, 1] for one in offsets])
        matched = [self._matched(number) for number in range(len(self.teacher.contexts.tokens))]
        arrays["map_start"], arrays["map_end"] = np.concatenate([np.zeros((2, 0), np.int32), *matched], 1)
        arrays |= {f"row_{name}": values for name, values in zip(ROW, np.array(self.rows, np.int32).T, strict=True)}
        arrays["row_weight"] = np.array(self.weights, np.float32)
        targets = np.full((len(self.rows), TARGETS, 2), -1, np.int16)
        for row, found in zip(targets, self._targets, strict=True):
            row[: len(found)] = np.array(found, np.int16).reshape(-1, 2)
        return {**arrays, "row_targets": targets}

    def _matched(self, number: int) -> Int32Array:
        """The student's tokens that hold first and last character of each token of a teacher's context, [2, tokens].

        Both are counted in the whole context. A character that the student's tokenizer drops goes to the token before
        as a start, and to the one behind as an end.
        """
        own = self.student.contexts.tokens[self._contexts[number]].offsets
        other = self.teacher.contexts.tokens[number].offsets
        filled = np.flatnonzero(own[:, 0] < own[:, 1])
        starts = np.searchsorted(own[filled, 0], other[:, 0], "right") - 1
        ends = np.searchsorted(own[filled, 1], other[:, 1], "left")
        places = np.clip(np.stack([starts, ends]), 0, len(filled) - 1)
        return np.asarray(filled[places], np.int32)


@dataclass(frozen=True, slots=True)
class Asked:
    """A dev question: its file, id, context's number and whether it has an answer."""

    file: str
    id: str
    context: int
    answerable: bool


def ask_dev_files(windows: Windows, recipe: Recipe, dev: Path, languages: Sequence[str]) -> list[Asked]:
    """Add the dev questions of a folder; the teacher reads those whose file the recipe gives one of its languages."""
    files = sorted(dev.glob("*.json.gz"))
    if not files:
        raise InputError(f"--dev {dev}: holds no .json.gz file; expected a folder of SQuAD files")
    taught = {Path(one.path).name for one in recipe.dev if not languages or one.language in languages}
    asked: list[Asked] = []
    for file in files:
        examples = read_squad(file)
        for example in (examples[number] for number in windows.sample(len(examples))):
            context = windows.ask(example, file.name in taught, len(asked))
            if context >= 0:
                asked.append(Asked(file.name.partition(".")[0], example.id, context, bool(example.answers)))
    return asked


def write_data(path: Path, arrays: Arrays, asked: Sequence[Asked]) -> None:
    """Write all arrays as a compressed .npz, and those that need it in 16 bits."""
    arrays = {
        **arrays,
        "dev_file": np.array([one.file for one in asked], np.str_),
        "dev_answerable": np.array([one.answerable for one in asked], np.bool_),
    }
    small: dict[str, Any] = {
        name: values.astype(np.uint16)
        if values.dtype == np.int32 and values.size and 0 <= values.min() <= values.max() < 2**16
        else values
        for name, values in arrays.items()
    }
    content = io.BytesIO()
    np.savez(content, **small)
    write_bytes(path, [lzma.compress(content.getvalue(), preset=3)])


def write_dev(path: Path, asked: Sequence[Asked], windows: Windows) -> None:
    """Write ``questions``, [file, id, context] in the order of the predictions, and ``offsets`` by context.

    A context's offsets are [first character, end (exclusive)] of each of its tokens, which predictions count.
    """
    tokens = windows.student.contexts.tokens
    offsets = {str(one.context): tokens[one.context].offsets.tolist() for one in asked}
    write_json(path, {"questions": [astuple(one)[:3] for one in asked], "offsets": offsets})


def packed_student(state: Tensors) -> Tensors:
    """Matrices in 4 bits where they lose nothing by it, as those that come from GGUF's Q4_0; the rest in float16."""
    packed: Tensors = {}
    for name, values in state.items():
        fits = values.ndim == 2 and not values.shape[1] % FOUR_BIT_BLOCK and not any(s in name for s in NOT_IN_BLOCKS)
        four = _four_bits(values) if fits else None
        if four is None:
            packed[name] = values.half()
        else:
            packed[f"{name}|4"], packed[f"{name}|s"] = four
    return packed


def packed_teacher(state: Tensors) -> tuple[Tensors, Tensors]:
    """Matrices in 8 bits with a scale for each 64 numbers, the rest in float16; in two parts of like size."""
    pieces: list[Tensors] = []
    for name, values in state.items():
        if values.ndim == 2 and not values.shape[1] % EIGHT_BIT_BLOCK and not any(s in name for s in NOT_IN_BLOCKS):
            blocks = values.reshape(len(values), -1, EIGHT_BIT_BLOCK).float()
            scales = (blocks.abs().amax(2, keepdim=True) / 127).half()
            numbers = (blocks / scales.float().clamp(min=1e-8)).round().clamp(-127, 127).to(torch.int8)
            pieces.append({f"{name}|8": numbers, f"{name}|s": scales})
        else:
            pieces.append({name: values.half()})
    sizes = np.cumsum([sum(one.nbytes for one in piece.values()) for piece in pieces])
    first: Tensors = {}
    second: Tensors = {}
    for piece, size in zip(pieces, sizes, strict=True):
        (first if size <= sizes[-1] / 2 else second).update(piece)
    return first, second


def _four_bits(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Two numbers a byte, uint8 [rows, blocks, 16], and float16 scales [rows, blocks, 1]; None where that is inexact.

    A number is (n - 8) * scale with n from 0 to 15, and the largest one of its block of 32 has n = 0.
    """
    blocks = values.reshape(len(values), -1, FOUR_BIT_BLOCK).float()
    scales = (blocks.gather(2, blocks.abs().argmax(2, keepdim=True)) / -8).half()
    steps = torch.where(scales == 0, torch.zeros_like(blocks), blocks / scales.float()).round().clamp(-8, 7)
    if (steps * scales.float() - blocks).abs().max() > 1e-6:
        return None
    numbers = (steps + 8).to(torch.uint8)
    return (numbers[..., ::2] | numbers[..., 1::2] << 4).contiguous(), scales


if __name__ == "__main__":
    sys.exit(main())
