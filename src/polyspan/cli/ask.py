"""``polyspan ask``."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from polyspan.cli.files import documents_of
from polyspan.cli.output import notice, place_of, print_json, quote_lines
from polyspan.cli.questions import AskAll, answer_file
from polyspan.errors import InputError
from polyspan.pipeline import PipelineOptions, QAPipeline
from polyspan.reader import Reader, ReadOptions
from polyspan.retrieval import RetrievalOptions
from polyspan.retrieval.options import Ranking
from polyspan.types import Answer, Reading


@click.command()
@click.argument("words", metavar="[QUESTION] [PATH]...", nargs=-1)
@click.option(
    "--model", default="default", show_default=True, help="Model folder or hub id; default: the shipped reader."
)
@click.option("--index", "uri", help="Ask an index that polyspan index made, and no PATHS.")
@click.option(
    "--ranking",
    type=click.Choice(get_args(Ranking)),
    help="How passages of an index are found: by words, by vectors, or by both (hybrid, the default).",
)
@click.option("--where", multiple=True, help="Only documents with KEY=VALUE: format=pdf, or document=reports/*.")
@click.option("--per-document", type=int, help="How many passages of one document to read at most, of an index.")
@click.option(
    "--questions",
    "questions_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Ask all questions of this file, one a line, or JSONL with question and perhaps id.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what --questions found to this file as JSONL; an interrupted run goes on.",
)
@click.option("--ray", "address", help="Ask --questions on the Ray cluster of this address; local: by processes here.")
@click.option("--top-k", default=5, show_default=True, help="How many answers to give at most.")
@click.option("--passages", default=10, show_default=True, help="How many of the best ranked passages to read.")
@click.option(
    "--stop-risk",
    default=0.0,
    show_default=True,
    help="Read fewer passages where that changes the best answer with no higher probability than this; 0: never.",
)
@click.option("--no-answer/--always-answer", "return_no_answer", default=True, help="Whether 'no answer' is allowed.")
@click.option(
    "--no-answer-threshold", type=float, help="Null margin, in logits, above which the answer is 'no answer'."
)
@click.option(
    "--language",
    metavar="CODE|auto",
    help="Take the model's threshold and probabilities for this language, if it has any; auto: the question's.",
)
@click.option("--fail-on-no-answer", is_flag=True, help="Exit with 1 when there is no answer.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def ask(words: tuple[str, ...], **given: Any) -> None:
    """Answer QUESTION with quotes from PATHS: files and folders; - is stdin.

    Or from an --index. Or all questions of a file: --questions FILE --out FILE.jsonl, and PATHS or --index. Files may
    be text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, EPUB and EML.
    """
    began = time.perf_counter()
    question, paths = _split(words, given)
    pipeline = _pipeline(paths, given)
    reader = pipeline.reader
    options = replace(
        reader.defaults,
        top_k=given["top_k"],
        return_no_answer=given["return_no_answer"],
        no_answer_threshold=given["no_answer_threshold"],
        language=reader.defaults.language if given["language"] is None else given["language"],
    )
    if question is None:
        answer_file(pipeline, options, {**given, "paths": paths}, _on_cluster(pipeline.options, options, given))
        return
    reading = pipeline.ask(question, options)
    for line in reading.notices:
        notice(line)
    if given["as_json"]:
        elapsed = round((time.perf_counter() - began) * 1000, 1)
        print_json({**reading.to_json(), "model": reader.scorer.name, "elapsed_ms": elapsed})
    else:
        _print_reading(reading)
    if given["fail_on_no_answer"] and not reading.answers:
        sys.exit(1)


def _split(words: tuple[str, ...], given: dict[str, Any]) -> tuple[str | None, list[Path]]:
    """The question, None where a file holds them, and the paths."""
    if (given["questions_file"] is None) != (given["out"] is None):
        raise click.UsageError("--questions FILE and --out FILE go together")
    question = None
    if given["questions_file"] is None:
        if not words:
            raise click.UsageError("Missing argument 'QUESTION'.")
        question, words = words[0], words[1:]
        if not question.strip():
            raise InputError("the question is empty; ask something")
    if given["address"] is not None and (question is not None or given["uri"] is None):
        raise click.UsageError("--ray needs --questions, and an --index that every machine of the cluster reaches")
    if bool(words) == (given["uri"] is not None):
        raise click.UsageError("name what is asked: PATHS, or --index DIR, and not both")
    return question, [Path(word) for word in words]


def _pipeline(paths: Sequence[Path], given: dict[str, Any]) -> QAPipeline:
    """A reader over an index, or over files that are read now."""
    options = PipelineOptions(given["passages"], given["stop_risk"])
    if given["uri"] is None:
        if given["ranking"] or given["where"] or given["per_document"]:
            raise click.UsageError("--ranking, --where and --per-document need an --index")
        documents = documents_of(paths)
        return QAPipeline(Reader.from_pretrained(given["model"]), documents, options)
    return _from_index(options, given)


def _from_index(options: PipelineOptions, given: dict[str, Any], threads: int | None = None) -> QAPipeline:
    retrieval = RetrievalOptions(
        ranking=given["ranking"] or RetrievalOptions().ranking,
        per_document=given["per_document"],
        where=given["where"],
    )
    return QAPipeline.from_index(given["uri"], given["model"], options, retrieval, threads)


def _on_cluster(options: PipelineOptions, reading: ReadOptions, given: dict[str, Any]) -> AskAll | None:
    """What asks questions on a cluster, if one is given."""
    if given["address"] is None:
        return None
    from polyspan.interop.ray import ClusterOptions, ask_on_cluster

    opening = partial(_from_index, options, given, threads=1)
    return partial(ask_on_cluster, open_pipeline=opening, options=reading, cluster=ClusterOptions(given["address"]))


def _print_reading(reading: Reading) -> None:
    if reading.answers:
        click.echo("\n\n".join(_paragraph(answer) for answer in reading.answers))
        if reading.conflicts:
            others = ", ".join(f"{number + 1}" for number in reading.conflicts)
            click.echo(f"\nThe documents differ: answer 1 is not what answer {others} says.")
        return
    click.echo(f"No answer in these documents ({reading.no_answer.score:.0%} sure).")
    if reading.candidates:
        best = reading.candidates[0]
        click.echo(f"Nearest, at {best.score:.0%}:\n\n{_paragraph(best)}")


def _paragraph(answer: Answer) -> str:
    """The quote in its sentence, with its source and the other places that say the same."""
    lines = quote_lines(answer.context, answer.context_start, answer, answer.score)
    return "\n".join([lines, *(f"          also {place_of(one)}" for one in answer.also)])
