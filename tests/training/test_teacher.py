import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan.backends import BackendOptions, ModelFolder, SpanScorer, open_scorer
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.features import Batch, PairTokenizer, WindowSettings, collate, make_windows
from polyspan.types import FloatArray

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import polyspan.training.teacher as module
from polyspan.training.examples import TrainingWindow
from polyspan.training.recipe import TeacherSpec
from polyspan.training.teacher import Teacher, characters, key, log_probabilities, teacher_digest

STUDENT = PairTokenizer(tiny.make_tokenizer("wordpiece"))
SETTINGS = WindowSettings(max_seq_len=64, doc_stride=8, max_question_len=16)
FLOAT = "float32"
QUESTIONS = ("Who wrote the letter?", "When was the bridge opened?")
CONTEXTS = (" ".join(tiny.SENTENCES[:3]), " ".join(tiny.SENTENCES[3:]))
ARCHITECTURES = {"bert": "wordpiece", "roberta": "bpe", "xlm-roberta": "unigram"}

FolderOf = Callable[..., Path]


class Counting:
    """Another scorer, whose calls are counted and whose logits may be changed."""

    def __init__(self, scorer: SpanScorer, change: Callable[[FloatArray], FloatArray] = lambda logits: logits) -> None:
        self._scorer, self._change = scorer, change
        self.name, self.tokenizer, self.max_seq_len = scorer.name, scorer.tokenizer, scorer.max_seq_len
        self.windows = 0

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        self.windows += len(batch.input_ids)
        start, end = self._scorer.score(batch)
        return self._change(start), self._change(end)

    def save(self, folder: Path) -> None:
        self._scorer.save(folder)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    @cache
    def make(architecture: str, positions: int = 512) -> Path:
        folder = tmp_path_factory.mktemp("teachers") / architecture
        return tiny.make_reader_folder(folder, architecture, positions=positions)

    return make


@pytest.fixture
def scorers(monkeypatch: pytest.MonkeyPatch) -> list[Counting]:
    """The scorers that teachers open, in order."""
    opened: list[Counting] = []

    def open_counting(folder: ModelFolder, options: BackendOptions) -> Counting:
        opened.append(Counting(open_scorer(folder, options)))
        return opened[-1]

    monkeypatch.setattr(module, "open_scorer", open_counting)
    return opened


def windows_of(language: str = "en", settings: WindowSettings = SETTINGS) -> list[TrainingWindow]:
    return [
        TrainingWindow(window, None, question, context, language)
        for question in QUESTIONS
        for context in CONTEXTS
        for window in make_windows(STUDENT.encode(question).ids, STUDENT.encode(context), STUDENT.template, settings)
    ]


def quietly(blocks: Iterable[list[int]], total: int, what: str) -> Iterator[list[int]]:
    found = list(blocks)
    assert len(found) == total
    assert what.endswith(" reads")
    yield from found


def teacher_of(folder: Path, cache_folder: Path, settings: WindowSettings = SETTINGS, **spec: Any) -> Teacher:
    return Teacher(TeacherSpec(str(folder), **spec), settings, cache_folder)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/shard-*"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_teacher_says_what_its_model_says(folder_of: FolderOf, tmp_path: Path, architecture: str) -> None:
    folder = folder_of(architecture)
    teacher = teacher_of(folder, tmp_path)
    windows = windows_of()
    teacher.read_all(windows, quietly)
    scorer = open_scorer(ModelFolder(folder), BackendOptions())
    for one in windows:
        span = characters(one.window)
        tokens = scorer.tokenizer.encode(one.context)
        inside = [span.start <= begin and stop <= span.end for begin, stop in tokens.offsets.tolist()]
        ids = [*scorer.tokenizer.encode(one.question).ids, *tokens.ids[inside]]
        (whole,) = make_windows(
            scorer.tokenizer.encode(one.question).ids,
            type(tokens)(tokens.ids[inside], tokens.offsets[inside]),
            scorer.tokenizer.template,
            WindowSettings(512, 0, 16),
        )
        assert len(whole.input_ids) == len(ids) + scorer.tokenizer.template.size
        found = teacher.prediction(one)
        assert found is not None
        np.testing.assert_array_equal(found.offsets, tokens.offsets[inside])
        places = [0, *range(whole.context_start, whole.context_start + sum(inside))]
        for side, expected in zip((found.start, found.end), scorer.score(collate([whole], 0)), strict=True):
            assert side.dtype == np.float32
            assert side.max() == 0
            wanted = expected[0, places]
            np.testing.assert_allclose(side, wanted - wanted.max(), rtol=1e-3, atol=1e-4)


def test_teacher_reads_once_for_all_runs(folder_of: FolderOf, scorers: list[Counting], tmp_path: Path) -> None:
    windows = windows_of()
    first = teacher_of(folder_of("roberta"), tmp_path)
    first.read_all(windows, quietly)
    assert scorers[0].windows == len(windows)
    first.read_all(windows, quietly)
    assert scorers[0].windows == len(windows)
    second = teacher_of(folder_of("roberta"), tmp_path)
    second.read_all(windows[::-1], quietly)
    assert scorers[1].windows == 0
    for one in windows:
        mine, other = first.prediction(one), second.prediction(one)
        assert mine is not None
        assert other is not None
        for left, right in zip(mine, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_teacher_reads_only_what_is_new(folder_of: FolderOf, scorers: list[Counting], tmp_path: Path) -> None:
    windows = windows_of()
    teacher_of(folder_of("bert"), tmp_path).read_all(windows[:2], quietly)
    teacher_of(folder_of("bert"), tmp_path).read_all([*windows, *windows], quietly)
    assert [one.windows for one in scorers] == [2, len(windows) - 2]
    assert len(shards(tmp_path)) == 2


def test_teacher_cache_depends_on_weights_tokenizer_and_window_size(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(folder_of("deberta-v2"), folder)  # which sees windows of any size
    model = ModelFolder(folder)
    before = teacher_digest(model, SETTINGS, FLOAT)
    assert len(before) == 16
    assert teacher_digest(ModelFolder(folder_of("deberta-v2")), SETTINGS, FLOAT) == before
    others = ((WindowSettings(65, 0), FLOAT), (WindowSettings(64, 0, 17), FLOAT), (SETTINGS, "bfloat16"))
    seen = {before, *(teacher_digest(model, *other) for other in others)}
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(bytes(content))
        seen.add(teacher_digest(model, SETTINGS, FLOAT))
    for name in ("onnx/model.onnx", "onnx/embeddings.bin.gz", "pytorch_model.bin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"weights")
        seen.add(teacher_digest(model, SETTINGS, FLOAT))
    assert len(seen) == 10
    (folder / "README.md").write_text("Dear reader")
    assert teacher_digest(model, SETTINGS, FLOAT) in seen


def test_teacher_of_other_windows_has_another_folder(folder_of: FolderOf, tmp_path: Path) -> None:
    windows = windows_of()
    for settings in (SETTINGS, WindowSettings(80, 8, 16), WindowSettings(64, 8, 12)):
        teacher_of(folder_of("deberta-v2"), tmp_path, settings).read_all(windows, quietly)
    assert len(list(tmp_path.iterdir())) == 3
    teacher_of(folder_of("deberta-v2"), tmp_path, WindowSettings(64, 20, 16)).read_all(windows, quietly)
    assert len(list(tmp_path.iterdir())) == 3


def test_teacher_killed_while_writing_leaves_no_half_shard_and_goes_on(
    folder_of: FolderOf, scorers: list[Counting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = windows_of()
    monkeypatch.setattr(module, "BLOCK_WINDOWS", 2)
    real, written = np.save, []

    def save(path: Path, array: Any) -> None:
        written.append(path)
        if len(written) == 5:  # in the middle of the second shard
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt
        real(path, array)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", save)
        with pytest.raises(KeyboardInterrupt):
            teacher_of(folder_of("bert"), tmp_path).read_all(windows, quietly)
    assert len(shards(tmp_path)) == 1
    # a process that is killed cannot even tidy up
    (shards(tmp_path)[0].parent / "tmpabc" / "shard").mkdir(parents=True)
    (shards(tmp_path)[0].parent / "tmpabc" / "shard" / "keys.npy").write_bytes(b"half")
    again = teacher_of(folder_of("bert"), tmp_path)
    again.read_all(windows, quietly)
    assert scorers[1].windows == len(windows) - 2
    assert all(again.prediction(one) is not None for one in windows)


def test_teacher_of_a_full_disk_is_refused(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match=r"cannot be written \(.*No space left.*\); make room"):
        teacher_of(folder_of("bert"), tmp_path).read_all(windows_of(), quietly)
    assert list(tmp_path.glob("*/*")) == []


def test_teacher_maps_its_logits_into_memory(folder_of: FolderOf, tmp_path: Path) -> None:
    windows = windows_of()
    teacher_of(folder_of("bert"), tmp_path).read_all(windows, quietly)
    (shard,) = shards(tmp_path)
    rows = np.load(shard / "rows.npy", mmap_mode="r+")
    rows["logits"] = -7.0
    rows.flush()
    teacher = teacher_of(folder_of("bert"), tmp_path)
    teacher.open_cache()
    found = teacher.prediction(windows[0])
    assert found is not None
    assert set(found.start.tolist()) == {-7.0}
    rows["logits"] = -8.0  # a map of the file shows what is written later
    rows.flush()
    found = teacher.prediction(windows[0])
    assert found is not None
    assert set(found.end.tolist()) == {-8.0}


def test_teacher_leaves_out_windows_that_do_not_fit(
    folder_of: FolderOf, scorers: list[Counting], tmp_path: Path
) -> None:
    windows = windows_of()
    teacher = teacher_of(folder_of("roberta", 60), tmp_path)
    teacher.read_all(windows, quietly)
    found = [teacher.prediction(one) is not None for one in windows]
    assert 0 < sum(found) < len(windows)
    assert scorers[0].windows == sum(found)
    teacher.read_all(windows, quietly)  # what does not fit is not tried again
    assert scorers[0].windows == sum(found)
    assert len(shards(tmp_path)) == 1


@pytest.mark.parametrize("positions", [24, 14])
def test_teacher_that_can_read_nothing_is_refused(folder_of: FolderOf, tmp_path: Path, positions: int) -> None:
    teacher = teacher_of(folder_of("roberta", positions), tmp_path)
    message = rf"this teacher can see {positions} tokens, and none of the \d windows fits"
    for _ in range(2):  # also from the cache
        with pytest.raises(InputError, match=message):
            teacher.read_all([one for one in windows_of() if len(one.window.offsets) > 20], quietly)


def test_teacher_reads_its_languages_alone(folder_of: FolderOf, scorers: list[Counting], tmp_path: Path) -> None:
    english, german = windows_of(), windows_of("de")
    teacher = teacher_of(folder_of("bert"), tmp_path, languages=("de", "fr"))
    assert [teacher.speaks(language) for language in ("de", "fr", "en", "")] == [True, True, False, False]
    teacher.read_all([*english[:1], *german[1:]], quietly)
    assert scorers[0].windows == len(german) - 1
    assert teacher.prediction(german[1]) is not None
    assert teacher.prediction(english[1]) is None
    assert teacher.prediction(german[0]) is None
    assert teacher_of(folder_of("bert"), tmp_path).speaks("en")


def test_teacher_of_a_language_that_an_epoch_lacks_reads_nothing(
    folder_of: FolderOf, scorers: list[Counting], tmp_path: Path
) -> None:
    teacher_of(folder_of("bert"), tmp_path, languages=("de",)).read_all(windows_of("en"), quietly)
    assert scorers[0].windows == 0


def test_teacher_in_half_precision_says_nearly_the_same(folder_of: FolderOf, tmp_path: Path) -> None:
    exact, fast = (teacher_of(folder_of("bert"), tmp_path, precision=one) for one in ("float32", "bfloat16"))
    windows = windows_of()
    for teacher in (exact, fast):
        teacher.read_all(windows, quietly)
    assert len(shards(tmp_path)) == 2
    found = [[teacher.prediction(one) for one in windows] for teacher in (exact, fast)]
    both = [(one.start, other.start) for one, other in zip(*found, strict=True) if one and other]
    assert len(both) == len(windows)
    for one, other in both:
        np.testing.assert_allclose(np.exp(log_probabilities(other)), np.exp(log_probabilities(one)), atol=0.02)
    assert any((one != other).any() for one, other in both)


@pytest.mark.parametrize("scale", [1e5, 3e38])
def test_teacher_of_huge_logits_keeps_their_order(
    folder_of: FolderOf, scorers: list[Counting], tmp_path: Path, scale: float
) -> None:
    windows = windows_of()
    teacher = teacher_of(folder_of("bert"), tmp_path)
    scorers[0]._change = lambda logits: (np.sign(logits) * scale / 2 + logits).astype(np.float32)
    teacher.read_all(windows, quietly)
    found = teacher.prediction(windows[0])
    assert found is not None
    probabilities = np.exp(log_probabilities(found.start))
    assert np.isfinite(found.start).all()
    assert found.start.max() == 0
    assert found.start.min() <= -6e4
    assert probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_teacher_of_logits_that_are_no_numbers_is_refused(
    folder_of: FolderOf, scorers: list[Counting], tmp_path: Path, value: float
) -> None:
    teacher = teacher_of(folder_of("bert"), tmp_path)
    scorers[0]._change = lambda logits: np.full_like(logits, value)
    with pytest.raises(ModelError, match="its logits are not finite numbers"):
        teacher.read_all(windows_of(), quietly)
    assert shards(tmp_path) == []


def test_teacher_of_windows_of_nothing_but_whitespace(folder_of: FolderOf, tmp_path: Path) -> None:
    student = PairTokenizer(tiny.make_tokenizer("bpe"))
    blank = [
        TrainingWindow(window, None, "Who?", "\n\n \n", "en")
        for window in make_windows(student.encode("Who?").ids, student.encode("\n\n \n"), student.template, SETTINGS)
    ]
    assert blank
    windows = windows_of()
    teacher = teacher_of(folder_of("bert"), tmp_path)
    teacher.read_all([*blank, *windows], quietly)
    assert teacher.prediction(blank[0]) is None
    assert teacher.prediction(windows[0]) is not None


def test_teacher_without_a_head_for_spans_is_refused(folder_of: FolderOf, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder_of("bert")).save_pretrained(tmp_path / "encoder")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder_of("bert") / name, tmp_path / "encoder" / name)
    with pytest.raises(ModelError, match=r"has no weights for qa_outputs"):
        teacher_of(tmp_path / "encoder", tmp_path / "cache")
    with pytest.raises(ModelError, match="no such folder"):
        teacher_of(tmp_path / "nowhere", tmp_path / "cache")


@pytest.mark.parametrize(
    ("architecture", "same"), [("bert", True), ("electra", True), ("mpnet", False), ("roberta", False)]
)
def test_teacher_knows_its_own_tokens(folder_of: FolderOf, tmp_path: Path, architecture: str, same: bool) -> None:
    assert teacher_of(folder_of(architecture), tmp_path).has_tokens_of(STUDENT, CONTEXTS) is same


def test_teacher_live_logits_are_those_of_the_padded_tokens(folder_of: FolderOf, tmp_path: Path) -> None:
    windows = windows_of()[:3]
    start, end = teacher_of(folder_of("bert"), tmp_path).live_logits(windows)
    batch = collate([one.window for one in windows], 0, 32)
    expected = open_scorer(ModelFolder(folder_of("bert")), BackendOptions()).score(batch)
    assert start.shape == batch.input_ids.shape
    np.testing.assert_array_equal(np.stack([start, end]), np.stack(expected))


def test_teacher_keys_tell_questions_contexts_and_characters_apart() -> None:
    windows = windows_of()
    keys = {key(one) for one in windows}
    assert len(keys) == len(windows)
    assert {len(one) for one in keys} == {16}
    assert {key(one) for one in windows_of("de")} == keys
    one = windows[0]
    surrogate = TrainingWindow(one.window, None, "\ud800?", one.context, "en")
    assert key(surrogate) not in keys


def test_teacher_log_probabilities() -> None:
    logits = np.log(np.array([1, 3, 4], np.float32)) + 1e4
    np.testing.assert_allclose(np.exp(log_probabilities(logits.astype(np.float32))), [1 / 8, 3 / 8, 4 / 8], rtol=1e-2)
