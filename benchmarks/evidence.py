"""How well highlights find all that supports an answer, and how often the gate's verdict is right.

    python benchmarks/evidence.py default

On passages that were written and labelled by hand for this (evidence-passages.jsonl). How claims are compared and when
a further place counts was chosen on one part of them; the other part was written before it was tried. Words count: a
word is marked if its first character is. The best answer alone, as a reader gives it, is measured beside them.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Reader
from polyspan.evidence import Highlight, HighlightOptions, highlight, supports
from polyspan.metrics import bootstrap_interval, expected_calibration_error

HERE = Path(__file__).parent
RESULT = HERE / "results" / "evidence.json"
PASSAGES = HERE / "evidence-passages.jsonl"
VERDICTS = ("supported", "contradicted", "insufficient")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff][\w\u0300-\u036f\u0900-\u097f]*")

Places = Sequence[tuple[int, int]]


def words(text: str, places: Places) -> set[int]:
    """The starts of the words that lie in the places."""
    return {word.start() for word in _WORD.finditer(text) if any(start <= word.start() < end for start, end in places)}


def graded(found: set[int], gold: set[int]) -> tuple[float, float, float]:
    """Precision, recall and F1 (0 to 100) of one passage; all 100 where both are empty."""
    if not found and not gold:
        return 100.0, 100.0, 100.0
    shared = len(found & gold)
    precision, recall = shared / len(found) if found else 0.0, shared / len(gold) if gold else 0.0
    return 100 * precision, 100 * recall, 200 * shared / (len(found) + len(gold))


def sentences(text: str, spans: Places) -> Places:
    """The labelled sentences: those around the labelled spans."""
    ends = [0, *(match.end() for match in re.finditer(r"[.?](?=\s)\s*|[。？]", text)), len(text)]
    return [(max(one for one in ends if one <= start), min(one for one in ends if one >= end)) for start, end in spans]


def shares(rows: Sequence[dict[str, Any]], mark: Callable[[dict[str, Any]], Places], level: str) -> dict[str, Any]:
    """Means over passages, each with its 95 % interval."""
    values = []
    for row in rows:
        spans = [(span["start"], span["end"]) for span in row["spans"]]
        gold = spans if level == "span" else sentences(row["text"], spans)
        values.append(graded(words(row["text"], mark(row)), words(row["text"], gold)))
    named = dict(zip(("precision", "recall", "f1"), np.array(values).T, strict=True))
    return {
        name: [round(float(one), 1) for one in (column.mean(), *bootstrap_interval(column))]
        for name, column in named.items()
    }


def best_alone(reader: Reader) -> Callable[[dict[str, Any]], Places]:
    """What a reader's best answer marks."""
    options = replace(reader.defaults, top_k=1)

    def mark(row: dict[str, Any]) -> Places:
        return [(one.start, one.end) for one in reader.read(row["question"], row["text"], options).answers]

    return mark


def highlighted(reader: Reader, options: HighlightOptions) -> Callable[[dict[str, Any]], Places]:
    """What the highlights mark."""
    return lambda row: [(one.start, one.end) for one in highlight(row["question"], row["text"], reader, options)]


def right_places(reader: Reader, rows: Iterable[dict[str, Any]]) -> tuple[list[float], list[bool]]:
    """Of all highlights the probability, and whether they touch a labelled span."""
    probabilities, right = [], []
    for row in rows:
        for one in highlight(row["question"], row["text"], reader):
            probabilities.append(one.probability)
            right.append(any(one.start < span["end"] and span["start"] < one.end for span in row["spans"]))
    return probabilities, right


def judged(reader: Reader, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy and confusion of the verdicts."""
    confusion: Counter[tuple[str, str]] = Counter()
    hits, wrong = [], []
    for row in tqdm(rows, desc="verdicts", unit="passage"):
        for claim in row["claims"]:
            verdict = supports(row["question"], claim["answer"], row["text"], reader).verdict
            confusion[claim["verdict"], verdict] += 1
            hits.append(100.0 * (verdict == claim["verdict"]))
            if verdict != claim["verdict"]:
                wrong.append(f"{row['id']}: {claim['answer']!r} is {claim['verdict']}, said {verdict}")
    scores = np.array(hits)
    table = {one: {other: confusion[one, other] for other in VERDICTS} for one in VERDICTS}
    precision = {
        name: round(100 * table[name][name] / max(1, sum(table[one][name] for one in VERDICTS)), 1) for name in VERDICTS
    }
    return {
        "claims": len(hits),
        "accuracy": [round(float(one), 1) for one in (scores.mean(), *bootstrap_interval(scores))],
        "labelled, then said": table,
        "precision of each verdict": precision,
        "recall of each verdict": {
            name: round(100 * table[name][name] / sum(table[name].values()), 1) for name in VERDICTS
        },
        "wrong": wrong,
    }


def measured(reader: Reader, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All figures of some passages."""
    probabilities, right = right_places(reader, rows)
    return {
        "passages": len(rows),
        "best answer alone, spans": shares(rows, best_alone(reader), "span"),
        "highlights, spans": shares(rows, highlighted(reader, HighlightOptions()), "span"),
        "highlights, sentences": shares(rows, highlighted(reader, HighlightOptions("sentence")), "sentence"),
        "places labelled": sum(len(row["spans"]) for row in rows),
        "places marked": len(right),
        "places marked that touch a labelled one": sum(right),
        "their mean probability": round(float(np.mean(probabilities)), 3),
        "ece of their probability": round(expected_calibration_error(probabilities, right), 3),
        "verdicts": judged(reader, rows),
    }


def shown(found: Sequence[Highlight]) -> str:
    """Texts and probabilities in a line."""
    return "; ".join(f"{one.text} ({one.probability:.2f})" for one in found)


def main() -> None:
    """Mark, judge, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--show", action="store_true", help="print what was marked in each passage")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    reader = Reader.from_pretrained(given.model)
    rows = [json.loads(line) for line in PASSAGES.read_text(encoding="utf-8").splitlines()]
    if given.show:
        for row in rows:
            gold = [span["text"] for span in row["spans"]]
            print(row["id"], row["question"], gold, "|", shown(highlight(row["question"], row["text"], reader)))
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        parts[row["part"]].append(row)
    result = {
        "what": "highlights by words, 0 to 100, means over passages with 95 % intervals; verdicts of the gate",
        "model": reader.scorer.name,
        "parts": {name: measured(reader, part) for name, part in parts.items()},
        **machine(("polyspan", "onnxruntime", "numpy")),
    }
    write_result(given.out, result)


if __name__ == "__main__":
    main()
