"""``polyspan ask --questions``: a file of questions to a file of answers, which interruptions do not harm."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from polyspan.cli.output import notice, print_json, progress
from polyspan.datasets.writing import json_text
from polyspan.errors import InputError
from polyspan.pipeline import QAPipeline
from polyspan.reader import ReadOptions


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of a file; ``id`` is its own, or the number of its line."""

    id: str
    question: str


AskAll = Callable[[Sequence[str]], Iterable[dict[str, Any]]]
"""Questions to what ``ask --json`` prints of each, in order."""


def answer_file(
    pipeline: QAPipeline, options: ReadOptions, given: dict[str, Any], ask_all: AskAll | None = None
) -> None:
    """Write a row for each question: what ``ask --json`` prints, with its id; ``ask_all`` asks in the pipeline's place.

    Rows that are there already stay, if they come from the same questions and options; a row that an interruption cut
    off is written anew. InputError where the file holds something else.
    """
    out, source = given["out"], given["questions_file"]
    asked = read_questions(source)
    # What the answers depend on, so that no file mixes two kinds.
    settings = [pipeline.reader.scorer.name, asdict(options), asdict(pipeline.options)]
    asked_of = [given[name] for name in ("model", "paths", "uri", "ranking", "where", "per_document")]
    origin = [*asked_of, settings]
    digest = hashlib.sha256(json.dumps(origin, default=str).encode()).hexdigest()[:12]
    done = _kept(out, asked, digest)
    if done:
        notice(f"{out}: holds {done} of {len(asked)} answers already")
    left, count = asked[done:], 0
    with out.open("a", encoding="utf-8") as file:
        found = (ask_all or partial(_ask_here, pipeline, options))([one.question for one in left])
        for one, row in progress(zip(left, found, strict=True), len(asked), "asking", done):
            file.write(json_text({"id": one.id, **row, "asked": digest}) + "\n")
            file.flush()
            count += 1
    if given["as_json"]:
        print_json({"out": str(out), "questions": len(asked), "new": count})
    else:
        click.echo(f"{out}: {len(asked):,} answers, {count:,} of them new")


def _ask_here(pipeline: QAPipeline, options: ReadOptions, questions: Sequence[str]) -> Iterator[dict[str, Any]]:
    for _, reading in pipeline.ask_stream(questions, options):
        yield {**reading.to_json(), "model": pipeline.reader.scorer.name}


def read_questions(path: Path) -> list[AskedQuestion]:
    """The questions of a file: JSONL objects with ``question`` and perhaps ``id``, or one question a line.

    Raises InputError where a line is neither, where an id comes twice, and where there is no question.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}); name a file of questions") from error
    found = [_question(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{path}: holds no question; expected one a line")
    seen: set[str] = set()
    for one in found:
        if one.id in seen:
            raise InputError(f"{path}: two questions have the id {one.id}; expected unique ids")
        seen.add(one.id)
    return found


def _question(line: str, number: int, path: Path) -> AskedQuestion:
    if not line.lstrip().startswith("{"):
        return AskedQuestion(str(number), line.strip())
    try:
        content = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not JSON ({error}); expected an object with question") from error
    question, name = content.get("question"), content.get("id", number)
    if not (isinstance(question, str) and question.strip() and isinstance(name, str | int)):
        raise InputError(f"{path}, line {number}: expected a text as question, and a text or number as id, if any")
    return AskedQuestion(str(name), question)


def _kept(out: Path, asked: list[AskedQuestion], digest: str) -> int:
    """How many whole rows the file holds; what follows them is cut off."""
    if not out.is_file():
        return 0
    size = count = 0
    for count, (row, end) in enumerate(_rows(out), 1):
        if count > len(asked) or (row.get("id"), row.get("question")) != _pair(asked[count - 1]):
            raise InputError(f"{out}, line {count}: answers another question than the file asks; name another --out")
        if row.get("asked") != digest:
            raise InputError(f"{out}: was made with another model, index or options; name another --out, or remove it")
        size = end
    with out.open("r+b") as file:
        file.truncate(size)
    return count


def _pair(asked: AskedQuestion) -> tuple[str, str]:
    return asked.id, asked.question


def _rows(out: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole row with the byte at which it ends."""
    end = 0
    with out.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{out}, line {number}: not JSON; name another --out, or remove it") from error
            if not isinstance(row, dict):
                raise InputError(f"{out}, line {number}: not a row of answers; name another --out, or remove it")
            yield row, end
