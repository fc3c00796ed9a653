"""FARM's model folders to Hugging Face's layout, and back as far as that goes without pickles."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from polyspan.backends import ModelFolder, find_model
from polyspan.backends.farm_folder import ENCODER, FARM_NAMES, HEAD_NAME, PROCESSOR_FILE, FarmFolder
from polyspan.datasets.writing import new_folder, write_json, write_text
from polyspan.errors import InputError
from polyspan.reader import ReadOptions

Layout = Literal["farm", "transformers"]

HEAD = "prediction_head_0"
_LANGUAGE = "english"  # FARM's own where it knows none
_TASK = {
    "label_list": ["start_token", "end_token"],
    "metric": "squad",
    "label_tensor_name": "question_answering_label_ids",
    "label_name": "question_answering_label",
    "label_column_name": None,
    "text_column_name": None,
    "task_type": None,
}
_NO_FILES = {"data_dir": "", "train_filename": None, "dev_filename": None, "test_filename": None, "dev_split": 0}
"""What FARM's processor asks for though it reads nothing."""
_README = """# A reader in FARM's layout

Its weights are safetensors. FARM and Haystack 1 read pickles with the ending `.bin`; in their own environment, with
safetensors installed, these lines make them in this folder:

    import pathlib, safetensors.torch, torch
    for file in pathlib.Path(".").glob("*.safetensors"):
        torch.save(safetensors.torch.load_file(file), file.with_suffix(".bin"))

A pooling layer, which FARM's encoders may have and span heads do not use, is not among the weights: FARM gives it
random ones.
"""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted: from one layout to another, with its temperature and no-answer boost (logits).

    ``notes`` say what the new layout cannot hold.
    """

    folder: str
    source_layout: Layout
    target_layout: Layout
    temperature: float
    no_ans_boost: float
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def convert_folder(model: str | Path, out: Path, target: Layout | None = None) -> Conversion:
    """Write a reader to a new folder in the other layout; weights are the same bits.

    Temperature and no-answer boost, which FARM's own conversion loses, go into ``polyspan.json`` as span and no-answer
    temperature and as the no-answer threshold, -boost x temperature, and back.

    Args:
        model: a folder or a hub id.
        out: the new folder; it is there whole or not at all.
        target: "farm" or "transformers"; None: the one that the model does not have.

    Raises:
        InputError: if the model has that layout already, or ``out`` holds something.
        ModelError: if it cannot be opened.
        MissingExtraError: without torch.
    """
    from polyspan.backends.torch import open_model, save_model, save_tokenizer

    source = find_model(model)
    layout: Layout = "farm" if isinstance(source, FarmFolder) else "transformers"
    other: Layout = "transformers" if layout == "farm" else "farm"
    if target not in (None, other):
        raise InputError(f"{model}: has the layout of {layout} already; nothing to convert")
    opened = open_model(source, "auto")
    temperature, boost = _temperature_and_boost(source)
    with new_folder(out) as folder:
        if other == "farm":
            save_tokenizer(source, folder)
            _write_farm(opened, source, folder, temperature, boost)
        else:
            save_model(opened, source, folder)
            ModelFolder(folder).write_settings(source.settings)
    notes = _lost(source) if other == "farm" else ()
    return Conversion(str(out), layout, other, temperature, boost, notes)


def _temperature_and_boost(source: ModelFolder) -> tuple[float, float]:
    calibration = source.settings.calibration
    boost = -calibration.no_answer_threshold / calibration.span_temperature
    return calibration.span_temperature, boost + 0.0  # no minus before 0


def _write_farm(model: Any, source: ModelFolder, folder: Path, temperature: float, boost: float) -> None:
    """All files but the tokenizer's."""
    from polyspan.backends.torch import save_parts

    kind = str(source.config.get("model_type"))
    width = save_parts(model, folder / f"{ENCODER}.safetensors", folder / f"{HEAD}.safetensors", temperature)
    reading = replace(ReadOptions(), **source.settings.options)
    overlapping = max(1, reading.max_seq_len - reading.max_question_len - reading.doc_stride)
    write_json(
        folder / FarmFolder.config_file,
        {**source.config, "name": FARM_NAMES.get(kind, kind), "language": _LANGUAGE},
    )
    head = {"name": HEAD_NAME, "task_name": "question_answering", "layer_dims": [width, 2], "num_labels": 2}
    kind_of_output = {"ph_output_type": "per_token_squad", "model_type": "span_classification"}
    write_json(folder / f"{HEAD}_config.json", {**head, **kind_of_output, "no_ans_boost": boost, **_TASK})
    processor = {
        "processor": "SquadProcessor",
        "tokenizer": _tokenizer_class(folder),
        "max_seq_len": reading.max_seq_len,
        "doc_stride": overlapping if reading.step is None else reading.step,
        "max_query_length": reading.max_question_len,
        "tasks": {"question_answering": _TASK},
        **_NO_FILES,
    }
    write_json(folder / PROCESSOR_FILE, processor)
    write_text(folder / "README.md", [_README])


def _tokenizer_class(folder: Path) -> str:
    file = folder / "tokenizer_config.json"
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return str(content.get("tokenizer_class") or "PreTrainedTokenizerFast")


def _lost(source: ModelFolder) -> tuple[str, ...]:
    """What FARM's layout cannot hold of a folder's settings."""
    notes = ["FARM reads .bin files, which are pickles and not written; the folder's README.md says how it makes them"]
    calibration = source.settings.calibration
    for name, value in (("fitted probabilities", calibration.confidence), ("stop rule", calibration.stop)):
        if value is not None:
            notes.append(f"the {name} of polyspan.json have no place in FARM's layout")
    if calibration.languages:
        notes.append("thresholds and probabilities of single languages have no place in FARM's layout")
    return tuple(notes)
