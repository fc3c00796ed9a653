"""Models with fewer rows of word embeddings."""

import gzip
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import external_data_helper, numpy_helper

from polyspan.backends import ModelFolder, unpacked
from polyspan.backends.folder import PACKED
from polyspan.errors import ModelError
from polyspan.export.weights import ALIGNMENT

LOOKUPS = ("Gather", "GatherBlockQuantized")
# Between ids and a lookup, and between a table on disk and in use.
SAME_IDS = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
SAME_ROWS = ("Cast", "Identity", "DequantizeLinear", "Mul")


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """An ONNX file with all its weights in memory; ``external`` names the tensors of each further file of weights."""

    model: onnx.ModelProto
    external: dict[str, list[str]]


def read_graph(file: Path) -> Graph:
    """An ONNX file and the weights beside it, any of which may be gzipped. ModelError where they cannot be read."""
    try:
        model = onnx.load_model_from_string(unpacked(file))
    except Exception as error:  # protobuf's errors are its own
        raise ModelError(f"{file}: not a readable ONNX file") from error
    external: dict[str, list[str]] = defaultdict(list)
    contents: dict[str, bytes] = {}
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor):
            info = external_data_helper.ExternalDataInfo(tensor)
            if info.location not in contents:
                contents[info.location] = unpacked(_beside(file, info.location))
            begin = info.offset or 0
            end = len(contents[info.location]) if info.length is None else begin + info.length
            tensor.raw_data = contents[info.location][begin:end]
            tensor.data_location = onnx.TensorProto.DEFAULT
            tensor.ClearField("external_data")
            external[info.location].append(tensor.name)
    return Graph(model, external)


def weight_files(file: Path) -> list[Path]:
    """An ONNX file and those that its weights are in."""
    return [file, *(_beside(file, location) for location in read_graph(file).external)]


def cut_graph(graph: Graph, rows: Sequence[int], where: str) -> None:
    """Keep only these rows of whatever input_ids are looked up in: a table, or its codes, scales and zero points.

    Raises:
        ModelError: if there is no such table, or it has fewer rows.
    """
    tensors = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    makers = {name: node for node in graph.model.graph.node for name in node.output}
    found = False
    for node in graph.model.graph.node:
        if node.op_type in LOOKUPS and "input_ids" in _behind(node.input[1], makers, SAME_IDS):
            values = [node.input[0], *node.input[2:]]
            cone = [tensors[name] for value in values for name in _behind(value, makers, SAME_ROWS) if name in tensors]
            size = max((tensor.dims[0] for tensor in cone if len(tensor.dims) > 1), default=0)
            if size <= max(rows):
                raise ModelError(f"{where}: its embeddings have {size} rows, and its tokenizer {max(rows) + 1} pieces")
            for tensor in cone:
                if tensor.dims and tensor.dims[0] == size:
                    array = numpy_helper.to_array(tensor)[np.asarray(rows)]
                    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
            found = True
    if not found:
        raise ModelError(f"{where}: has no table that input_ids are looked up in; expected word embeddings")


def write_graph(graph: Graph, file: Path) -> None:
    """Write an ONNX file with its further files beside it, all gzipped if its name ends in ``.gz``."""
    tensors = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    file.parent.mkdir(parents=True, exist_ok=True)
    for location, names in graph.external.items():
        content = bytearray()
        for tensor in (tensors[name] for name in names):
            raw = tensor.raw_data or numpy_helper.to_array(tensor).tobytes()
            content += b"\0" * (-len(content) % ALIGNMENT)
            external_data_helper.set_external_data(tensor, location, len(content), len(raw))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.ClearField("raw_data")
            content += raw
        _write(file.with_name(f"{location}{PACKED}" if file.suffix == PACKED else location), bytes(content))
    _write(file, graph.model.SerializeToString())


def cut_onnx(folder: ModelFolder, rows: Sequence[int], out: Path) -> None:
    """Write the ONNX file that a folder is read from, with these rows of its word embeddings."""
    file = folder.onnx_file
    if file is None:
        raise ModelError(f"{folder.path}: holds no ONNX file")
    graph = read_graph(file)
    cut_graph(graph, rows, str(file))
    write_graph(graph, out / file.relative_to(folder.path))


def cut_torch(folder: ModelFolder, rows: Sequence[int], out: Path) -> None:
    """Write the safetensors of a folder for torch, with these rows of its word embeddings, in their precision.

    Raises:
        ModelError: if transformers cannot open it, or knows no such embeddings in it.
        MissingExtraError: without torch.
    """
    from polyspan.backends.torch import open_model, quietly

    model = open_model(folder, "auto")
    table = model.get_input_embeddings()
    size = 0 if table is None else len(table.weight)
    if size <= max(rows):
        raise ModelError(
            f"{folder.path}: its embeddings have {size} rows, and its tokenizer {max(rows) + 1} pieces or more"
        )
    table.weight.data = table.weight.data[list(rows)].contiguous()
    model.config.vocab_size = len(rows)
    with quietly():
        model.save_pretrained(out)


def _beside(file: Path, location: str) -> Path:
    """A file of weights, which is gzipped where the ONNX file is; nothing outside the folder."""
    path = file.with_name(f"{Path(location).name}{PACKED}" if file.suffix == PACKED else Path(location).name)
    if not path.is_file():
        raise ModelError(f"{file}: its weights in {location} are not beside it; copy the model folder again")
    return path


def _behind(name: str, makers: Mapping[str, onnx.NodeProto], through: Collection[str]) -> Iterator[str]:
    """A value and those that nodes of some kinds make it from."""
    yield name
    if name in makers and makers[name].op_type in through:
        for value in makers[name].input:
            yield from _behind(value, makers, through)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == PACKED else content)
