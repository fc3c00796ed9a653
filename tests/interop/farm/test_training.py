"""Haystack 1's verbs of training, evaluation, calibration and export, on models of a few thousand weights."""

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from facts import squad_content
from fake_scorer import FakeScorer
from polyspan import DatasetError, InputError, Reader
from polyspan.backends import NativeSettings
from polyspan.features import WindowSettings
from polyspan.interop.farm import EarlyStopping, FARMReader, InMemoryDocumentStore
from polyspan.interop.farm.training import Source, TrainingArguments, recipe_of

torch: Any = pytest.importorskip("torch")
pytest.importorskip("accelerate")

LENGTHS: dict[str, Any] = {"max_seq_len": 64, "doc_stride": 24, "max_query_length": 20}
STUDENT, TEACHER = Source("student"), Source("teacher", "main")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("train.json", "dev.json"):
        (folder / name).write_text(json.dumps(squad_content()))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_reader_folder(tmp_path_factory.mktemp("model") / "tiny", "bert", positions=64)


def recipe(stage: Any = "train", teacher: Source | None = None, **given: Any) -> Any:
    arguments = TrainingArguments.of(stage, {"data_dir": "d", "train_filename": "t.json", **given})
    return recipe_of(STUDENT, teacher, stage, arguments, WindowSettings(256, 0, 64, 128))


def test_training_defaults_are_haystacks() -> None:
    plain = recipe()
    assert (plain.model, plain.data[0].path, plain.data[0].labelled, plain.dev) == ("student", "d/t.json", True, ())
    assert (plain.epochs, plain.optimisation.learning_rate, plain.optimisation.warmup) == (2, 1e-5, 0.2)
    assert plain.windows == WindowSettings(256, 128, 64, 128)
    assert (plain.batch.windows, plain.batch.tokens) == (10, 2560)
    assert plain.distillation is None
    distilled = recipe("prediction", TEACHER)
    assert (distilled.epochs, distilled.optimisation.learning_rate) == (2, 3e-5)
    teaching = distilled.distillation
    assert (teaching.loss, teaching.temperature, teaching.distillation_loss_weight) == ("kl", 1.0, 0.5)
    assert (teaching.teachers[0].model, teaching.teachers[0].revision) == ("teacher", "main")
    inner = recipe("intermediate", TEACHER)
    assert (inner.epochs, inner.optimisation.learning_rate, inner.data[0].labelled) == (5, 5e-5, False)
    assert (inner.distillation.loss, inner.distillation.intermediate.kind) == ("none", "layers")


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"n_epochs": 7}, "epochs", 7),
        ({"grad_acc_steps": 3}, "gradient_accumulation", 3),
        ({"use_amp": True}, "precision", "bfloat16"),
        ({"early_stopping": EarlyStopping(patience=2), "dev_filename": "v.json"}, "patience", 2),
        ({"max_seq_len": 128, "doc_stride": 64, "max_query_length": 32}, "windows", WindowSettings(128, 128, 32, 64)),
    ],
)
def test_training_arguments_reach_the_recipe(given: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(recipe(**given), name) == value != getattr(recipe(), name)


def test_training_more_arguments_reach_the_recipe() -> None:
    changed = recipe(batch_size=4, learning_rate=1e-3, warmup_proportion=0.1, dev_filename="v.json")
    assert (changed.batch.windows, changed.batch.tokens) == (4, 1024)
    assert (changed.optimisation.learning_rate, changed.optimisation.warmup) == (1e-3, 0.1)
    assert changed.dev[0].path == "d/v.json"
    taught = recipe("prediction", TEACHER, distillation_loss="mse", temperature=5, distillation_loss_weight=1)
    teaching = taught.distillation
    assert (teaching.loss, teaching.temperature, teaching.distillation_loss_weight) == ("mse", 5.0, 1.0)
    assert recipe("prediction", TEACHER, distillation_loss="haystack1").distillation.loss == "haystack1"


@pytest.mark.parametrize(
    ("stage", "given", "message"),
    [
        ("train", {"dev_split": 0.1}, "dev_filename"),
        ("train", {"processor": object()}, "doc_stride"),
        ("train", {"distributed": True}, "torchrun"),
        ("train", {"learning_rates": 1}, "learning_rates: no such argument"),
        ("train", {"n_epochs": 0}, "epochs"),
        ("train", {"early_stopping": EarlyStopping(patience=2)}, "dev file"),
        ("prediction", {"distillation_loss": len}, "kl_div, mse, haystack1"),
        ("intermediate", {"distillation_loss": "kl_div"}, "squared differences"),
    ],
)
def test_training_refuses_what_it_cannot_honour(stage: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe(stage, None if stage == "train" else TEACHER, **given)


def test_training_takes_arguments_without_effect() -> None:
    names = ("evaluate_every", "num_processes", "checkpoint_root_dir", "checkpoint_every", "checkpoints_to_keep")
    more: dict[str, Any] = dict.fromkeys((*names, "teacher_batch_size", "devices"), 3)
    assert recipe(**more, caching=True) == recipe()


def test_training_reads_with_the_new_model(data: Path, folder: Path, tmp_path: Path) -> None:
    reader = FARMReader(folder, **LENGTHS)
    before = reader.predict("When was the bridge opened?", ["The bridge was opened in 1874."])
    report = reader.train(
        data_dir=data,
        train_filename="train.json",
        dev_filename="dev.json",
        test_filename="dev.json",
        n_epochs=1,
        learning_rate=1e-3,
        save_dir=tmp_path / "trained",
    )
    assert report.finished
    assert len(report.dev) == 1
    assert reader.model_name_or_path == tmp_path / "trained"
    assert set(reader.test_scores) >= {"EM", "f1", "top_n_accuracy"}
    after = reader.predict("When was the bridge opened?", ["The bridge was opened in 1874."])
    assert after["no_ans_gap"] != before["no_ans_gap"]
    assert (
        FARMReader(tmp_path / "trained", **LENGTHS).predict(
            "When was the bridge opened?", ["The bridge was opened in 1874."]
        )
        == after
    )
    reader.save(tmp_path / "trained")
    with pytest.raises(InputError, match=r"holds .* already"):
        FARMReader(folder, **LENGTHS).train(data, "train.json", save_dir=data)


def test_training_distils_in_two_stages(data: Path, folder: Path, tmp_path: Path) -> None:
    teacher = FARMReader(folder, **LENGTHS)
    student = FARMReader(folder, **LENGTHS)
    student.distil_intermediate_layers_from(
        teacher, data_dir=data, train_filename="train.json", n_epochs=1, save_dir=tmp_path / "stage1"
    )
    assert student.model_name_or_path == tmp_path / "stage1"
    student.distil_prediction_layer_from(
        teacher,
        data_dir=data,
        train_filename="train.json",
        test_filename="dev.json",
        n_epochs=1,
        caching=True,
        cache_path=tmp_path / "cache",
        save_dir=tmp_path / "stage2",
        temperature=3,
        distillation_loss_weight=0.75,
    )
    assert student.test_scores["Total_text_answer"] == 5
    assert any((tmp_path / "cache").rglob("*"))


def test_training_names_its_folder_after_the_model(
    data: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reader = FARMReader(folder, **LENGTHS)
    reader.train(data, "train.json", n_epochs=1)
    assert (tmp_path / "saved_models" / "tiny" / "model.safetensors").is_file()


def knowing(words: str, never: bool = False) -> Reader:
    return Reader(FakeScorer(words), NativeSettings(no_answer=not never))


def squad(tmp_path: Path, rows: list[tuple[str, str, list[str]]]) -> Path:
    """A file of questions, contexts and answers."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(number),
                    "question": question,
                    "is_impossible": not answers,
                    "answers": [{"text": text, "answer_start": context.index(text)} for text in answers],
                }
            ],
        }
        for number, (question, context, answers) in enumerate(rows)
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))
    return path


ROWS = [
    ("find oslo", "Anna lives in Oslo", ["Oslo"]),  # right
    ("find rome", "Bert works in Rome and in Oslo", ["Oslo"]),  # wrong
    ("find rome", "Rome wins", ["Rome wins"]),  # in part
    ("find paris", "Anna lives in Oslo", []),  # rightly none
    ("find oslo", "Anna lives in Oslo", []),  # wrongly one
]


def test_evaluation_has_haystacks_figures(tmp_path: Path) -> None:
    reader = FARMReader(knowing("anna bert lives works wins in and oslo rome"), top_k_per_candidate=1)
    squad(tmp_path, ROWS)
    found = reader.eval_on_file(data_dir=str(tmp_path), test_filename="rows.json")
    assert found["EM"] == pytest.approx(40)
    assert found["f1"] == pytest.approx(100 * (1 + 0 + 2 / 3 + 1 + 0) / 5)
    assert found["EM_text_answer"] == pytest.approx(100 / 3)
    assert found["EM_no_answer"] == 50
    assert (found["Total_text_answer"], found["Total_no_answer"]) == (3, 2)
    assert found["top_n"] == 2
    assert found["top_n_accuracy_text_answer"] == pytest.approx(200 / 3)
    assert found["top_n_accuracy_no_answer"] == 100  # no answer is always among them
    wide = FARMReader(reader.reader, top_k_per_candidate=20).eval_on_file(tmp_path, "rows.json")
    assert wide["top_n_accuracy_text_answer"] == 100
    assert wide["top_n_f1_text_answer"] > found["top_n_f1_text_answer"]
    assert wide["EM"] == found["EM"]


def test_evaluation_of_answerable_questions_never_abstains(tmp_path: Path) -> None:
    squad(tmp_path, [("find paris", "Anna lives in Oslo", ["Oslo"]), ROWS[0]])
    found = FARMReader(knowing("anna lives in oslo")).eval_on_file(tmp_path, "rows.json")
    assert found["EM"] >= 50
    assert "EM_no_answer" not in found
    assert found["EM_text_answer"] == found["EM"]


def test_evaluation_of_a_stores_labels_equals_that_of_the_file(tmp_path: Path) -> None:
    reader = FARMReader(knowing("anna bert lives works wins in and oslo rome"))
    path = squad(tmp_path, ROWS)
    store = InMemoryDocumentStore()
    store.add_eval_data(path, doc_index="eval_docs", label_index="eval_labels")
    assert store.get_document_count(index="eval_docs") == 3
    labels = store.get_all_labels("eval_labels")
    assert sum(bool(label.no_answer) for label in labels) == 2
    # one label says that a question has an answer, another that it has none: then it has one
    rows = [row for row in ROWS if row[0] != "find oslo" or row[2]]
    squad(tmp_path, rows)
    from_store = reader.eval(document_store=store, label_index="eval_labels", doc_index="eval_docs")
    assert from_store == reader.eval_on_file(tmp_path, "rows.json")
    with pytest.raises(DatasetError, match="holds no question"):
        reader.eval(store, label_index="eval_labels", label_origin="user-feedback")


def test_calibration_fits_the_probabilities(tmp_path: Path) -> None:
    cities = [f"city{number}" for number in range(60)]
    rows = []
    for number, city in enumerate(cities):
        other = cities[(number + 1) % 60]
        context = f"{city} lies by the lake number {number}"
        rows += [(f"find {city}", context, [city if number % 5 else f"{city} lies"]), (f"find {other}", context, [])]
    path = squad(tmp_path, rows)
    reader = FARMReader(knowing(" ".join([*cities, *map(str, range(60)), "lies by the lake number"])))
    before = reader.predict("find city1", ["city1 lies by the lake"])["answers"][0].score
    store = InMemoryDocumentStore()
    store.add_eval_data(path)
    reader.calibrate_confidence_scores(document_store=store)
    assert reader.reader.settings.calibration.confidence is not None
    after = reader.predict("find city1", ["city1 lies by the lake"])["answers"][0].score
    assert after < before  # one in five is not right by exact match
    again = FARMReader(knowing(" ".join([*cities, "lies by the lake number"])))
    again.eval_on_file(tmp_path, "rows.json", calibrate_conf_scores=True)
    assert again.reader.settings.calibration.confidence is not None


def test_calibration_needs_enough_labels(tmp_path: Path) -> None:
    squad(tmp_path, ROWS)
    store = InMemoryDocumentStore()
    store.add_eval_data(tmp_path / "rows.json")
    with pytest.raises(DatasetError, match="expected at least"):
        FARMReader(knowing("x")).calibrate_confidence_scores(store)
    with pytest.raises(InputError, match="never trained"):
        FARMReader(knowing("x", never=True)).calibrate_confidence_scores(store)


def test_export_opens_as_a_reader(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    asked = ("When was it opened?", ["The bridge was opened in 1874."])
    FARMReader.convert_to_onnx(model_name=str(folder), output_path=tmp_path / "onnx", opset_version=11)
    found, expected = (FARMReader(one, **LENGTHS).predict(*asked) for one in (tmp_path / "onnx", folder))
    assert found["answers"][0].answer == expected["answers"][0].answer
    assert found["no_ans_gap"] == pytest.approx(expected["no_ans_gap"], abs=1e-4)


def test_export_formats_are_the_houses(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = pytest.importorskip("polyspan.export")
    asked: list[Any] = []
    monkeypatch.setattr(export, "export_reader", lambda *given: asked.append(given))
    formats: list[dict[str, Any]] = [{"convert_to_float16": True}, {"quantize": True}]
    for options in formats:
        FARMReader.convert_to_onnx(str(folder), str(tmp_path / "out"), **options)
    assert [settings.precision for _, _, settings, _ in asked] == ["float16", "int8"]
    assert [(source.path, out) for source, out, _, _ in asked] == [(folder, tmp_path / "out")] * 2
    faults: list[dict[str, Any]] = [{"convert_to_float16": True, "quantize": True}, {"task_type": "embeddings"}]
    for fault in faults:
        with pytest.raises(InputError, match="not both"):
            FARMReader.convert_to_onnx(folder, tmp_path / "none", **fault)
