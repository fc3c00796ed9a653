"""An ONNX graph to a model folder in the layout of transformers.js."""

import json
from importlib.metadata import version
from pathlib import Path

import onnx

from polyspan.backends import ModelFolder, NativeSettings, unpacked
from polyspan.backends.folder import PACKED
from polyspan.cards import CardFacts, model_card, with_section
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


def write_folder(
    source: ModelFolder, target: Path, graph: onnx.ModelProto, plan: Plan, settings: NativeSettings
) -> None:
    """Write configuration, tokenizer, settings and graph into the new folder ``target``.

    ``config.json`` tells transformers.js which of its dtypes the file is of.
    """
    from polyspan.backends.torch import save_tokenizer

    precision = PRECISIONS[plan.precision]
    (target / "onnx").mkdir(parents=True)
    file = target / "onnx" / precision.file
    outside = sum(len(value.raw_data) for value in graph.graph.initializer) > LARGEST_FILE
    onnx.save_model(graph, file, save_as_external_data=outside, location=f"{precision.file}_data")
    browser = {"dtype": precision.dtype, **({"use_external_data_format": {precision.file: True}} if outside else {})}
    _write_json(target / "config.json", {**source.config, "transformers.js_config": browser})
    if source.tokenizer_file is not None and source.tokenizer_file.suffix == PACKED:
        (target / "tokenizer.json").write_bytes(unpacked(source.tokenizer_file))
    else:
        save_tokenizer(source, target)
    if not (target / "tokenizer_config.json").is_file():
        _write_json(target / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    ModelFolder(target).write_settings(settings)


def export_section(plan: Plan, measured: str) -> str:
    """What a card says of an export: formats, what was left out of them, and what was ``measured``, as Markdown."""
    precision = PRECISIONS[plan.precision]
    excluded = sorted(plan.excluded - {WORD_EMBEDDINGS})
    lines = [
        f"- file: `onnx/{precision.file}`, made with onnxruntime {version('onnxruntime')}",
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


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
