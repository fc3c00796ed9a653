"""Encoders by onnxruntime against the sentence-transformers library, on tiny models in its layout."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from polyspan.backends import BackendOptions, TextEncoder, open_encoder
from polyspan.errors import InputError, ModelError

torch: Any = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
onnx: Any = pytest.importorskip("onnx")

Encoder = Callable[[str, str], Path]
PROMPTS = {"query": "Who ", "passage": "The "}
TEXTS = [*tiny.SENTENCES, "", "bridge " * 100, "half \ud800 a pair"]
TORCH = BackendOptions("torch")


@pytest.fixture(scope="module")
def encoder_of(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """The folder of an architecture and a pooling, with an ONNX file beside torch's weights."""
    torch.set_num_threads(1)  # more only wait for each other on models of this size
    root = tmp_path_factory.mktemp("encoders")

    def make(architecture: str, pooling: str) -> Path:
        folder = root / f"{architecture}-{pooling}"
        if not folder.is_dir():
            tiny.make_encoder_folder(folder, architecture, pooling, PROMPTS)
            tiny.export_encoder_onnx(folder)
        return folder

    return make


@pytest.fixture
def bert(encoder_of: Encoder, tmp_path: Path) -> Path:
    """A folder that a test may change."""
    return shutil.copytree(encoder_of("bert", "mean"), tmp_path / "bert")


def kind_of(encoder: TextEncoder) -> str:
    return type(encoder).__name__


def change(path: Path, **values: Any) -> None:
    """Put other values into a JSON object."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("architecture", "pooling"), [("bert", "mean"), ("bert", "cls"), ("xlm-roberta", "mean"), ("mpnet", "cls")]
)
def test_encoder_onnx_equals_the_library(architecture: str, pooling: str, encoder_of: Encoder) -> None:
    folder = encoder_of(architecture, pooling)
    exported, library = open_encoder(folder), open_encoder(folder, TORCH)
    assert (kind_of(exported), kind_of(library)) == ("OnnxEncoder", "TorchEncoder")
    assert exported.digest == library.digest
    assert exported.dimension == library.dimension == tiny.HIDDEN
    for name in ("encode_questions", "encode_passages"):
        one, other = getattr(exported, name)(TEXTS), getattr(library, name)(TEXTS)
        assert one.dtype == other.dtype == np.float32
        assert one.shape == (len(TEXTS), tiny.HIDDEN)
        np.testing.assert_allclose(one, other, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
        assert getattr(exported, name)([]).shape == getattr(library, name)([]).shape == (0, tiny.HIDDEN)


@pytest.mark.parametrize("options", [None, TORCH], ids=["onnx", "torch"])
def test_encoder_puts_the_prompts_before_texts(options: BackendOptions | None, encoder_of: Encoder) -> None:
    prompted = open_encoder(encoder_of("bert", "mean"), options)
    question, passage = prompted.encode_questions(["bridge"]), prompted.encode_passages(["bridge"])
    assert np.abs(question - passage).max() > 1e-2
    np.testing.assert_array_equal(prompted.encode_passages(["bridge"]), passage)


def test_encoder_without_prompts_adds_nothing(bert: Path) -> None:
    change(bert / "config_sentence_transformers.json", prompts={"query": None, "document": ""})
    plain = open_encoder(bert)
    np.testing.assert_array_equal(plain.encode_questions(TEXTS), plain.encode_passages(TEXTS))


def test_encoder_cuts_texts_at_its_longest(bert: Path) -> None:
    long, longer = (open_encoder(bert).encode_passages([f"{'bridge ' * 60}{word}"]) for word in ("", "river"))
    np.testing.assert_array_equal(long, longer)
    change(bert / "sentence_bert_config.json", max_seq_length=63)
    assert np.abs(open_encoder(bert).encode_passages(["bridge " * 60]) - long).max() > 1e-4


def test_encoder_takes_the_length_of_new_folders_from_the_tokenizer(bert: Path) -> None:
    (bert / "sentence_bert_config.json").write_text(json.dumps({"module_output_name": "token_embeddings"}))
    change(bert / "tokenizer_config.json", model_max_length=20)
    pooling = {"embedding_dimension": tiny.HIDDEN, "pooling_mode": "mean", "include_prompt": True}
    (bert / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    one, other = (open_encoder(bert, options).encode_passages(TEXTS) for options in (None, TORCH))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_encoder_scores_the_same_from_several_threads_and_in_any_order(encoder_of: Encoder) -> None:
    for options in (None, TORCH):
        encoder = open_encoder(encoder_of("bert", "mean"), options)
        expected = encoder.encode_passages(TEXTS)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _, encoder=encoder: encoder.encode_passages(TEXTS[::-1]), range(12)):
                np.testing.assert_allclose(found[::-1], expected, atol=1e-5)


def test_encoder_takes_whole_vectors_where_the_graph_gives_them(bert: Path) -> None:
    expected = open_encoder(bert, TORCH).encode_passages(TEXTS)
    change(bert / "1_Pooling" / "config.json", pooling_mode_max_tokens=True)
    tiny.export_encoder_onnx(bert, "sentence_embedding")
    encoder = open_encoder(bert, BackendOptions("onnx"))
    np.testing.assert_allclose(encoder.encode_passages(TEXTS), expected, atol=1e-5)
    (bert / "modules.json").unlink()
    assert kind_of(open_encoder(bert)) == "OnnxEncoder"


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling is mean, pooling_mode_max_tokens"),
        ("1_Pooling/config.json", {"include_prompt": False}, "leaves prompts out"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "lower-cased"),
        ("config_sentence_transformers.json", {"truncate_dim": 16}, "vectors are cut"),
    ],
)
def test_encoder_leaves_other_modules_to_the_library(
    file: str, values: dict[str, Any], reason: str, bert: Path
) -> None:
    change(bert / file, **values)
    encoder = open_encoder(bert)
    assert kind_of(encoder) == "TorchEncoder"
    assert encoder.encode_passages(TEXTS).shape == (len(TEXTS), encoder.dimension)
    with pytest.raises(ModelError, match=reason):
        open_encoder(bert, BackendOptions("onnx"))


def test_encoder_with_a_dense_module_is_the_librarys(bert: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    model = SentenceTransformer(str(bert), device="cpu")
    torch.manual_seed(0)
    model.append(Dense(tiny.HIDDEN, 8))
    model.save_pretrained(str(bert.parent / "dense"))
    shutil.copytree(bert / "onnx", bert.parent / "dense" / "onnx")
    encoder = open_encoder(bert.parent / "dense")
    assert (kind_of(encoder), encoder.dimension) == ("TorchEncoder", 8)
    with pytest.raises(ModelError, match="modules are Transformer, Pooling, Normalize, Dense"):
        open_encoder(bert.parent / "dense", BackendOptions("onnx"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"other"),
        ("onnx/model.onnx", b"other"),
        ("tokenizer.json", b"{}"),
        ("1_Pooling/config.json", b"{}"),
        ("modules.json", b"[]"),
        ("sentence_bert_config.json", b"{}"),
        ("config_sentence_transformers.json", b"{}"),
    ],
)
def test_encoder_digest_tells_whatever_changes_vectors(file: str, content: bytes, bert: Path) -> None:
    from polyspan.backends.sentence import SentenceFolder

    before = SentenceFolder(bert).digest
    assert len(before) == 12
    (bert / file).write_bytes(content)
    assert SentenceFolder(bert).digest != before


def test_encoder_digest_is_not_of_names_and_cards(bert: Path) -> None:
    from polyspan.backends.sentence import SentenceFolder

    before = SentenceFolder(bert).digest
    (bert / "README.md").write_text("# A card")
    (bert / "polyspan.json").write_text(json.dumps({"format_version": 1, "name": "another"}))
    renamed = SentenceFolder(bert)
    assert (renamed.name, renamed.digest) == ("another", before)


def test_encoder_refuses_what_is_no_list_of_texts(encoder_of: Encoder) -> None:
    encoder = open_encoder(encoder_of("bert", "mean"))
    for wrong in ("bridge", [b"bridge"], [None]):
        with pytest.raises(InputError, match="list of texts"):
            encoder.encode_questions(wrong)  # type: ignore[arg-type] # what is tested


def test_encoder_refuses_options_of_other_runtimes(encoder_of: Encoder) -> None:
    folder = encoder_of("bert", "mean")
    for options, message in (
        (BackendOptions("openvino"), "an encoder's backend must be one of onnx, torch"),
        (BackendOptions("onnx", device="cpu"), "device is an option of backend torch"),
        (BackendOptions("torch", threads=2), "threads is an option"),
        (BackendOptions("torch", dtype="int4"), "dtype must be one of"),
        (BackendOptions("onnx", providers=("Nowhere",)), "has no Nowhere"),
    ):
        with pytest.raises(InputError, match=message):
            open_encoder(folder, options)


def test_encoder_refuses_folders_that_are_no_encoders(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no modules\.json there"):
        open_encoder(tmp_path / "empty")
    with pytest.raises(ModelError, match="no such folder"):
        open_encoder(tmp_path / "nowhere")
    reader = tiny.make_reader_folder(tmp_path / "reader")
    tiny.export_onnx(reader)
    with pytest.raises(ModelError, match=r"gives \['start_logits', 'end_logits'\]; an encoder takes"):
        open_encoder(reader)
    (bert / "modules.json").write_text("{")
    with pytest.raises(ModelError, match=r"modules\.json: not readable as JSON"):
        open_encoder(bert)


def test_encoder_refuses_vectors_that_are_no_numbers(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(bert / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] = float("nan")
    save_file(weights, bert / "model.safetensors", {"format": "pt"})
    tiny.export_encoder_onnx(bert)
    for options in (None, TORCH):
        with pytest.raises(ModelError, match="not finite"):
            open_encoder(bert, options).encode_questions(["bridge"])


def test_encoder_without_the_library_names_the_extra(bert: Path) -> None:
    code = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "from polyspan.backends import open_encoder, BackendOptions\n"
        "print(open_encoder(sys.argv[1]).dimension)\n"
        "open_encoder(sys.argv[1], BackendOptions('torch'))"
    )
    result = subprocess.run([sys.executable, "-c", code, bert], capture_output=True, text=True, check=False)
    assert result.stdout == f"{tiny.HIDDEN}\n"
    assert 'pip install "polyspan[retriever]"' in result.stderr.splitlines()[-1]


def test_encoder_by_onnx_imports_no_torch(encoder_of: Encoder) -> None:
    code = "import sys; from polyspan.backends import open_encoder; open_encoder(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-c", code, str(encoder_of("bert", "mean"))]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "transformers", "sentence_transformers"}.isdisjoint(modules)
