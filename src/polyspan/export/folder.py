"""An ONNX graph to a model folder in the layout of transformers.js."""

import json
from importlib.metadata import version
from pathlib import Path

import onnx

from polyspan.backends import ModelFolder, NativeSettings, unpacked
from polyspan.backends.farm_folder import FarmFolder
from polyspan.backends.folder import PACKED
from polyspan.cards import CardFacts, model_card, with_section
from polyspan.datasets.writing import write_bytes
from polyspan.errors import ModelError
from polyspan.export.precision import PRECISIONS, WORD_EMBEDDINGS, Plan

LARGEST_FILE = 1_900_000_000
"""Bytes of weights above which they are written beside the graph: a protobuf holds 2 GB at most."""
CARD = "README.md"
EXPORT_TITLE = "Export"
_EMBEDDINGS = {
    "float": "in float",
    "8": "in 8 bits, a scale for each piece",
    "4": "in 4 bits, a scale for each 32 values",
}


def refuse_farm(source: ModelFolder) -> None:
    """ModelError where a model has FARM's layout, whose files neither exporting nor trimming reads."""
    if isinstance(source, FarmFolder):
        raise ModelError(f"{source.path}: has FARM's layout; convert it first: polyspan convert {source.path} NEW")


def write_folder(
    source: ModelFolder, target: Path, graph: onnx.ModelProto, plan: Plan, settings: NativeSettings
) -> None:
    """Write configuration, tokenizer, settings and graph into the existing, empty folder ``target``.

    ``config.json`` tells transformers.js which of its dtypes the file is of.
    """
    from polyspan.backends.torch import save_tokenizer

    precision = PRECISIONS[plan.precision]
    outside = save_graph(graph, target / "onnx" / precision.file)
    browser = {"dtype": precision.dtype, **({"use_external_data_format": {precision.file: True}} if outside else {})}
    write_json_file(target / "config.json", {**source.config, "transformers.js_config": browser}, indent=2)
    save_tokenizer(source, target)
    gzipped = target / f"tokenizer.json{PACKED}"
    if gzipped.is_file():  # which transformers.js does not read
        write_bytes(target / "tokenizer.json", [unpacked(gzipped)])
        gzipped.unlink()
    if not (target / "tokenizer_config.json").is_file():
        content = {"tokenizer_class": "PreTrainedTokenizerFast"}
        write_json_file(target / "tokenizer_config.json", content, indent=2)
    ModelFolder(target).write_settings(settings)


def save_graph(graph: onnx.ModelProto, file: Path) -> bool:
    """Write a graph, in a folder that is made; whether its weights had to be written beside it."""
    file.parent.mkdir()
    outside = sum(len(value.raw_data) for value in graph.graph.initializer) > LARGEST_FILE
    onnx.save_model(graph, file, save_as_external_data=outside, location=f"{file.name}_data")
    return outside


def export_section(plan: Plan, measured: str) -> str:
    """What a card says of an export: formats, what was left out of them, and what was ``measured``, as Markdown."""
    precision = PRECISIONS[plan.precision]
    made_with = "nncf" if precision.backend == "openvino" else "onnxruntime"
    excluded = sorted(plan.excluded - {WORD_EMBEDDINGS})
    lines = [
        f"- file: `onnx/{precision.file}`, made with {made_with} {version(made_with)}",
        f"- precision: {plan.precision}: {precision.summary}",
        f"- word embeddings: {_EMBEDDINGS[plan.stored_embeddings]}",
    ]
    if precision.quantised:
        lines.append(
            f"- matrices left in float32: {', '.join(f'`{name}`' for name in excluded) or 'none but the head'}"
        )
    return "\n".join(lines) + f"\n\n{measured}"


def write_card(source: ModelFolder, target: Path, title: str, section: str) -> None:
    """Write the card of the source, or a new one, with a section of that title at its end."""
    old = source.path / CARD
    text = old.read_text(encoding="utf-8") if old.is_file() else model_card(CardFacts(target.name, licence=""))
    (target / CARD).write_text(with_section(text, title, section), encoding="utf-8")


def write_json_file(path: Path, content: object, indent: int | None = None) -> None:
    """Write a value as JSON, in one line without spaces unless there is an ``indent``; halves of surrogates stay."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, ensure_ascii=False, indent=indent, separators=separators)
    write_bytes(path, [text.encode("utf-8", "surrogatepass")])
