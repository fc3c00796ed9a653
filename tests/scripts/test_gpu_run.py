"""The run on one GPU, on a CPU: tiny models and files, packed, run and unpacked."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

import facts
import tiny
from facts import squad_content
from polyspan import Reader, Span
from polyspan.backends import BackendOptions, ModelFolder, find_model, open_scorer
from polyspan.datasets import read_squad
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.features import WindowSettings, collate, make_windows, span_targets
from polyspan.types import GoldAnswer, QAExample

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForQuestionAnswering

from polyspan.training.examples import read_examples
from polyspan.training.recipe import Recipe, parse_recipe

SCRIPTS = Path(__file__).parents[2] / "scripts" / "gpu_run"
WINDOWS = WindowSettings(max_seq_len=96, doc_stride=16, max_question_len=32)
FACTS = {**facts.FACTS, "user": "1478", "woman": "Lovelace", "convert": "FARM"}
LONG = " Nothing else about it is known, and the user wrote a letter to the woman from Antwerpen." * 3
UPDATES = 60


def script(name: str) -> Any:
    """A script as a module; ``Any``, for its names are not those of a package."""
    spec = importlib.util.spec_from_file_location(f"gpu_run_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


PACK, RUN, UNPACK = script("pack"), script("run"), script("unpack")


def make_encoder(folder: Path, family: str, kind: str, special: list[str]) -> Path:
    """An encoder that is wide enough for blocks of 64 numbers."""
    tokenizer = tiny.make_tokenizer(kind, special)
    tiny.save_tokenizer(folder, tokenizer, "PreTrainedTokenizerFast")
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    pad = special.index("<pad>" if special is tiny.ROBERTA else "[PAD]")
    config = AutoConfig.for_model(
        family,
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=200,
        initializer_range=0.1,
        pad_token_id=pad,
        **sizes,
    )
    torch.manual_seed(0)
    untyped: Any = AutoModel
    model = untyped.from_config(config)
    for name, values in model.state_dict().items():
        if "relative" in name:
            values.mul_(20)  # so that a wrong one shows
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def quick() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Two files, of which the teacher reads one; contexts of several windows in the other."""
    folder = tmp_path_factory.mktemp("recipe")
    english = squad_content(FACTS)
    english["data"][0]["paragraphs"][0]["qas"][0]["answers"] *= 2  # the same answer twice is one target
    other = squad_content({"Brücke": "1874", "Fluss": "1888", "brief": "Antwerpen"})
    for paragraph in other["data"][0]["paragraphs"]:
        paragraph["context"] += LONG
    for name, content in (("en", english), ("xx", other)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    student = make_encoder(folder / "student", "bert", "unigram", tiny.ROBERTA)
    teacher = make_encoder(folder / "teacher", "mpnet", "wordpiece", tiny.ROBERTA)
    return parse_recipe(
        {
            "model": str(student),
            "data": [
                {"path": str(folder / "en.json"), "language": "en", "weight": 0.5, "unanswerable_weight": 3.0},
                {"path": str(folder / "xx.json"), "language": "xx", "weight": 1.5},
            ],
            "dev": [{"path": "data/facts.json.gz", "language": "en"}],
            "windows": {"max_seq_len": WINDOWS.max_seq_len, "doc_stride": 16, "max_question_len": 32},
            "batch": {"tokens": 400},
            "unanswerable": {"other_paragraph": 0.5, "retrieved_paragraph": 0.1},
            "optimisation": {"learning_rate": 3e-3, "schedule": "constant"},
            "distillation": {
                "teachers": [{"model": str(teacher), "languages": ["en"]}],
                "temperature": 1.5,
                "distillation_loss_weight": 0.6,
            },
        }
    )


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of dev files; the recipe says that the teacher reads the one."""
    import gzip

    folder = tmp_path_factory.mktemp("dev")
    content = squad_content({"bridge": "1888", "letter": "Lovelace", "user": "FARM"})
    content["data"][0]["paragraphs"][0]["context"] += LONG
    for name in ("facts", "others"):
        (folder / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))
    return folder


@pytest.fixture(scope="module")
def packed(recipe: Recipe, dev: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("pack")
    PACK.pack(recipe, folder, dev=dev)
    return folder


@pytest.fixture
def data(packed: Path) -> Any:
    return RUN.Data(packed, torch.device("cpu"))


@pytest.fixture(scope="module")
def finished(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a whole run wrote."""
    out: Path = tmp_path_factory.mktemp("run") / "out"
    limits = ["--teacher-seconds", "600", "--seconds", "1200", "--updates", str(UPDATES)]
    assert RUN.main([str(packed), str(out), *limits]) == 0
    return out


@pytest.fixture(scope="module")
def reader(recipe: Recipe, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("unpacked") / "reader"
    UNPACK.unpack(recipe.model, finished, folder)
    return folder


def opened(data: Any, side: str) -> Any:
    names = ("student",) if side == "student" else ("teacher-0", "teacher-1")
    state = RUN.read_weights(*(data.pack / f"{name}.safetensors" for name in names))
    return RUN.Model(data.described[side], state, data.device)


def folder_of(recipe: Recipe, side: str) -> Path:
    assert recipe.distillation is not None
    return Path(recipe.model if side == "student" else recipe.distillation.teachers[0].model)


def vocabulary(data: Any, side: str) -> torch.Tensor:
    return torch.from_numpy(data.arrays[f"{side}_vocabulary"].astype(np.int64))


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_gpu_run_forward_pass_is_that_of_transformers(recipe: Recipe, data: Any, side: str) -> None:
    model, places = opened(data, side), vocabulary(data, side)
    untyped: Any = AutoModelForQuestionAnswering
    theirs = untyped.from_config(AutoConfig.from_pretrained(folder_of(recipe, side))).eval()
    state = {name: values for name, values in theirs.state_dict().items() if "relative" in name or "word" in name}
    for name, values in state.items():
        if "word" in name:
            values[places] = model.words
        else:
            values.copy_(model._relative)
    theirs.load_state_dict({**state, **model.renamed(model.weights)})
    use = np.flatnonzero(data.taught) if side == "teacher" else np.arange(len(data.taught))
    batch = data.batch(use, side)
    assert batch.mask.sum(1).unique().numel() > 1  # so that padding matters
    with torch.no_grad():
        found = model.logits(model.weights, batch)
        expected = theirs(input_ids=places[batch.ids], attention_mask=batch.mask.long())
    for one, other in zip(found, (expected.start_logits, expected.end_logits), strict=True):
        spread = other[batch.mask].std()
        assert spread > 0.01
        assert (one - other)[batch.mask].abs().max() < 0.1 * spread


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_gpu_run_weights_come_back_from_their_packing(recipe: Recipe, data: Any, side: str) -> None:
    names = ("student",) if side == "student" else ("teacher-0", "teacher-1")
    found = RUN.read_weights(*(data.pack / f"{name}.safetensors" for name in names))
    own = {
        name: values
        for name, values in load_file(folder_of(recipe, side) / "model.safetensors").items()
        if name.startswith(("embeddings.", "encoder.")) and "position_ids" not in name
    }
    own[RUN.WORDS] = own[RUN.WORDS][vocabulary(data, side)]
    assert found.keys() == own.keys()
    # Eight bits of the largest number, half a step; float16 of the student's.
    step = 0.5 / 127 * 1.01 if side == "teacher" else 2**-11
    assert all((found[name] - one).abs().max() <= step * one.abs().max() + 1e-6 for name, one in own.items())


def test_gpu_run_student_in_four_bits_where_that_is_exact() -> None:
    numbers = torch.randint(-8, 8, (6, 64), generator=torch.Generator().manual_seed(3)).float()
    numbers[:, ::32] = -8
    exact = numbers * 0.25
    packed = PACK.packed_student({"exact": exact, "odd": exact + 0.01, "position": exact, "flat": exact[0]})
    assert set(packed) == {"exact|4", "exact|s", "odd", "position", "flat"}
    assert packed["exact|4"].nbytes == exact.numel() / 2


def test_gpu_run_reads_four_bits(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    exact = (torch.arange(128).reshape(2, 64) % 16 - 8).float() * 0.5
    save_file(PACK.packed_student({"exact": exact}), tmp_path / "one.safetensors")
    assert torch.equal(RUN.read_weights(tmp_path / "one.safetensors")["exact"], exact)


def test_gpu_run_questions_weigh_what_the_recipe_says(recipe: Recipe, data: Any) -> None:
    arrays = data.arrays
    tokenizer = PACK.open_tokenizer(find_model(recipe.model))
    expected, seen = 0.0, set()
    long = 0
    for file in recipe.data:
        own, _ = read_examples(file, recipe)
        for example in own:
            windows = make_windows(
                tokenizer.encode(example.question).ids, tokenizer.encode(example.context), tokenizer.template, WINDOWS
            )
            several = bool(example.answers) and len(list(windows)) > 1
            long += several
            factor = 1.0 if example.answers else file.unanswerable_weight
            expected += file.weight * (factor + (PACK.EMPTY_WEIGHT if several else 0.0))
        wide = replace(recipe.unanswerable, other_paragraph=1.0, retrieved_paragraph=0.4)
        _, made = read_examples(file, replace(recipe, unanswerable=wide))
        enlarged = {"other-paragraph": 2.0, "retrieved-paragraph": 4.0}
        kinds = [one.id.rpartition("#")[2] for one in made]
        seen |= set(kinds)
        expected += sum(file.weight / enlarged[kind] for kind in kinds)
    assert seen == set(enlarged)
    assert long
    assert arrays["row_weight"][: data.train_rows].sum() == pytest.approx(expected, rel=1e-5)
    assert not arrays["row_weight"][data.train_rows :].any()


def test_gpu_run_windows_share_a_question_s_weight(recipe: Recipe) -> None:
    """An answer in the overlap of two windows, which the first and the second hold."""
    student, teacher = (PACK.Model.open(side, find_model(folder_of(recipe, side)), 32) for side in PACK.FAMILIES)
    question, context = "Who wrote the letter?", LONG.strip()
    tokens = student.contexts.tokens[student.contexts.number(context)]
    asked = student.heads.tokens[student.heads.number(question)].ids[1:-2]
    made = list(make_windows(asked, tokens, student.template, WINDOWS))
    begins = [int(np.flatnonzero((tokens.offsets == one.offsets[0]).all(1))[0]) for one in made]
    assert len(made) > 2
    place = begins[1] + 3
    assert place < len(made[0].offsets)
    start, end = (int(one) for one in tokens.offsets[place])
    example = QAExample("one", question, context, (GoldAnswer(context[start:end], start),))
    windows = PACK.Windows(student, teacher, WINDOWS, 0)
    windows.learn(example, 0.5, taught=True)
    arrays = windows.arrays({one.side: one.vocabulary() for one in (student, teacher)})
    assert arrays["row_weight"].tolist() == pytest.approx([0.25, 0.25, 0.5 * PACK.EMPTY_WEIGHT])
    assert arrays["row_begin"][:2].tolist() == begins[:2]
    expected = [span_targets(one, [Span(start, end)])[0] - one.context_start for one in made[:2]]
    assert np.array_equal(arrays["row_targets"][:2, 0], expected)
    assert arrays["row_targets"][2].max() == -1


def test_gpu_run_relative_positions_are_those_of_transformers() -> None:
    from transformers.models.mpnet import modeling_mpnet

    theirs: Any = modeling_mpnet.MPNetEncoder
    distance = torch.arange(-300, 301)
    assert torch.equal(RUN.relative_buckets(distance, 32), theirs.relative_position_bucket(distance))


def test_gpu_run_pool_makes_the_same_number_on_average(recipe: Recipe) -> None:
    """Half of the questions, or all at half the weight: the same sum, of other questions."""
    file = recipe.data[0]
    made = {
        pool: [weight for one, weight in PACK.weighted_examples(file, recipe, pool) if "#other" in one.id]
        for pool in (1.0, 2.0, 4.0)
    }
    assert set(made[1.0]) == {file.weight}
    assert made[2.0] == made[4.0]  # a share is at most 1
    assert set(made[2.0]) == {file.weight / 2}
    assert len(made[2.0]) > len(made[1.0])


def test_gpu_run_plan_draws_each_window_as_often_as_it_weighs(data: Any) -> None:
    random = np.random.default_rng(0)
    weights, lengths = data.weights, data.lengths["student"][: data.train_rows]
    counts = np.zeros(len(weights))
    passes = 400
    for _ in range(passes):
        batches = RUN.plan_pass(weights, lengths, 400, random)
        drawn = np.bincount(np.concatenate(batches), minlength=len(weights))
        assert (np.abs(drawn - weights) < 1).all()
        assert abs(len(np.concatenate(batches)) - weights.sum()) < 1
        assert all(len(one) * RUN.padded(int(lengths[one].max())) <= 400 for one in batches)
        counts += drawn
    assert np.abs(counts / passes - weights).max() < 0.12
    assert abs(counts.sum() / passes - weights.sum()) < 0.1


def test_gpu_run_batches_hold_windows_of_like_length() -> None:
    lengths = np.random.default_rng(2).integers(20, 380, 5_000)
    batches = RUN.plan_pass(np.ones(5_000), lengths, 8_000, np.random.default_rng(0))
    assert sorted(np.concatenate(batches)) == list(range(5_000))
    read = sum(len(one) * RUN.padded(int(lengths[one].max())) for one in batches)
    assert lengths.sum() > 0.93 * read  # padding to multiples of 16 costs 0.04 of it


def test_gpu_run_teacher_reads_the_files_of_its_languages(recipe: Recipe, data: Any) -> None:
    own, made = read_examples(recipe.data[0], replace(recipe, unanswerable=replace(recipe.unanswerable)))
    taught = data.taught[: data.train_rows]
    assert len(own) + len(made) <= taught.sum() < len(taught)
    files = data.arrays["dev_file"][data.arrays["row_dev"][data.train_rows :]]
    assert set(files[data.taught[data.train_rows :]]) == {"facts"}
    assert set(files) == {"facts", "others"}


def texts_of(recipe: Recipe, data: Any, batch: Any, spans: torch.Tensor) -> list[str]:
    """What stands from first to last position in each window, nothing at the null position.

    ``spans`` is [windows, 2]. A full stop may be part of a word's last token.
    """
    tokenizer = Tokenizer.from_file(str(folder_of(recipe, batch.side) / "tokenizer.json"))
    ids = vocabulary(data, batch.side)[batch.ids]
    pieces = [one[first : last + 1].tolist() for one, (first, last) in zip(ids, spans.tolist(), strict=True)]
    return [tokenizer.decode(piece).strip(" .").casefold() for piece in pieces]


def taught_batches(data: Any) -> tuple[Any, Any]:
    """All training windows that the teacher reads, as the student and as the teacher does."""
    rows = np.flatnonzero(data.taught[: data.train_rows])
    return data.batch(rows, "student"), data.batch(rows, "teacher")


def test_gpu_run_targets_of_both_models_are_the_same_text(recipe: Recipe, data: Any) -> None:
    batches = taught_batches(data)
    targets = [data.targets(batch)[:, 0] for batch in batches]
    said, by_teacher = (texts_of(recipe, data, *one) for one in zip(batches, targets, strict=True))
    assert said == by_teacher
    assert set(said) == {"", *(one.casefold() for one in FACTS.values())}
    empty = torch.tensor([not one for one in said])
    assert all((one[empty] == 0).all() and (one[~empty] > 0).all() for one in targets)
    assert not torch.equal(*targets)  # the two tokenizers differ


def test_gpu_run_teacher_s_certainty_lands_on_the_student_s_answers(recipe: Recipe, data: Any) -> None:
    student, teacher = taught_batches(data)
    targets = data.targets(teacher)[:, 0]
    logits = tuple(torch.nn.functional.one_hot(one, teacher.ids.shape[1]) * 50.0 for one in targets.unbind(1))
    carried = RUN.carry_over(data, teacher, logits, 1.0)
    assert torch.allclose(carried.sum(2), torch.ones(2, len(targets)))
    columns = carried.argmax(2).T
    positions = torch.where(columns > 0, columns - 1 + student.first, 0)
    assert student.allowed.gather(1, positions).all()
    assert texts_of(recipe, data, student, positions) == texts_of(recipe, data, teacher, targets)


def test_gpu_run_loss_is_least_where_student_and_teacher_agree(data: Any) -> None:
    """Cross-entropy with the teacher's labels has its minimum, their entropy, at their own logits."""
    rows = np.flatnonzero(data.taught[: data.train_rows])[:1]
    batch = data.batch(rows, "student")
    length = int(data.arrays["row_length"][rows[0]])
    random = torch.Generator().manual_seed(5)
    logits = torch.randn(2, batch.ids.shape[1], generator=random)
    filled = batch.allowed[0]
    said = torch.where(filled, logits / 1.5, -torch.inf).softmax(1)
    order = torch.cat([torch.zeros(1, dtype=torch.long), int(batch.first) + torch.arange(length)])
    begins = torch.full((data.train_rows,), -1)
    begins[rows[0]] = 0
    labels = RUN.Labels(said[:, order].half(), begins)
    settings = RUN.Settings(temperature=1.5, distillation_weight=1.0)
    targets = data.targets(batch)

    def loss(scale: float) -> float:
        given = tuple((logits * scale)[:, None].unbind(0))
        return float(RUN.student_loss(given, batch, targets, labels, settings))

    entropy = -(said[said > 0] * said[said > 0].log()).sum() * 1.5**2 / 2
    assert loss(1.0) == pytest.approx(float(entropy), abs=5e-3)
    assert loss(1.0) < min(loss(0.7), loss(1.4))


def mean_loss(data: Any, model: Any) -> float:
    batch = data.batch(np.arange(data.train_rows), "student")
    with torch.no_grad():
        losses = RUN.span_loss(model.logits(model.weights, batch), batch.allowed, data.targets(batch))
    return float((losses * torch.from_numpy(data.weights)).sum() / data.weights.sum())


def averaged_model(data: Any, finished: Path) -> Any:
    """The run's model with what it saved."""
    files = finished.glob("reader-*.safetensors")
    saved = {name: values.float() for file in files for name, values in load_file(file).items()}
    words = RUN.read_weights(data.pack / "student.safetensors")[RUN.WORDS]
    state = {name.removeprefix("bert."): values for name, values in saved.items()}
    return RUN.Model(data.described["student"], {**state, RUN.WORDS: words}, data.device)


def test_gpu_run_learns(data: Any, finished: Path) -> None:
    before, after = mean_loss(data, opened(data, "student")), mean_loss(data, averaged_model(data, finished))
    assert after < 0.7 * before
    told = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    assert told["updates"] == UPDATES
    assert told["settings"]["student_rate"] == 3e-3
    assert told["settings"]["student_fall"] == 0.1
    assert told["settings"]["step_tokens"] == 400


def test_gpu_run_reader_says_what_the_run_predicted(packed: Path, dev: Path, finished: Path, reader: Path) -> None:
    """Scores of the unpacked reader on dev texts that it tokenises itself, beside those in dev.npz."""
    predicted = np.load(finished / "dev.npz")
    marks = {name.partition("|")[0] for name in predicted.files}
    assert marks == {"before-fall", "final", "final-last"}
    content = json.loads((packed / "dev.json").read_text(encoding="utf-8"))
    scorer = open_scorer(ModelFolder(reader), BackendOptions(backend="torch"))
    examples = {(name, one.id): one for name in ("facts", "others") for one in read_squad(dev / f"{name}.json.gz")}
    assert len(examples) == len(content["questions"])
    best, null, spans = [], [], []
    for file, name, context in content["questions"]:
        example = examples[file, name]
        tokens = scorer.tokenizer.encode(example.context)
        assert tokens.offsets.tolist() == content["offsets"][str(context)]
        question = scorer.tokenizer.encode(example.question).ids
        windows = list(make_windows(question, tokens, scorer.tokenizer.template, WINDOWS))
        start, end = scorer.score(collate(windows, scorer.tokenizer.pad_id))
        null.append((start[:, 0] + end[:, 0]).min())
        found = []
        for window, one, other in zip(windows, start, end, strict=True):
            inside = window.context_start + np.flatnonzero(window.offsets[:, 0] < window.offsets[:, 1])
            sums = one[inside, None] + other[None, inside]
            length = inside[None] - inside[:, None]
            sums[(length < 0) | (length >= RUN.LONGEST_ANSWER)] = -np.inf
            first, last = np.unravel_index(sums.argmax(), sums.shape)
            places = window.offsets[inside - window.context_start]
            found.append((sums.max(), int(places[first, 0]), int(places[last, 1])))
        best.append(max(found)[0])
        spans.append(max(found)[1:])
    spread = np.std(best + null)
    assert np.abs(predicted["final|best"] - best).max() < 0.1 * spread
    assert np.abs(predicted["final|null"] - null).max() < 0.1 * spread
    pairs = zip(content["questions"], predicted["final|span"], strict=True)
    said = [
        (content["offsets"][str(context)][first][0], content["offsets"][str(context)][last][1])
        for (_, _, context), (first, last) in pairs
    ]
    assert np.mean([one == other for one, other in zip(said, spans, strict=True)]) > 0.8
    assert len(set(spans)) > 1


def test_gpu_run_reader_opens(reader: Path) -> None:
    answer = Reader.from_pretrained(reader).read("When was the bridge opened?", "The bridge was opened in 1874.")
    assert answer.to_json()


def test_gpu_run_parts_stay_small(data: Any, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUN, "PART_BYTES", 60_000)
    run = RUN.Run(data, RUN.Settings(), tmp_path, 0.0, 0.0)
    model = averaged_model(data, finished)
    run.save(model, model.weights)
    parts = sorted(tmp_path.glob("reader-*.safetensors"))
    assert len(parts) > 1
    assert all(sum(one.nbytes for one in load_file(part).values()) <= 60_000 for part in parts)


def test_gpu_run_average_is_the_power_function(data: Any) -> None:
    """Of weights 1, 2, 3 and so on it is the mean that weighs the t-th with t to the power of gamma, nearly."""
    settings = RUN.Settings(gamma=10.0, max_grad_norm=1e9, weight_decay=0.0)
    trainer = RUN.Trainer(opened(data, "student"), settings, 1e-9, 1, 0.0)
    progress = RUN.Progress(0.0)
    bias = trainer.model.weights["head.bias"]
    for number in range(1, 101):
        with torch.no_grad():
            bias.fill_(number)
        trainer.update(bias.sum()[None], progress)
    steps = np.arange(1, 101.0)
    expected = (steps**11).sum() / (steps**10).sum()
    assert float(trainer.averaged()["head.bias"][0]) == pytest.approx(expected, abs=0.6)
    assert trainer.averaged()["head.bias"][0] < 95


def test_gpu_run_goes_on_uncompiled(data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("no compiler")

    trainer = RUN.Trainer(opened(data, "student"), RUN.Settings(), 1e-3, 1, 0.0)
    trainer.model.finish = broken
    start, _ = trainer.logits(data.batch(np.arange(2), "student"), RUN.Clock())
    assert start.isfinite().all()
    assert "no compiler" in capsys.readouterr().out
    assert trainer.model.finish is RUN.finish_layer


def test_gpu_run_without_a_teacher(packed: Path, tmp_path: Path) -> None:
    limits = ["--teacher-seconds", "0", "--seconds", "600", "--updates", "2"]
    assert RUN.main([str(packed), str(tmp_path / "out"), *limits]) == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["updates"] == 2


def test_gpu_run_pack_of_bert_s_template(recipe: Recipe, tmp_path: Path) -> None:
    """Type ids of the context, and one special token between the texts."""
    student = make_encoder(tmp_path / "student", "bert", "wordpiece", tiny.BERT)
    PACK.pack(replace(recipe, model=str(student)), tmp_path)
    data = RUN.Data(tmp_path, torch.device("cpu"))
    model, batch = opened(data, "student"), data.batch(np.arange(4), "student")
    theirs = AutoModelForQuestionAnswering.from_pretrained(student).eval()
    theirs.qa_outputs.load_state_dict({"weight": model.weights["head.weight"], "bias": model.weights["head.bias"]})
    position = torch.arange(batch.ids.shape[1])[None]
    types = ((position >= batch.first) & batch.mask).long()
    ids = vocabulary(data, "student")[batch.ids]
    with torch.no_grad():
        found, _ = model.logits(model.weights, batch)
        expected = theirs(input_ids=ids, attention_mask=batch.mask.long(), token_type_ids=types).start_logits
        untyped = theirs(input_ids=ids, attention_mask=batch.mask.long()).start_logits
    spread = expected[batch.mask].std()
    assert (found - expected)[batch.mask].abs().max() < 0.1 * spread
    assert (found - untyped)[batch.mask].abs().max() > 0.2 * spread


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"distillation": None}, "one teacher"),
        ({"windows": WindowSettings(max_seq_len=500)}, "student's 200"),
        ({"windows": WindowSettings(max_seq_len=96, step=10)}, "doc_stride"),
    ],
)
def test_gpu_run_pack_refuses(recipe: Recipe, tmp_path: Path, change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        PACK.pack(replace(recipe, **change), tmp_path)


def test_gpu_run_pack_refuses_another_family(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="knows bert"):
        PACK.pack(replace(recipe, model=str(folder_of(recipe, "teacher"))), tmp_path)


def test_gpu_run_unpack_refuses_another_model(finished: Path, tmp_path: Path) -> None:
    other = make_encoder(tmp_path / "other", "mpnet", "wordpiece", tiny.ROBERTA)
    with pytest.raises(ModelError, match="not those of other"):
        UNPACK.unpack(str(other), finished, tmp_path / "reader")
    with pytest.raises(InputError, match="holds no reader"):
        UNPACK.unpack(str(other), tmp_path, tmp_path / "reader")
    assert not (tmp_path / "reader").exists()


def test_gpu_run_command_lines(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from polyspan.training.recipe import as_mapping

    plain = as_mapping(recipe)
    plain["model"] = "${BASE}"
    (tmp_path / "recipe.yaml").write_text(json.dumps(plain), encoding="utf-8")
    arguments = [str(tmp_path / "recipe.yaml"), str(tmp_path / "pack")]
    assert PACK.main([*arguments, "--define", "BASE"]) == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err
    assert PACK.main([*arguments, "--define", f"BASE={recipe.model}"]) == 0
    assert (tmp_path / "pack" / "pack.json").is_file()
    assert UNPACK.main([recipe.model, str(tmp_path), str(tmp_path / "reader")]) == 2
    with pytest.raises(SystemExit):
        RUN.main([str(tmp_path), str(tmp_path / "out"), "--teacher-seconds", "1", "--seconds", "2"])
    assert "holds no pack.json" in capsys.readouterr().err
