"""Folders as FARM and Haystack 1 write them."""

import json
import shutil
from pathlib import Path
from typing import Any

NAMES = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "electra": "Electra",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
}
"""Architectures, by transformers' names and FARM's."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def make_farm_folder(source: Path, folder: Path, temperature: float | None = None, boost: float = 0.0) -> Path:
    """The model of a folder of transformers in FARM's layout, with a pooler and position ids; needs torch."""
    import torch
    from transformers import AutoModelForQuestionAnswering

    folder.mkdir()
    model: Any = AutoModelForQuestionAnswering.from_pretrained(source)
    encoder = getattr(model, model.base_model_prefix).state_dict()
    width = model.qa_outputs.in_features
    unused = {"pooler.dense.weight": torch.ones(width, width), "pooler.dense.bias": torch.ones(width)}
    positions = {"embeddings.position_ids": torch.arange(10)[None]}
    torch.save({**encoder, **unused, **positions}, folder / "language_model.bin")
    head = {f"feed_forward.feed_forward.0.{name}": values for name, values in model.qa_outputs.state_dict().items()}
    if temperature is not None:
        head["temperature_for_confidence"] = torch.tensor([temperature])
    torch.save(head, folder / "prediction_head_0.bin")
    config = json.loads((source / "config.json").read_text())
    write(folder / "language_model_config.json", {**config, "name": NAMES[config["model_type"]], "language": "english"})
    about = {"name": "QuestionAnsweringHead", "layer_dims": [width, 2], "no_ans_boost": boost, "n_best": 5}
    write(folder / "prediction_head_0_config.json", about)
    lengths = {"max_seq_len": 64, "doc_stride": 24, "max_query_length": 20}
    write(folder / "processor_config.json", {**lengths, "tokenizer": "AutoTokenizer", "processor": "SquadProcessor"})
    for name in TOKENIZER:
        shutil.copy(source / name, folder)
    return folder


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
