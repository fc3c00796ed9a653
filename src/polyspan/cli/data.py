"""``polyspan data``."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from polyspan.cli.output import notice, print_json
from polyspan.datasets import (
    FORMATS,
    KINDS,
    DatasetCheck,
    check_squad,
    read_detached,
    read_quotes,
    read_squad,
    write_corrected,
    write_detached,
    write_squad,
)
from polyspan.datasets import convert as convert_file
from polyspan.datasets.detached import SUFFIXES
from polyspan.errors import InputError

SHOWN = 3
"""Findings of each kind that are printed; ``--json`` prints all."""


@click.group()
def data() -> None:
    """Check, mend and convert datasets."""


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--fix", type=click.Path(path_type=Path), help="Write a corrected SQuAD 2.0 copy to this file.")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    multiple=True,
    help="An evaluation file whose contexts FILE must not hold; may be repeated.",
)
@click.option("--force", is_flag=True, help="Let --fix replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print all findings as JSON.")
def check(file: Path, fix: Path | None, against: tuple[Path, ...], force: bool, as_json: bool) -> None:
    """Find wrong labels in FILE (SQuAD JSON, also .gz).

    Exits with 1 when there are findings that --fix did not mend.
    """
    if fix is not None:
        _refuse_existing(fix, force)
    result = check_squad(file, against)
    if fix is not None:
        write_corrected(fix, result)
    if as_json:
        fixed = {"fixed": {"file": str(fix), "questions": result.kept, "changes": result.changes}} if fix else {}
        counts = Counter(finding.kind for finding in result.findings)
        findings = [asdict(finding) for finding in result.findings]
        print_json({"file": str(file), "questions": result.questions, "counts": counts, "findings": findings, **fixed})
    else:
        _print_findings(result)
        if fix is not None:
            changes = ", ".join(f"{count} {what}" for what, count in result.changes.items()) or "nothing changed"
            click.echo(f"{fix}: {result.kept} questions written; {changes}")
    if result.findings and fix is None:
        sys.exit(1)


@data.command(epilog="Formats: " + "; ".join(f"{name}, {form.title}" for name, form in FORMATS.items()) + ".")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--from", "source_format", type=click.Choice(list(FORMATS)), help="Format of IN.  [default: guessed]")
@click.option("--to", "target_format", type=click.Choice(list(FORMATS)), required=True, help="Format of OUT.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def convert(source: Path, target: Path, force: bool, as_json: bool, **formats: Any) -> None:
    """Convert the dataset IN to another format.

    Names that end in .gz are gzip. Between squad1, squad2 and haystack all further fields stay, such as
    plausible_answers; else what OUT cannot hold is counted on stderr.

    JSONL and CSV have the columns id, title, context, question, answers and answer_starts; the last two are lists, in
    CSV as JSON in the cell, and empty where a question has no answer.
    """
    _refuse_existing(target, force)
    conversion = convert_file(source, target, **formats)
    for what, count in conversion.notes.items():
        notice(f"{count} {what}")
    if as_json:
        print_json({"source": str(source), "target": str(target), **asdict(conversion)})
    else:
        click.echo(
            f"{target}: {conversion.questions} questions, from {conversion.source_format} to {conversion.target_format}"
        )


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT.jsonl", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def detach(file: Path, target: Path, force: bool, as_json: bool) -> None:
    """Write the questions of FILE (SQuAD JSON, also .gz) without its texts, so that they may be given away alone.

    Each line names its text by a hash and its answers by their characters; polyspan data attach reads it.
    """
    _refuse_existing(target, force)
    if not target.name.endswith(SUFFIXES):
        raise InputError(f"{target}: expected a name that ends in {' or '.join(SUFFIXES)}")
    examples = read_quotes(file)
    write_detached(target, examples)
    _print_written(target, len(examples), as_json)


@data.command()
@click.argument("questions", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", "target", type=click.Path(path_type=Path), required=True, help="SQuAD 2.0 file to write.")
@click.option("--force", is_flag=True, help="Let --out replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def attach(questions: Path, texts: tuple[Path, ...], target: Path, force: bool, as_json: bool) -> None:
    """Put QUESTIONS that are kept apart beside their texts, which are contexts of the SQuAD files TEXTS.

    Questions about other texts are left out.
    """
    _refuse_existing(target, force)
    examples = read_detached(questions, (one.context for file in texts for one in read_squad(file)))
    if not examples:
        raise InputError(f"{questions}: no question is about a text of {', '.join(map(str, texts))}")
    write_squad(target, examples)
    _print_written(target, len(examples), as_json)


@data.command("export-feedback")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def export_feedback(folder: Path, target: Path, force: bool, as_json: bool) -> None:
    """Write what people said of answers to a server's --index FOLDER as SQuAD 2.0 JSON, which polyspan train takes.

    Answers that were right, corrections, and questions that have no answer; that an answer was wrong teaches nothing
    alone, and is left out.
    """
    from polyspan.serving.feedback import FeedbackStore, as_examples

    _refuse_existing(target, force)
    if not FeedbackStore.exists(folder):
        raise InputError(f"{folder}: holds no feedback; expected the --index folder of polyspan serve")
    kept = FeedbackStore(folder).all()
    examples = as_examples(kept)
    if not examples:
        raise InputError(f"{folder}: none of {len(kept)} judgements says what is right; nothing to export")
    write_squad(target, examples)
    if as_json:
        print_json({"target": str(target), "judgements": len(kept), "questions": len(examples)})
    else:
        click.echo(f"{target}: {len(examples)} questions from {len(kept)} judgements")


def _print_written(target: Path, questions: int, as_json: bool) -> None:
    if as_json:
        print_json({"target": str(target), "questions": questions})
    else:
        click.echo(f"{target}: {questions} questions")


def _refuse_existing(path: Path, force: bool) -> None:
    if path.is_dir() or (path.exists() and not force):
        raise InputError(f"{path}: exists already; expected the name of a new file, or --force to replace a file")


def _print_findings(result: DatasetCheck) -> None:
    """Counts of each kind, then the first findings of each."""
    click.echo(f"findings: {len(result.findings)} in {result.questions} questions")
    kinds = {kind: [finding for finding in result.findings if finding.kind == kind] for kind in KINDS}
    found = {kind: findings for kind, findings in kinds.items() if findings}
    for kind, findings in found.items():
        click.echo(f"{kind:20} {len(findings):>8}")
    for kind, findings in found.items():
        click.echo(f"\n{kind}")
        for finding in findings[:SHOWN]:
            name = f" (id {finding.id!r:.60})" if finding.id else ""
            click.echo(f"    {finding.place}{name}: {finding.message}")
        if len(findings) > SHOWN:
            click.echo(f"    … {len(findings) - SHOWN} more, which --json prints")
