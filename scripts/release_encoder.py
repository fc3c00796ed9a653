#!/usr/bin/env python3
"""Makes the encoder that ships, and the golden cosines of its tests, from multilingual-e5-small.

    python scripts/release_encoder.py MODEL_FOLDER --dev DEVELOPMENT_FILES

MODEL_FOLDER holds intfloat/multilingual-e5-small for torch. Its small form shares tokenizer and word embeddings with
the reader that ships. It is measured beside the float model on questions and passages of every file of the development
folder, and refused where the mean cosine of a file is below --least, or recall at 10 falls beyond chance.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from polyspan.backends import BackendOptions, TextEncoder, open_encoder
from polyspan.backends.sentence import SentenceFolder
from polyspan.cards.text import table
from polyspan.datasets import write_json
from polyspan.evaluation import Questions, read_questions
from polyspan.evaluation.encoders import encoder_figures
from polyspan.evaluation.opendomain import Collection, Figures, choose, collect, context_documents, pool_figures
from polyspan.export.encoder import export_small_encoder
from polyspan.metrics import paired_difference
from polyspan.types import Document, FloatArray

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = REPOSITORY / "src" / "polyspan" / "assets" / "encoder"
GOLDEN = REPOSITORY / "tests" / "golden"
MEASURED = REPOSITORY / "benchmarks" / "results" / "encoder.json"
NAME = "multilingual-e5-small"
RECALL, MRR = "gold_recall_at_10", "gold_mrr_at_10"
# The layout that the model has on the hub, with the prompts that its card asks for.
LAYOUT = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
    "config_sentence_transformers.json": {"prompts": {"query": "query: ", "document": "passage: "}},
}


class Recorder:
    """An encoder that keeps the vectors that it gave, by their texts."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.name, self.dimension, self.digest = encoder.name, encoder.dimension, encoder.digest
        self.vectors: dict[str, FloatArray] = {}

    def encode_questions(self, texts: Sequence[str]) -> FloatArray:
        """The encoder's own vectors."""
        return self._kept(texts, self._encoder.encode_questions(texts))

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """The encoder's own vectors."""
        return self._kept(texts, self._encoder.encode_passages(texts))

    def _kept(self, texts: Sequence[str], vectors: FloatArray) -> FloatArray:
        self.vectors.update(zip(texts, vectors, strict=True))
        return vectors


def main() -> int:
    """Make, measure and install the encoder; 1 where it lost too much."""
    given = _arguments()
    with TemporaryDirectory() as scratch:
        source, small = _with_layout(given.model, Path(scratch) / "float"), Path(scratch) / "small"
        export_small_encoder(SentenceFolder(source), small, NAME)
        asked = [_sample(path, given.questions) for path in sorted(given.dev.glob("*.json.gz"))]
        collection = collect(asked, _others(sorted(given.dev.glob("*.json.gz")), given.passages))
        exact, shrunk = (
            Recorder(open_encoder(source, BackendOptions("torch"))),
            Recorder(open_encoder(small, BackendOptions("onnx"))),
        )
        before, after = (encoder_figures(one, asked, collection, _progress) for one in (exact, shrunk))
        measured = _measured(asked, collection, (exact, shrunk), (before, after))
        print("\n".join(measured["table"]))
        failures = _failures(measured, given.least)
        for failure in failures:
            print(f"refused: {failure}", file=sys.stderr)
        if failures:
            return 1
        sample = {"questions_per_file": given.questions, "contexts_per_file": given.passages}
        write_json(MEASURED, {**sample, **measured})
        install(small, measured)
    return 0


def install(small: Path, measured: dict[str, Any]) -> None:
    """Put the encoder with its card in the place of what ships, and write the golden cosines."""
    template = Template((REPOSITORY / "scripts" / "encoder_card.md").read_text(encoding="utf-8"))
    size = sum(path.stat().st_size for path in small.rglob("*") if path.is_file()) / 1e6
    values = {**measured, "table": "\n".join(measured["table"]), "size": f"{size:.1f}"}
    (small / "README.md").write_text(template.substitute(values), encoding="utf-8")
    if ASSETS.is_dir():
        shutil.rmtree(ASSETS)
    shutil.copytree(small, ASSETS)
    write_golden_cosines(open_encoder())


def write_golden_cosines(encoder: TextEncoder) -> None:
    """How close the shipped encoder finds fixed questions to fixed texts, for the tests to hold."""
    cases = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    questions = encoder.encode_questions([case["question"] for case in cases])
    contexts = encoder.encode_passages([case["context"] for case in cases])
    rows = [[round(float(one), 4) for one in row] for row in questions @ contexts.T]
    (GOLDEN / "cosines.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--dev", type=Path, required=True, help="folder of SQuAD files (.json.gz) to compare on")
    parser.add_argument("--questions", type=int, default=15, help="of each file")
    parser.add_argument("--passages", type=int, default=150, help="contexts of each file, besides those asked about")
    parser.add_argument("--least", type=float, default=0.99, help="what the mean cosine of a file must reach")
    return parser.parse_args()


def _with_layout(model: Path, folder: Path) -> Path:
    """A folder with the model's files and the layout of sentence-transformers."""
    (folder / "1_Pooling").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).symlink_to((model / name).resolve())
    for name, content in LAYOUT.items():
        write_json(folder / name, content)
    return folder


def _sample(path: Path, questions: int) -> Questions:
    return choose(read_questions(path), unanswerable=False, sample=questions)


def _others(paths: Sequence[Path], count: int) -> Iterable[Document]:
    """Some contexts of each file."""
    for path in paths:
        documents = context_documents(read_questions(path))
        for number in np.random.default_rng(0).permutation(len(documents))[:count]:
            yield Document(documents[number].text, f"other {documents[number].id}")


def _progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    shown: Iterable[Any] = tqdm(items, total=total, desc=what)
    return shown


def _measured(
    asked: Sequence[Questions],
    collection: Collection,
    encoders: Sequence[Recorder],
    figures: Sequence[Sequence[Figures]],
) -> dict[str, Any]:
    """What the card says of both encoders, float and small."""
    rows = []
    for number, questions in enumerate(asked):
        name = str(questions.source["dataset"]).removesuffix(".json.gz").removesuffix(".json")
        texts = {example.question for example in questions.examples}
        texts |= {one.text for one in collection.passages if name in one.document.id}
        found = _cosines(encoders, sorted(texts))
        recall = [f"{figures[side][number][RECALL].mean():.1f}" for side in (0, 1)]
        rows.append((name, f"{len(texts):,}", f"{found.mean():.4f}", f"{found.min():.4f}", *recall))
    before, after = (pool_figures(one) for one in figures)
    loss = paired_difference(before[RECALL], after[RECALL])
    header = ("file", "texts", "mean cosine", "smallest", "recall at 10, float", "shipped")
    return {
        "name": NAME,
        "onnxruntime": ".".join(version("onnxruntime").split(".")[:2]),
        "texts": len(encoders[0].vectors),
        "questions": int(before[RECALL].size),
        "passages": len(collection.passages),
        "cosine": f"{_cosines(encoders, sorted(encoders[0].vectors)).mean():.4f}",
        "least_mean": min(row[2] for row in rows),
        "recall_float": f"{before[RECALL].mean():.1f}",
        "recall": f"{after[RECALL].mean():.1f}",
        "recall_loss": f"{loss.difference:.1f} ({loss.low:.1f} to {loss.high:.1f})",
        "beyond_chance": loss.low > 0,
        "mrr_float": f"{before[MRR].mean():.1f}",
        "mrr": f"{after[MRR].mean():.1f}",
        "table": table(header, rows).splitlines(),
    }


def _cosines(encoders: Sequence[Recorder], texts: Sequence[str]) -> npt.NDArray[np.float64]:
    one, other = (np.array([encoder.vectors[text] for text in texts], np.float64) for encoder in encoders)
    cosines: npt.NDArray[np.float64] = (one * other).sum(axis=1)
    return cosines


def _failures(measured: dict[str, Any], least: float) -> list[str]:
    found = []
    if float(measured["least_mean"]) < least:
        found.append(f"the mean cosine of a file is {measured['least_mean']}, less than {least:g}")
    if measured["beyond_chance"]:
        found.append(f"recall at 10 falls by {measured['recall_loss']}, beyond chance")
    return found


if __name__ == "__main__":
    sys.exit(main())
