import gzip
from pathlib import Path

import numpy as np
import pytest

from polyspan import ModelError

onnx = pytest.importorskip("onnx")
ROWS = [0, 2, 5]
TABLE = np.arange(24, dtype=np.float32).reshape(6, 4)


def write_graph(file: Path, nodes: list[tuple[str, list[str], str]], **tensors: np.ndarray) -> Path:
    """A graph of ``nodes`` (kind, inputs, output), of which the last makes the output."""
    from onnx import TensorProto, helper, numpy_helper

    made = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in nodes]
    for node in made:
        if node.op_type == "Cast":
            node.attribute.append(helper.make_attribute("to", TensorProto.INT64))
    graph = helper.make_graph(
        made,
        "reader",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["windows", "tokens"])],
        [helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    return file


def run(file: Path, ids: list[int]) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, {"input_ids": np.array([ids])})[0]
    return output


def cut(file: Path, out: Path) -> Path:
    from polyspan.export.tables import cut_graph, read_graph, write_graph

    graph = read_graph(file)
    cut_graph(graph, ROWS, str(file))
    write_graph(graph, out)
    return out


def test_tables_cut_words_and_leave_positions(tmp_path: Path) -> None:
    nodes = [
        ("Cast", ["input_ids"], "ids"),
        ("Gather", ["words", "ids"], "word"),
        ("Greater", ["input_ids", "zero"], "real"),
        ("Cast", ["real"], "counted"),
        ("Gather", ["positions", "counted"], "position"),
        ("Add", ["word", "position"], "out"),
    ]
    positions = -np.ones((6, 4), np.float32)  # as many rows as there are words
    file = write_graph(tmp_path / "a.onnx", nodes, words=TABLE, positions=positions, zero=np.array(-1))
    small = cut(file, tmp_path / "small" / "a.onnx")
    assert (run(small, [0, 1, 2]) == run(file, ROWS)).all()
    assert {tensor.name: tensor.dims[0] for tensor in onnx.load(small).graph.initializer if tensor.dims} == {
        "words": 3,
        "positions": 6,
    }


@pytest.mark.parametrize("first", ["gather", "dequantize"])
def test_tables_cut_eight_bits(tmp_path: Path, first: str) -> None:
    codes, scale, zero = TABLE.astype(np.int8), np.float32(0.5), np.int8(3)
    nodes = {
        "gather": [
            ("Gather", ["codes", "input_ids"], "code"),
            ("DequantizeLinear", ["code", "scale", "zero"], "out"),
        ],
        "dequantize": [
            ("DequantizeLinear", ["codes", "scale", "zero"], "table"),
            ("Gather", ["table", "input_ids"], "out"),
        ],
    }
    tensors: dict[str, np.ndarray] = {"codes": codes, "scale": np.array(scale), "zero": np.array(zero)}
    file = write_graph(tmp_path / "a.onnx", nodes[first], **tensors)
    assert (run(cut(file, tmp_path / "b.onnx"), [2, 1]) == run(file, [5, 2])).all()


def test_tables_keep_weights_in_their_files(tmp_path: Path) -> None:
    nodes = [("Gather", ["words", "input_ids"], "word"), ("MatMul", ["word", "matrix"], "out")]
    file = write_graph(tmp_path / "a.onnx", nodes, words=TABLE, matrix=np.eye(4, dtype=np.float32) * 2)
    outside = tmp_path / "outside" / "a.onnx"
    outside.parent.mkdir()
    onnx.save(onnx.load(file), outside, save_as_external_data=True, location="weights.bin", size_threshold=0)
    small = cut(outside, tmp_path / "small" / "a.onnx")
    assert {path.name for path in small.parent.iterdir()} == {"a.onnx", "weights.bin"}
    assert (run(small, [0, 1, 2]) == run(file, ROWS)).all()
    assert (small.parent / "weights.bin").stat().st_size < 2 * 4096
    for path in (outside, outside.with_name("weights.bin")):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = cut(outside.with_name("a.onnx.gz"), tmp_path / "packed" / "a.onnx.gz")
    for path in [*packed.parent.iterdir()]:
        path.with_name(path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
    assert (run(packed.with_name("a.onnx"), [0, 1, 2]) == run(file, ROWS)).all()


def test_tables_refuse_what_they_cannot_cut(tmp_path: Path) -> None:
    from polyspan.export.tables import cut_graph, read_graph

    small = write_graph(tmp_path / "a.onnx", [("Gather", ["words", "input_ids"], "out")], words=TABLE[:3])
    with pytest.raises(ModelError, match="its embeddings have 3 rows, and its tokenizer 6 pieces"):
        cut_graph(read_graph(small), ROWS, "a.onnx")
    none = write_graph(tmp_path / "b.onnx", [("Gather", ["words", "zero"], "out")], words=TABLE, zero=np.array(0))
    with pytest.raises(ModelError, match="no table that input_ids are looked up in"):
        cut_graph(read_graph(none), ROWS, "b.onnx")
    (tmp_path / "c.onnx").write_bytes(b"\xff\xff")
    with pytest.raises(ModelError, match="not a readable ONNX file"):
        read_graph(tmp_path / "c.onnx")
    model = onnx.load(small)
    onnx.save(model, tmp_path / "d.onnx", save_as_external_data=True, location="gone.bin", size_threshold=0)
    (tmp_path / "gone.bin").unlink()
    with pytest.raises(ModelError, match=r"its weights in gone.bin are not beside it"):
        read_graph(tmp_path / "d.onnx")
