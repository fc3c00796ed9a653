"""``polyspan ask``."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from polyspan.cli.output import emphasised, notice, print_json
from polyspan.documents import read_bytes, read_documents
from polyspan.errors import DocumentError, InputError
from polyspan.pipeline import PipelineOptions, QAPipeline
from polyspan.reader import Reader
from polyspan.types import Answer, Document, Reading


@click.command()
@click.argument("question")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--model", default="default", show_default=True, help="Model folder or hub id; default: the shipped reader."
)
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
    help="Decide about 'no answer' by the model's threshold for this language, if it has one; auto: the question's.",
)
@click.option("--fail-on-no-answer", is_flag=True, help="Exit with 1 when there is no answer.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def ask(question: str, paths: tuple[Path, ...], **given: Any) -> None:
    """Answer QUESTION with quotes from PATHS: files and folders; - is stdin.

    Files may be text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, EPUB and EML.
    """
    began = time.perf_counter()
    if not question.strip():
        raise InputError("the question is empty; ask something")
    documents = _documents(paths)
    reader = Reader.from_pretrained(given["model"])
    options = replace(
        reader.defaults,
        top_k=given["top_k"],
        return_no_answer=given["return_no_answer"],
        no_answer_threshold=given["no_answer_threshold"],
        language=reader.defaults.language if given["language"] is None else given["language"],
    )
    reading = QAPipeline(reader, documents, PipelineOptions(given["passages"], given["stop_risk"])).ask(
        question, options
    )
    for line in reading.notices:
        notice(line)
    if given["as_json"]:
        elapsed = round((time.perf_counter() - began) * 1000, 1)
        print_json({**reading.to_json(), "model": reader.scorer.name, "elapsed_ms": elapsed})
    else:
        _print_reading(reading)
    if given["fail_on_no_answer"] and not reading.answers:
        sys.exit(1)


def _documents(paths: tuple[Path, ...]) -> list[Document]:
    """All that can be read; bad files are named on stderr. DocumentError where nothing is left."""
    files = [path for path in paths if str(path) != "-"]
    documents, errors = read_documents(files) if files else ([], [])
    if len(files) < len(paths):
        documents.append(read_bytes(sys.stdin.buffer.read(), "-"))
    if not documents:
        raise errors[0] if len(errors) == 1 else DocumentError("; ".join(map(str, errors)))
    for error in errors:
        notice(f"skipped {error}")
    return documents


def _print_reading(reading: Reading) -> None:
    if reading.answers:
        click.echo("\n\n".join(_paragraph(answer) for answer in reading.answers))
        return
    click.echo(f"No answer in these documents ({reading.no_answer.score:.0%} sure).")
    if reading.candidates:
        best = reading.candidates[0]
        click.echo(f"Nearest, at {best.score:.0%}:\n\n{_paragraph(best)}")


def _paragraph(answer: Answer) -> str:
    """The quote in its sentence, with its source."""
    begin, end = answer.start - answer.context_start, answer.end - answer.context_start
    sentence = f"{answer.context[:begin]}{emphasised(answer.context[begin:end])}{answer.context[end:]}"
    page = f", page {answer.page}" if answer.page else ""
    return (
        f"{' '.join(sentence.split())}\n"
        f"    {answer.score:4.0%}  {answer.document}{page}, characters {answer.start} to {answer.end}"
    )
