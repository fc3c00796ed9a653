"""What it is worth that passages are read with their document's title.

    python benchmarks/titles.py --examples examples --file FILE:LANG...

The example documents are asked as a folder, ten passages a question, and each question of a SQuAD file of its own
paragraph, with the article's title and without; never abstaining, so that margins tell what a threshold could do.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from language_thresholds import file_and_language
from languages import sample
from measure import machine, write_result
from polyspan import Document, Reader
from polyspan.datasets import read_squad
from polyspan.documents import read_documents
from polyspan.metrics import paired_difference, space_characters, token_f1
from polyspan.pipeline import QAPipeline
from polyspan.types import TITLE, Reading
from unanswerable_kinds import area

RESULT = Path(__file__).parent / "results" / "titles.json"


def main() -> None:
    """Ask twice, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=Path, required=True, help="folder of documents and questions.json")
    parser.add_argument("--file", metavar="FILE:LANG", type=file_and_language, action="append", default=[])
    parser.add_argument("--sample", type=int, default=60, help="questions of a kind of a file at most")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    reader = Reader.from_pretrained()
    found = {"examples, as a folder": folder(reader, given.examples)}
    for path, _ in given.file:
        found[path.name.partition(".")[0]] = paragraphs(reader, path, given.sample)
        print(path.name, found[path.name.partition(".")[0]], flush=True)
    write_result(
        given.out,
        {
            "what": "F1, 0 to 100, never abstaining, and its gain; area: how often an answerable question has the "
            "lower null margin; answered: shares at the reader's threshold",
            "model": reader.scorer.name,
            "sample": given.sample,
            "seed": 0,
            "found": found,
            **machine(("polyspan", "onnxruntime")),
        },
    )


def folder(reader: Reader, examples: Path) -> dict[str, Any]:
    """The example questions, of all example documents together."""
    documents, _ = read_documents([examples / "documents"])
    content = json.loads((examples / "questions.json").read_text(encoding="utf-8"))["questions"]
    untitled = [replace(one, meta={}) for one in documents]
    options = replace(reader.defaults, top_k=1, return_no_answer=False)
    readings = (
        (reading for _, reading in QAPipeline(reader, those).ask_stream([one["question"] for one in content], options))
        for those in (untitled, documents)
    )
    return compared(reader, [one["answers"] for one in content], *readings)


def paragraphs(reader: Reader, path: Path, size: int) -> dict[str, Any]:
    """Questions of a file, each of its own paragraph."""
    examples = read_squad(path)
    asked = [one for kind in (True, False) for one in sample([e for e in examples if bool(e.answers) == kind], size)]
    options = replace(reader.defaults, top_k=1, return_no_answer=False)

    def read(*, titled: bool) -> Iterator[Reading]:
        pairs = (
            (one.question, [Document(one.context, meta={TITLE: one.title.replace("_", " ")} if titled else {})])
            for one in asked
        )
        return reader.read_stream(pairs, options)

    golds = [[answer.text for answer in one.answers] for one in asked]
    return compared(reader, golds, read(titled=False), read(titled=True))


def compared(
    reader: Reader, golds: Sequence[Sequence[str]], before: Iterable[Reading], after: Iterable[Reading]
) -> dict[str, Any]:
    """Figures without and with titles."""
    absent = np.array([not gold for gold in golds])
    threshold = reader.settings.calibration.no_answer_threshold
    figures: dict[str, Any] = {"answerable": int((~absent).sum()), "unanswerable": int(absent.sum())}
    scores = []
    for name, readings in (("without", before), ("with", after)):
        best = [(one.answers[0].text, one.no_answer.null_margin) if one.answers else ("", np.inf) for one in readings]
        margin = np.array([margin for _, margin in best])
        pairs = [
            (list(map(space_characters, gold)), space_characters(text))
            for gold, (text, _) in zip(golds, best, strict=True)
            if gold
        ]
        scores.append(100 * np.array([token_f1(gold, text) for gold, text in pairs]))
        shares = {
            "answered, answerable": (margin[~absent] <= threshold).mean(),
            **({"answered, unanswerable": (margin[absent] <= threshold).mean()} if absent.any() else {}),
            **({"area": area(margin[~absent], margin[absent])} if absent.any() else {}),
        }
        figures[name] = {"f1": float(scores[-1].mean()), **{key: float(value) for key, value in shares.items()}}
    gain = paired_difference(scores[1], scores[0])
    return {**figures, "gain": [gain.difference, gain.low, gain.high]}


if __name__ == "__main__":
    main()
