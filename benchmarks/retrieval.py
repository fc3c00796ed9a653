"""What each way of finding passages is worth in a large collection, and what is lost to reading the right paragraph.

    python benchmarks/retrieval.py default dev-v2.0.json --english dev-v2.0.json EN.json --others DE.json --index DIR

The questions of one dataset are asked of its own contexts among those of many others: once of the English ones alone,
once of all. Several datasets are reported apart, too: questions of two languages on one file's contexts, say. Choose by
development files; the dataset of the published figures is for reporting.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from measure import machine, write_result
from polyspan import Reader
from polyspan.backends import TextEncoder, open_encoder
from polyspan.evaluation import Questions, read_questions
from polyspan.evaluation.opendomain import (
    REGIME,
    Collection,
    Figures,
    OpenDomainOptions,
    ask_collection,
    asking_options,
    choose,
    collect,
    context_documents,
    figures,
    pool_figures,
)
from polyspan.metrics import bootstrap_interval, grade_squad2, paired_difference
from polyspan.pipeline import PassageRanker, PipelineOptions, QAPipeline
from polyspan.retrieval import (
    IndexRanking,
    IndexSettings,
    PassageStore,
    RetrievalOptions,
    cut_passages,
    index_documents,
)
from polyspan.retrieval.options import Ranking
from polyspan.retrieval.passages import PASSAGE_BYTES

RESULT = Path(__file__).parent / "results" / "retrieval.json"
OPTIONS = OpenDomainOptions((1, 5, 10))
WAYS: tuple[Ranking, ...] = ("words", "vectors", "hybrid")
ENGLISH = {"language": "en"}
READ = ("exact_at_1", "f1_at_1")
SHOWN = ("gold_recall_at_1", "gold_recall_at_10", "answer_recall_at_10", "gold_mrr_at_10", "exact_at_1", "f1_at_1")


def gathered(asked: Sequence[Questions], english: Sequence[Path], others: Sequence[Path]) -> Collection:
    """All contexts; those of the ``english`` files, also where they are asked, say so."""
    files = {path: context_documents(read_questions(path)) for path in (*english, *others)}
    names = {one.id.partition("#")[0] for path in english for one in files[path]}
    of_asked = {str(questions.source["dataset"]) for questions in asked}
    whole = collect(
        asked, [one for of_file in files.values() for one in of_file if one.id.partition("#")[0] not in of_asked]
    )
    documents = {
        name: replace(one, meta=ENGLISH) if name.partition("#")[0] in names else one
        for name, one in whole.documents.items()
    }
    passages = [passage for one in documents.values() for passage in cut_passages(one)]
    return replace(whole, documents=documents, passages=passages)


def filled(uri: Path, encoder: TextEncoder, collection: Collection) -> PassageStore:
    """An index of the collection, gone on with if it is there."""
    if PassageStore.exists(uri):
        store = PassageStore.open(uri)
    else:
        store = PassageStore.create(uri, IndexSettings("", encoder.digest, encoder.dimension, PASSAGE_BYTES, 0))
    documents = collection.documents.values()
    index_documents(store, encoder, tqdm(documents, unit="document", desc="indexing"))
    return store


def rankers(store: PassageStore, encoder: TextEncoder, where: Sequence[str]) -> dict[str, PassageRanker]:
    """Each way of finding passages; words are ranked by BM25."""
    return {ranking: IndexRanking(store, encoder, RetrievalOptions(ranking, where=where)) for ranking in WAYS}


def asked(
    reader: Reader, ranker: PassageRanker, questions: Questions, collection: Collection, *, read: bool
) -> Figures:
    """What is found for the questions is worth: what is ranked, and if it is ``read``, the answers."""
    pipeline = QAPipeline(reader, ranker, PipelineOptions() if read else PipelineOptions(1))
    found = list(tqdm(ask_collection(pipeline, questions.examples, OPTIONS), total=len(questions.examples), unit="q"))
    values = figures(questions, found, collection, OPTIONS, None)
    return values if read else {name: value for name, value in values.items() if name not in READ}


def read_alone(reader: Reader, questions: Questions) -> Figures:
    """Exact match and F1 of reading each question's own context."""
    pairs = ((one.question, [one.context]) for one in questions.examples)
    readings = reader.read_stream(pairs, asking_options(reader, OPTIONS))
    texts = {
        one.id: reading.answers[0].text if reading.answers else ""
        for one, reading in zip(questions.examples, readings, strict=True)
    }
    exact, f1 = grade_squad2(questions.examples, texts, REGIME)
    return {"exact_at_1": 100.0 * np.array(exact), "f1_at_1": 100.0 * np.array(f1)}


def rounded(values: Figures) -> dict[str, Any]:
    """Means with their intervals."""
    shown = {}
    for name in SHOWN:
        if name in values:
            low, high = bootstrap_interval(values[name])
            shown[name] = [round(float(one), 2) for one in (values[name].mean(), low, high)]
    return shown


def compared(ways: dict[str, list[Figures]]) -> dict[str, Any]:
    """Each way's figures over all datasets, and what hybrid ranking adds to each other one."""
    pooled = {way: pool_figures(values) for way, values in ways.items()}
    result: dict[str, Any] = {way: rounded(values) for way, values in pooled.items()}
    for figure in ("gold_recall_at_10", "f1_at_1"):
        for way in ("words", "vectors"):
            if figure not in pooled[way]:
                continue
            one = paired_difference(pooled["hybrid"][figure], pooled[way][figure])
            result[f"hybrid over {way}, {figure}"] = [round(x, 2) for x in (one.difference, one.low, one.high)]
    return result


def main() -> None:
    """Fill the index, ask, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path, nargs="+")
    parser.add_argument(
        "--english", type=Path, nargs="*", default=[], help="SQuAD JSON whose contexts are searched too"
    )
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="the same, of other languages")
    parser.add_argument("--index", type=Path, required=True, help="where the index is kept")
    parser.add_argument("--collections", nargs="*", default=["all", "english"], choices=["all", "english"])
    parser.add_argument(
        "--read", nargs="*", default=WAYS, choices=WAYS, help="of which ways the passages are read, too"
    )
    parser.add_argument("--questions", type=int, default=300, help="so many answerable ones of each dataset, at random")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    reader, encoder = Reader.from_pretrained(given.model), open_encoder()
    sets = [read_questions(path) for path in given.dataset]
    collection = gathered(sets, given.english, given.others)
    store = filled(given.index, encoder, collection)
    sampled = [choose(questions, unanswerable=False, sample=given.questions) for questions in sets]
    results: dict[str, Any] = {}
    gold = [read_alone(reader, questions) for questions in sampled]
    for name in given.collections:
        where = ("language=en",) if name == "english" else ()
        ways = {
            way: [asked(reader, ranker, questions, collection, read=way in given.read) for questions in sampled]
            for way, ranker in rankers(store, encoder, where).items()
        }
        results[name] = compared(ways)
        if len(sampled) > 1:
            results[name]["each dataset"] = {
                str(questions.source["dataset"]): {
                    "own paragraph": rounded(gold[number]),
                    **{way: rounded(values[number]) for way, values in ways.items()},
                }
                for number, questions in enumerate(sampled)
            }
    write_result(
        given.out,
        {
            "what": "a question's passages in a large collection: mean, and 95 % interval, 0 to 100",
            "model": reader.scorer.name,
            "encoder": encoder.digest,
            "datasets": [questions.source for questions in sampled],
            "questions": sum(len(questions.examples) for questions in sampled),
            **collection.signature,
            "own paragraph": rounded(pool_figures(gold)),
            "collections": results,
            **machine(("polyspan", "lancedb", "onnxruntime", "numpy")),
        },
    )


if __name__ == "__main__":
    main()
