from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import tiny
from polyspan.backends import BackendOptions, ModelFolder, open_scorer
from polyspan.errors import MissingExtraError
from polyspan.features import PairTokenizer, WindowSettings, collate, make_windows, span_targets
from polyspan.types import FloatArray, Int32Array, Span

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch

from polyspan.training.alignment import carry_over
from polyspan.training.examples import TrainingWindow
from polyspan.training.losses import haystack1_loss, prediction_loss, prediction_mse, span_loss
from polyspan.training.model import open_student
from polyspan.training.objective import DistillationObjective, MicroBatch, gold_objective, make_micro_batch
from polyspan.training.recipe import Distillation, Optimisation, TeacherSpec
from polyspan.training.teacher import Prediction, Teacher

STUDENT = PairTokenizer(tiny.make_tokenizer("wordpiece"))
SETTINGS = WindowSettings(max_seq_len=64, doc_stride=8, max_question_len=16)
CONTEXT = "The bridge was opened in 1874; the letter was written by Ada Lovelace. De brief werd geschreven."
ASKED = (("When was the bridge opened?", "1874"), ("Who wrote the letter?", "Ada Lovelace"), ("Who flew?", ""))
SPEC = TeacherSpec("teacher")

FolderOf = Callable[[str], Path]


class Saying:
    """A teacher that says what it is told to, window by window."""

    def __init__(self, say: Callable[[TrainingWindow], Prediction | None], weight: float = 1.0) -> None:
        self.spec, self.prediction = TeacherSpec("saying", weight=weight), say


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    @cache
    def make(architecture: str) -> Path:
        return tiny.make_reader_folder(tmp_path_factory.mktemp("models") / architecture, architecture, positions=128)

    return make


@pytest.fixture(scope="module")
def student(folder_of: FolderOf) -> Any:
    """In evaluation mode, so that the same input gives the same output."""
    return open_student(ModelFolder(folder_of("bert")), Optimisation()).eval()


def windows_of(*, labelled: bool = True, context: str = CONTEXT) -> list[TrainingWindow]:
    """A window of each question, the last one unanswerable."""
    found = []
    for question, answer in ASKED:
        begin = context.find(answer)
        answers = [Span(begin, begin + len(answer))] if answer else []
        (window,) = make_windows(STUDENT.encode(question).ids, STUDENT.encode(context), STUDENT.template, SETTINGS)
        targets = span_targets(window, answers) if labelled else None
        found.append(TrainingWindow(window, targets, question, context, "en"))
    return found


def batch_of(windows: Sequence[TrainingWindow]) -> MicroBatch:
    return make_micro_batch(windows, STUDENT.pad_id, takes_types=True, device=torch.device("cpu"))


def objective_of(*teachers: Any, **settings: Any) -> DistillationObjective:
    specs = tuple(teacher.spec for teacher in teachers)
    return DistillationObjective(Distillation(specs, **settings), [cast("Teacher", teacher) for teacher in teachers])


def read_by(folder: Path, windows: Sequence[TrainingWindow], cache_folder: Path) -> Teacher:
    teacher = Teacher(TeacherSpec(str(folder)), SETTINGS, cache_folder)
    teacher.read_all(windows, lambda blocks, *_: blocks)
    return teacher


def logits_of(folder: Path, windows: Sequence[TrainingWindow]) -> tuple[torch.Tensor, torch.Tensor]:
    """What a model of the student's tokenizer says about the student's windows, padded as they are learnt from."""
    batch = collate([one.window for one in windows], STUDENT.pad_id, 32)
    start, end = open_scorer(ModelFolder(folder), BackendOptions()).score(batch)
    return torch.from_numpy(start), torch.from_numpy(end)


def saying_logits(windows: Sequence[TrainingWindow], start: torch.Tensor, end: torch.Tensor) -> Saying:
    """A teacher of the student's tokenizer with these logits, exact in float32."""

    def say(one: TrainingWindow) -> Prediction:
        row = [other is one for other in windows].index(True)
        places = places_of(one)
        return Prediction(start[row, places].numpy(), end[row, places].numpy(), one.window.offsets)

    return Saying(say)


def pointing(tokenizer: PairTokenizer, answer: str, sure: float = 60.0) -> Saying:
    """A teacher of any tokenizer that is sure of one answer, or of null."""

    def say(one: TrainingWindow) -> Prediction:
        offsets = tokenizer.encode(one.context).offsets
        begin = one.context.find(answer)
        start, end = np.zeros((2, 1 + len(offsets)), np.float32)
        inside = np.flatnonzero(
            (offsets[:, 1] > begin) & (offsets[:, 0] < begin + len(answer)) & (offsets[:, 0] < offsets[:, 1])
        )
        start[1 + inside[0] if answer else 0] = end[1 + inside[-1] if answer else 0] = sure
        return Prediction(start, end, offsets)

    return Saying(say)


def places_of(one: TrainingWindow) -> list[int]:
    """Null and the window's context tokens."""
    return [0, *range(one.window.context_start, one.window.context_start + len(one.window.offsets))]


def carried_by_hand(said: Prediction, one: TrainingWindow) -> torch.Tensor:
    """A prediction's distributions, without whitespace, on null and the window's context tokens."""
    words = np.append(True, said.offsets[:, 0] < said.offsets[:, 1])
    start, end = (np.where(words, np.exp(side), 0) for side in (said.start, said.end))
    found = carry_over(start / start.sum(), end / end.sum(), said.offsets, one.window.offsets)
    return torch.from_numpy(np.stack([found.start, found.end])).float()


def silent(_: TrainingWindow) -> None:
    return None


def test_objective_micro_batch_holds_windows_as_they_are() -> None:
    windows = windows_of()
    two = replace(windows[0], targets=np.array([[9, 9], [11, 12]], np.int32))
    unlabelled = replace(windows[1], targets=None)
    batch = batch_of([two, unlabelled, windows[2]])
    assert batch.targets.tolist() == [[[9, 9], [11, 12]], [[-1, -1], [-1, -1]], [[0, 0], [-1, -1]]]
    assert batch.inputs["input_ids"].shape == batch.allowed.shape == (3, 64)
    assert set(batch.inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    for row, one in enumerate(batch.windows):
        size = len(one.window.input_ids)
        assert batch.inputs["input_ids"][row, :size].tolist() == one.window.input_ids.tolist()
        assert batch.inputs["attention_mask"][row].tolist() == [1] * size + [0] * (64 - size)
        begin = one.window.context_start
        assert batch.allowed[row].nonzero().flatten().tolist() == [0, *range(begin, begin + len(one.window.offsets))]
    assert set(make_micro_batch(windows, 0, takes_types=False, device=torch.device("cpu")).inputs) == {
        "input_ids",
        "attention_mask",
    }


def test_objective_answers_never_begin_on_whitespace() -> None:
    tokenizer = PairTokenizer(tiny.make_tokenizer("bpe"))
    context = "The\n\nbridge"
    (window,) = make_windows(tokenizer.encode("Who?").ids, tokenizer.encode(context), tokenizer.template, SETTINGS)
    batch = batch_of([TrainingWindow(window, None, "Who?", context, "")])
    blank = window.offsets[:, 0] >= window.offsets[:, 1]
    assert blank.any()
    context_places = batch.allowed[0, window.context_start : window.context_start + len(window.offsets)]
    assert context_places.tolist() == (~blank).tolist()


def test_objective_of_gold_answers_is_the_span_loss(student: Any) -> None:
    windows = windows_of()
    windows[1] = replace(windows[1], targets=None)
    batch = batch_of(windows)
    output = student(**batch.inputs)
    expected = span_loss(output.start_logits, output.end_logits, batch.allowed, batch.targets)
    torch.testing.assert_close(gold_objective(student, batch), expected)
    assert expected[0] > 0
    assert expected[1] == 0


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_objective_with_identical_tokenizers_is_the_plain_loss(
    student: Any, folder_of: FolderOf, temperature: float
) -> None:
    windows = windows_of()
    batch = batch_of(windows)
    start, end = logits_of(folder_of("electra"), windows)
    teacher = saying_logits(windows, start, end)
    output = student(**batch.inputs)
    student_logits = output.start_logits, output.end_logits
    plain = prediction_loss(*student_logits, start, end, batch.allowed, temperature)
    found = objective_of(teacher, temperature=temperature, distillation_loss_weight=1.0)(student, batch)
    assert plain.min() > 0.1
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)
    plain = prediction_mse(*student_logits, start, end, batch.allowed)
    found = objective_of(teacher, loss="mse", distillation_loss_weight=1.0)(student, batch)
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)


def test_objective_by_way_of_the_cache_is_the_plain_loss_but_for_float16(
    student: Any, folder_of: FolderOf, tmp_path: Path
) -> None:
    windows = windows_of()
    batch = batch_of(windows)
    output = student(**batch.inputs)
    plain = prediction_loss(
        output.start_logits, output.end_logits, *logits_of(folder_of("electra"), windows), batch.allowed
    )
    teacher = read_by(folder_of("electra"), windows, tmp_path)
    found = objective_of(teacher, distillation_loss_weight=1.0)(student, batch)
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-3)


def test_objective_of_a_teacher_that_equals_the_student_is_zero(
    student: Any, folder_of: FolderOf, tmp_path: Path
) -> None:
    windows = windows_of()
    teacher = read_by(folder_of("bert"), windows, tmp_path)
    for settings in ({"loss": "kl"}, {"loss": "kl", "temperature": 4.0}, {"loss": "mse"}):
        found = objective_of(teacher, distillation_loss_weight=1.0, **settings)(student, batch_of(windows))
        torch.testing.assert_close(found, torch.zeros(3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
@pytest.mark.parametrize("answer", ["bridge", "letter was written", "geschreven.", "The", ""])
def test_objective_of_a_teacher_that_is_sure_is_the_gold_loss(student: Any, kind: str, answer: str) -> None:
    begin = CONTEXT.find(answer)
    answers = [Span(begin, begin + len(answer))] if answer else []
    windows = [replace(one, targets=span_targets(one.window, answers)) for one in windows_of()]
    batch = batch_of(windows)
    teacher = pointing(PairTokenizer(tiny.make_tokenizer(kind)), answer)
    found = objective_of(teacher, distillation_loss_weight=1.0)(student, batch)
    torch.testing.assert_close(found, gold_objective(student, batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["roberta", "xlm-roberta"])
def test_objective_across_tokenizers_carries_distributions_over(
    student: Any, folder_of: FolderOf, tmp_path: Path, architecture: str
) -> None:
    windows = windows_of(labelled=False)
    batch = batch_of(windows)
    teacher = read_by(folder_of(architecture), windows, tmp_path)
    taught = torch.zeros(2, *batch.allowed.shape)
    for row, one in enumerate(windows):
        said = teacher.prediction(one)
        assert said is not None
        assert said.offsets.tolist() != one.window.offsets.tolist()
        taught[:, row, places_of(one)] = carried_by_hand(said, one)
    output = student(**batch.inputs)
    start, end = taught.log()
    expected = prediction_loss(output.start_logits, output.end_logits, start, end, batch.allowed, 2.0)
    found_loss = objective_of(teacher, temperature=2.0)(student, batch)
    torch.testing.assert_close(found_loss, expected, rtol=1e-5, atol=1e-5)
    assert expected.min() > 0.1


@pytest.mark.parametrize("loss", ["kl", "mse", "haystack1"])
def test_objective_gradients_flow_to_every_layer(folder_of: FolderOf, tmp_path: Path, loss: str) -> None:
    windows = windows_of()
    model = open_student(ModelFolder(folder_of("bert")), Optimisation(embeds_dropout_prob=0.0))
    teacher = read_by(folder_of("electra"), windows, tmp_path)
    total = objective_of(teacher, loss=loss, temperature=2.0)(model, batch_of(windows)).sum()
    names, parameters = zip(*model.named_parameters(), strict=True)
    for name, gradient in zip(names, torch.autograd.grad(total, parameters), strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


def test_objective_weighs_labelled_unlabelled_and_unspoken_windows(student: Any) -> None:
    windows = [one for one in windows_of()[:2] for _ in range(2)]
    windows = [replace(one, targets=one.targets if number % 2 else None) for number, one in enumerate(windows)]
    pointer = pointing(STUDENT, "bridge", sure=3.0)
    teacher = Saying(lambda one: pointer.prediction(one) if one.question == ASKED[0][0] else None)
    batch = batch_of(windows)
    gold = gold_objective(student, batch)
    taught = objective_of(pointer, distillation_loss_weight=1.0)(student, batch)
    found = objective_of(teacher, distillation_loss_weight=0.3)(student, batch)
    # spoken without and with gold answers, then unspoken without and with gold answers
    expected = torch.stack([taught[0], 0.3 * taught[1] + 0.7 * gold[1], torch.tensor(0.0), gold[3]])
    torch.testing.assert_close(found, expected)
    assert (taught - gold).abs().min() > 0.01


def test_objective_leaves_unanswerable_windows_to_their_label_where_teachers_shall_not_speak(student: Any) -> None:
    windows = [*windows_of(), *windows_of(labelled=False)]
    batch = batch_of(windows)
    pointer = pointing(STUDENT, "bridge", sure=3.0)
    found = objective_of(pointer, distillation_loss_weight=0.3, unanswerable=False)(student, batch)
    expected = objective_of(pointer, distillation_loss_weight=0.3)(student, batch)
    assert expected[2] != gold_objective(student, batch)[2]
    expected[2] = gold_objective(student, batch)[2]  # the one that is labelled as unanswerable
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_objective_of_unspoken_windows_has_finite_gradients(student: Any, loss: str) -> None:
    batch = batch_of(windows_of(labelled=False))
    found = objective_of(Saying(silent), loss=loss)(student, batch)
    gradients = torch.autograd.grad(found.sum(), list(student.qa_outputs.parameters()))
    assert found.tolist() == [0, 0, 0]
    assert all(not gradient.any() for gradient in gradients)


def test_objective_of_several_teachers_is_that_of_their_weighted_mean(student: Any) -> None:
    windows = windows_of()[:1]
    batch = batch_of(windows)
    one, other = pointing(STUDENT, "1874", 3.0), pointing(PairTokenizer(tiny.make_tokenizer("bpe")), "letter", 2.0)
    one.spec, other.spec = replace(SPEC, weight=3.0), replace(SPEC, weight=1.0)
    found = objective_of(one, Saying(silent), other, distillation_loss_weight=1.0)(student, batch)
    mass = []
    for teacher in (one, other):
        said = teacher.prediction(windows[0])
        assert said is not None
        mass.append(carried_by_hand(said, windows[0]))
    taught = torch.zeros(2, *batch.allowed.shape)
    taught[:, 0, places_of(windows[0])] = 0.75 * mass[0] + 0.25 * mass[1]
    output = student(**batch.inputs)
    start, end = taught.log()
    expected = prediction_loss(output.start_logits, output.end_logits, start, end, batch.allowed)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_objective_does_not_depend_on_padding_and_neighbours(
    student: Any, folder_of: FolderOf, tmp_path: Path, loss: str
) -> None:
    short = windows_of(context="The bridge was opened in 1874.")[:1]
    windows = [*short, *windows_of()]
    assert len(short[0].window.input_ids) <= 32 < len(windows[1].window.input_ids)
    objective = objective_of(read_by(folder_of("distilbert"), windows, tmp_path), loss=loss)
    together = objective(student, batch_of(windows))
    alone = torch.cat([objective(student, batch_of([one])) for one in windows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_objective_of_whitespace_tokens_of_a_teacher_gives_them_no_mass(student: Any) -> None:
    windows = windows_of(context="The\n\nbridge was opened in 1874.")[:1]
    tokenizer = PairTokenizer(tiny.make_tokenizer("bpe"))

    def say(height: float) -> Callable[[TrainingWindow], Prediction]:
        def prediction(one: TrainingWindow) -> Prediction:
            offsets: Int32Array = tokenizer.encode(one.context).offsets
            logits: FloatArray = np.zeros(1 + len(offsets), np.float32)
            blank = offsets[:, 0] >= offsets[:, 1]
            assert blank.any()
            logits[1:][blank] = height
            return Prediction(logits, logits, offsets)

        return prediction

    low, high = (objective_of(Saying(say(height)))(student, batch_of(windows)) for height in (-9.0, 9.0))
    torch.testing.assert_close(low, high)


def test_objective_haystack1_is_its_formula_on_the_same_padded_inputs(
    student: Any, folder_of: FolderOf, tmp_path: Path
) -> None:
    windows = windows_of()
    batch = batch_of(windows)
    teacher = Teacher(TeacherSpec(str(folder_of("electra"))), SETTINGS, tmp_path)
    settings: dict[str, float] = {"temperature": 3.0, "distillation_loss_weight": 0.75}
    found = objective_of(teacher, loss="haystack1", **settings)(student, batch)
    output = student(**batch.inputs)
    taught = logits_of(folder_of("electra"), windows)
    expected = haystack1_loss(output.start_logits, output.end_logits, *taught, batch.targets, 0.75, 3.0)
    assert found.shape == (3,)
    torch.testing.assert_close(found, expected.expand(3), rtol=1e-5, atol=1e-5)
    assert list(tmp_path.iterdir()) == []
