"""``polyspan open-domain``."""

from pathlib import Path
from typing import Any, get_args

import click

from polyspan.backends import find_model, open_encoder
from polyspan.backends.digest import model_digest
from polyspan.cli.output import notice, print_reports, progress
from polyspan.documents import read_documents
from polyspan.errors import InputError
from polyspan.evaluation import Origin, Questions, append, read_questions
from polyspan.evaluation.opendomain import (
    FOUND,
    Collection,
    Found,
    OpenDomainOptions,
    ask_collection,
    asked_from,
    choose,
    collect,
    context_documents,
    figures,
    found_file,
    pool_figures,
    report,
)
from polyspan.evaluation.predictions import resume_rows
from polyspan.metrics import Signature
from polyspan.pipeline import PassageRanker, PipelineOptions, QAPipeline
from polyspan.reader import Reader
from polyspan.retrieval import (
    IndexRanking,
    IndexSettings,
    PassageRanking,
    PassageStore,
    RetrievalOptions,
    index_documents,
)
from polyspan.retrieval.options import Ranking
from polyspan.retrieval.passages import PASSAGE_BYTES
from polyspan.types import Document

DEFAULT = OpenDomainOptions()


@click.command()
@click.argument("model")
@click.argument("datasets", metavar="DATASET...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--documents",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File or folder that is searched too, of SQuAD JSON the contexts; may be repeated.",
)
@click.option(
    "--ranking",
    type=click.Choice(["bm25", *get_args(Ranking)]),
    default="bm25",
    show_default=True,
    help="How passages are ranked: bm25 in memory, or as ask --index does.",
)
@click.option("--index", "uri", help="Where the index of such a ranking is kept, and filled if it is new.")
@click.option("--encoder", help="Folder or hub id of the dense encoder of a new index; without it the shipped one.")
@click.option(
    "--passages",
    default=PipelineOptions().passages_read,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many of the best ranked passages to read.",
)
@click.option(
    "--stop-risk",
    default=PipelineOptions().stop_risk,
    show_default=True,
    help="Read fewer passages where that changes the best answer with no higher probability than this; 0: never.",
)
@click.option(
    "--top-k",
    multiple=True,
    default=DEFAULT.top_k,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many first passages and answers to score; may be repeated.",
)
@click.option("--sample", type=click.IntRange(min=1), help="Ask so many questions of each dataset, at random.")
@click.option(
    "--no-answer",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether to score abstaining too; auto: only where the data holds unanswerable questions.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep what was found in this folder, from where an interrupted run goes on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; several as a list.")
def open_domain(model: str, datasets: tuple[Path, ...], **given: Any) -> None:
    """Ask the questions of each DATASET (SQuAD JSON, also .gz) of all contexts of all of them together, and score.

    MODEL (a folder, a hub id, or "default") reads the passages that rank best. Scored are the ranking ("gold":
    passages with the annotated answer itself; "answer": passages that hold its words) and the answers. Several datasets
    have a report each, and one of all questions together.
    """
    options = OpenDomainOptions(tuple(sorted(set(given["top_k"]))))
    asked = [read_questions(path) for path in datasets]
    collection = collect(asked, _documents(given["documents"]), max(options.ranks, given["passages"]))
    absent = any(not example.answers for questions in asked for example in questions.examples)
    abstain = given["no_answer"] == "on" or (given["no_answer"] == "auto" and absent)
    asked = [choose(questions, unanswerable=abstain, sample=given["sample"]) for questions in asked]
    reader = Reader.from_pretrained(model)
    weights = model_digest(find_model(model)) if given["out"] else ""
    ranker, ranking = _ranker(collection, given)
    pipeline = QAPipeline(reader, ranker, PipelineOptions(given["passages"], given["stop_risk"]))
    threshold = reader.threshold(reader.defaults) if abstain else None
    values = []
    for questions in asked:
        origin = asked_from(pipeline, weights, questions, collection, options, ranking)
        found = _found(pipeline, questions, options, given["out"], origin)
        values.append(figures(questions, found, collection, options, threshold))
    source = {
        "model": reader.scorer.name,
        "no_answer": "on" if abstain else "off",
        **({} if threshold is None else {"na_threshold": threshold}),
        **ranking,
        "passages_read": given["passages"],
        **({"stop_risk": given["stop_risk"]} if given["stop_risk"] else {}),
        **collection.signature,
        **({} if given["sample"] is None else {"sample": given["sample"]}),
    }
    sources = [{**questions.source, **source} for questions in asked]
    if len(values) > 1:
        values.append(pool_figures(values))
        sources.append({"dataset": f"{len(asked)} files", **source})
    print_reports([report(*pair, options) for pair in zip(values, sources, strict=True)], given["as_json"])


def _ranker(collection: Collection, given: dict[str, Any]) -> tuple[PassageRanker, Signature]:
    """What ranks the passages, and what tells it from others."""
    ranking = given["ranking"]
    if (ranking == "bm25") != (given["uri"] is None):
        raise click.UsageError(f"--ranking {ranking} and --index: bm25 takes no index, any other ranking needs one")
    if given["uri"] is None:
        return PassageRanking(collection.passages), {"ranking": ranking}
    encoder = open_encoder(given["encoder"])
    if PassageStore.exists(given["uri"]):
        store = PassageStore.open(given["uri"])
    else:
        settings = IndexSettings(given["encoder"] or "", encoder.digest, encoder.dimension, PASSAGE_BYTES, 0)
        store = PassageStore.create(given["uri"], settings)
    others = {one.id for one in store.documents()} - set(collection.documents)
    if others:
        raise InputError(
            f"{given['uri']}: holds documents of no such dataset, {min(others)} for one; name another index"
        )
    index_documents(
        store, encoder, progress(collection.documents.values(), len(collection.documents), "indexing", unit="document")
    )
    signature = {"ranking": ranking, "encoder": encoder.name, "encoder_digest": encoder.digest}
    return IndexRanking(store, encoder, RetrievalOptions(ranking)), signature


def _documents(paths: tuple[Path, ...]) -> list[Document]:
    """What the paths hold; an error where one cannot be read."""
    squad = [path for path in paths if path.name.endswith((".json", ".json.gz"))]
    documents, errors = read_documents([path for path in paths if path not in squad])
    if errors:
        raise errors[0]
    return [*documents, *(one for path in squad for one in context_documents(read_questions(path)))]


def _found(
    pipeline: QAPipeline, questions: Questions, options: OpenDomainOptions, out: Path | None, origin: Origin
) -> list[Found]:
    """What is found for each question, or was found before."""
    examples, file = questions.examples, None if out is None else found_file(out, origin.dataset)
    kept: list[Found] = []
    if file is not None:
        kept = resume_rows(file, origin, examples, FOUND)
        if kept:
            notice(f"{file}: holds what was found for {len(kept)} of {len(examples)} questions already")
    new = ask_collection(pipeline, examples[len(kept) :], options)
    if file is not None:
        new = append(file, new)
    return [*kept, *progress(new, len(examples), f"asking {origin.dataset}", done=len(kept))]
