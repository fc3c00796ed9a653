"""Finding, and mending, faults of the labels in SQuAD JSON.

Unlike ``read_squad``, which stops at the first fault, this reads broken records too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from polyspan.datasets.jsonfile import read_json
from polyspan.datasets.shared import normalise_context, shared_contexts
from polyspan.datasets.squad import squad_version
from polyspan.datasets.writing import json_text, write_text
from polyspan.errors import DatasetError

FindingKind = Literal[
    "malformed",
    "empty-context",
    "empty-question",
    "empty-answer",
    "outer-whitespace",
    "wrong-offset",
    "crlf-shift",
    "absent-answer",
    "impossible-mismatch",
    "duplicate-id",
    "duplicate-question",
    "shared-context",
]

KINDS: tuple[FindingKind, ...] = get_args(FindingKind)


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of the record at ``place``, such as ``data[0].paragraphs[2].qas[1]``; ``id`` is "" where it has none."""

    kind: FindingKind
    place: str
    id: str
    message: str


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """What is wrong with a file, and the SQuAD 2.0 content that it becomes when that is mended.

    ``questions`` counts those of the file; ``changes`` what was done, such as ``offsets moved``, each with how often.
    """

    questions: int
    findings: tuple[Finding, ...]
    corrected: Mapping[str, Any]
    changes: Mapping[str, int]

    @property
    def kept(self) -> int:
        """How many questions the corrected content has."""
        return self.questions - self.changes.get("questions dropped", 0)


def check_squad(path: Path, against: Sequence[Path] = ()) -> DatasetCheck:
    """Find the faults in a SQuAD 1.1 or 2.0 file, and its contexts that the evaluation files ``against`` have too.

    The corrected content has none of these faults: checked again, it is clean. An answer goes to the occurrence of
    its text that is nearest to its offset (to 0 without one), or to where the offset leads if line ends count
    differently; a question goes where it is answerable and no answer is left; an id that another question has is
    replaced; answers of a question that is marked as impossible become ``plausible_answers``, which are checked as
    answers are. Other fields stay as they are. Raises DatasetError where a file cannot be read or is not SQuAD JSON.
    """
    content = _read(path)
    evaluation = {
        paragraph["context"]: f"{file}: {place}"
        for file in against
        for place, paragraph in _paragraphs(_read(file))
        if isinstance(paragraph.get("context"), str)
    }
    paragraphs = [paragraph for _, paragraph in _paragraphs(content)]
    contexts = {paragraph["context"] for paragraph in paragraphs if isinstance(paragraph.get("context"), str)}
    run = _Run(
        shared=shared_contexts(contexts, evaluation) if evaluation else {},
        ids={
            str(record.get("id"))
            for paragraph in paragraphs
            for record in _list(paragraph, "qas")
            if isinstance(record, dict)
        },
    )
    data = _each(content, "data", "", run, partial(_check_article, run))
    corrected = {**content, "version": squad_version(content, "v2.0"), "data": data}
    before, after = _size(content), _size(corrected)
    if not before["questions"]:
        run.report("malformed", "it holds no questions", place="data")
    run.changes.update({f"{name} dropped": before[name] - after[name] for name in before})
    return DatasetCheck(before["questions"], tuple(run.findings), corrected, dict(+run.changes))


def write_corrected(path: Path, check: DatasetCheck) -> None:
    """Write the corrected content, gzip where the name ends in ``.gz``, whole or not at all.

    A file of that name is replaced. Raises DatasetError where no question is left, InputError where it cannot be
    written.
    """
    if not check.kept:
        raise DatasetError(f"{path}: not written, for no question would be left; look at the findings without --fix")
    write_text(path, [json_text(check.corrected)])


@dataclass(slots=True)
class _Run:
    """What one walk through a file gathers."""

    shared: Mapping[str, str]
    ids: set[str]
    findings: list[Finding] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    seen: dict[tuple[str, ...], tuple[str, bool]] = field(default_factory=dict)
    copies: Counter[str] = field(default_factory=Counter)

    def report(self, kind: FindingKind, message: str, place: str, name: str = "") -> None:
        # Half of a surrogate pair could not be printed.
        self.findings.append(Finding(kind, place, name.encode("utf-8", "backslashreplace").decode("utf-8"), message))

    def repeats(self, kind: FindingKind, key: tuple[str, ...], what: str, sound: bool, place: str, name: str) -> bool:
        """Report a key that stood before; whether the record that had it stays, as this one would if ``sound``."""
        before = self.seen.get(key)
        if before is None or (sound and not before[1]):
            self.seen[key] = (place, sound)
        if before is None:
            return False
        self.report(kind, f"{what} stands already at {before[0]}", place, name)
        return before[1]

    def new_id(self, name: str) -> str:
        while True:
            self.copies[name] += 1
            new = f"{name}-{self.copies[name] + 1}"
            if new not in self.ids:
                self.ids.add(new)
                return new


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """What the questions of a paragraph need of it."""

    context: str
    normalised: str
    stays: bool


Report = Callable[[FindingKind, str], None]
"""Reports a kind and a message of the record at hand."""


def _check_article(run: _Run, article: dict[str, Any], place: str) -> dict[str, Any] | None:
    corrected = dict(article)
    if not isinstance(article.get("title", ""), str):
        run.report("malformed", f"title: expected a string, got {article['title']!r:.60}", place)
        del corrected["title"]
    corrected["paragraphs"] = _each(article, "paragraphs", place, run, partial(_check_paragraph, run))
    return corrected if corrected["paragraphs"] or article.get("paragraphs") == [] else None


def _check_paragraph(run: _Run, paragraph: dict[str, Any], place: str) -> dict[str, Any] | None:
    context = paragraph.get("context")
    if not isinstance(context, str):
        run.report("malformed", f"context: expected a string, got {context!r:.60}", place)
        return None
    if not context.strip():
        run.report("empty-context", "the context is empty", place)
        return None
    shared = run.shared.get(context)
    if shared is not None:
        run.report("shared-context", shared, place)
    check = partial(_check_question, run, _Paragraph(context, normalise_context(context), stays=shared is None))
    corrected = {**paragraph, "qas": _each(paragraph, "qas", place, run, check)}
    if shared is not None or (paragraph.get("qas") and not corrected["qas"]):
        return None
    return corrected


def _check_question(run: _Run, paragraph: _Paragraph, record: dict[str, Any], place: str) -> dict[str, Any] | None:
    label = str(record.get("id", ""))
    report = partial(run.report, place=place, name=label)
    name, question = _check_id(record, report), _check_text(record, report)
    changes: Counter[str] = Counter()
    answers, impossible = _check_answers(record, paragraph.context, report, changes)
    plausible = _check_list(
        record.get("plausible_answers", []), "plausible_answers", paragraph.context, report, changes
    )
    sound = paragraph.stays and name is not None and question is not None and (impossible or bool(answers))
    if question is not None:
        key = (paragraph.normalised, normalise_context(question))
        repeats = run.repeats("duplicate-question", key, "the same question on the same context", sound, place, label)
        sound = sound and not repeats
    if name is not None and run.repeats("duplicate-id", (name,), f"id {name!r:.60}", sound, place, label) and sound:
        name = run.new_id(name)
        changes["ids replaced"] += 1
    if not sound:
        return None
    corrected = {**record, "id": name, "answers": answers, "is_impossible": impossible}
    if impossible and answers:
        corrected["answers"] = []
        plausible += [answer for answer in answers if answer not in plausible]
        changes["answers made plausible answers"] += len(answers)
    if plausible or "plausible_answers" in record:
        corrected["plausible_answers"] = plausible
    run.changes.update(changes)
    return corrected


def _check_id(record: dict[str, Any], report: Report) -> str | None:
    name = record.get("id")
    if isinstance(name, str):
        return name
    report("malformed", f"id: expected a string, got {name!r:.60}")
    return str(name) if type(name) is int else None


def _check_text(record: dict[str, Any], report: Report) -> str | None:
    """The question's text; None where it is missing or empty."""
    question = record.get("question")
    if not isinstance(question, str):
        report("malformed", f"question: expected a string, got {question!r:.60}")
    elif not question.strip():
        report("empty-question", "the question is empty")
    else:
        return question
    return None


def _check_answers(
    record: dict[str, Any], context: str, report: Report, changes: Counter[str]
) -> tuple[list[dict[str, Any]], bool]:
    """The corrected answers, and whether the question is, or has to be taken as, impossible."""
    answers, flag = record.get("answers"), record.get("is_impossible")
    corrected = _check_list(answers, "answers", context, report, changes)
    marked = sum(
        isinstance(answer, dict) and bool(str(answer.get("text", "")).strip()) for answer in _list(record, "answers")
    )
    if isinstance(flag, bool):
        if flag == bool(marked):
            report("impossible-mismatch", f"is_impossible is {str(flag).lower()} with {marked or 'no'} answers")
        return corrected, flag
    if "is_impossible" in record:
        report("malformed", f"is_impossible: expected true or false, got {flag!r:.60}")
    return corrected, isinstance(answers, list) and not marked


def _check_list(given: Any, name: str, context: str, report: Report, changes: Counter[str]) -> list[dict[str, Any]]:
    """The corrected answers of the field ``name``."""
    if not isinstance(given, list):
        report("malformed", f"{name}: expected a list, got {given!r:.60}")
        given = []
    checked = [
        _check_answer(answer, f"{name}[{position}]", context, report, changes) for position, answer in enumerate(given)
    ]
    corrected = [answer for answer in checked if answer is not None]
    changes["answers dropped"] += len(given) - len(corrected)
    return corrected


def _check_answer(answer: Any, name: str, context: str, report: Report, changes: Counter[str]) -> dict[str, Any] | None:
    """The answer at the place where its text stands, None where it goes; ``name`` is for messages."""
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        report("malformed", f"{name}: expected an object with a text, got {answer!r:.60}")
        return None
    text = answer["text"].strip()
    if not text:
        report("empty-answer", f"{name}: the text is empty")
        return None
    offset = answer.get("answer_start")
    start = offset if type(offset) is int else 0
    if type(offset) is not int:
        report("malformed", f"{name}.answer_start: expected a whole number, got {offset!r:.60}")
    if text != answer["text"]:
        report("outer-whitespace", f"{name}: {answer['text']!r:.60} has whitespace around it")
        if _stands(answer["text"], start, context):
            start += len(answer["text"]) - len(answer["text"].lstrip())
    kind, quote, found = _anchor(text, start, context)
    if kind == "absent-answer":
        report(kind, f"{name}: {text!r:.60} does not occur in the context")
        return None
    if kind == "crlf-shift" and type(offset) is int:
        report(kind, f"{name}: {text!r:.60} stands at {found}; {start} was counted with other line ends")
    elif kind is not None and type(offset) is int:
        report(kind, f"{name}: {text!r:.60} stands at {found}, not at {start}")
    changes.update({"offsets moved": int(found != start), "answers stripped": int(text != answer["text"])})
    return {**answer, "text": quote, "answer_start": found}


def _anchor(text: str, start: int, context: str) -> tuple[FindingKind | None, str, int]:
    """What is wrong with an offset, then the text as the context has it and the character at which it stands."""
    if _stands(text, start, context):
        return None, text, start
    unix = text.replace("\r\n", "\n")
    forms = dict.fromkeys((text, unix, unix.replace("\n", "\r\n")))
    for moved in (start, _without_returns(start, context), _with_returns(start, context)):
        for form in forms:
            if _stands(form, moved, context):
                return "crlf-shift", form, moved
    near = max(start, 0)
    for form in forms:
        neighbours = (context.rfind(form, 0, near + len(form)), context.find(form, near))
        found = [place for place in neighbours if place >= 0]
        if found:
            return "wrong-offset", form, min(found, key=lambda place: abs(place - near))
    return "absent-answer", text, -1


def _stands(text: str, start: int, context: str) -> bool:
    return start >= 0 and context.startswith(text, start)


def _without_returns(start: int, context: str) -> int:
    r"""Where an offset leads that was counted with ``\r\n`` for each ``\n`` of the context."""
    return len(context.replace("\n", "\r\n")[: max(start, 0)].replace("\r\n", "\n"))


def _with_returns(start: int, context: str) -> int:
    r"""Where an offset leads that was counted with ``\n`` for each ``\r\n`` of the context."""
    returns, rest = 0, start
    for line in context.split("\r\n"):
        if rest <= len(line):
            break
        returns, rest = returns + 1, rest - len(line) - 1
    return start + returns


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise DatasetError(
            f"{path}: expected SQuAD JSON, an object with a list `data`; other formats: polyspan data convert"
        )
    return content


def _each(
    record: dict[str, Any],
    name: str,
    place: str,
    run: _Run,
    check: Callable[[dict[str, Any], str], dict[str, Any] | None],
) -> list[dict[str, Any]]:
    """What stays of the objects in a list field."""
    value = record.get(name)
    if not isinstance(value, list):
        run.report("malformed", f"{name}: expected a list, got {value!r:.60}", place)
        return []
    kept = []
    for position, item in enumerate(value):
        where = f"{place}.{name}[{position}]".removeprefix(".")
        if isinstance(item, dict):
            corrected = check(item, where)
            if corrected is not None:
                kept.append(corrected)
        else:
            run.report("malformed", f"expected an object, got {item!r:.60}", where)
    return kept


def _paragraphs(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The paragraphs of a file that are objects, each with its place."""
    for number, article in enumerate(content["data"]):
        for position, paragraph in enumerate(_list(article, "paragraphs")):
            if isinstance(paragraph, dict):
                yield f"data[{number}].paragraphs[{position}]", paragraph


def _list(record: Any, name: str) -> list[Any]:
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, list) else []


def _size(content: dict[str, Any]) -> dict[str, int]:
    paragraphs = [paragraph for article in content["data"] for paragraph in _list(article, "paragraphs")]
    return {
        "paragraphs": len(paragraphs),
        "questions": sum(len(_list(paragraph, "qas")) for paragraph in paragraphs),
    }
