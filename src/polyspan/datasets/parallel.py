"""Parallel datasets: questions of one language on contexts of another, in the layouts of XQuAD and MLQA."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from pathlib import Path

from polyspan.datasets.jsonfile import file_signature
from polyspan.datasets.squad import read_squad
from polyspan.errors import DatasetError, InputError
from polyspan.types import LANGUAGE_CODE, QAExample

LAYOUTS: Mapping[str, re.Pattern[str]] = {
    "xquad": re.compile(rf"(?P<name>.+)\.(?P<context>{LANGUAGE_CODE})\.json(\.gz)?"),
    "mlqa": re.compile(
        rf"(?P<name>.+)-context-(?P<context>{LANGUAGE_CODE})-question-(?P<question>{LANGUAGE_CODE})\.json(\.gz)?"
    ),
}
"""How files are named. XQuAD's hold one language each and the same question ids; MLQA's are one pair each."""
_EXPECTED = {"xquad": "xquad.en.json", "mlqa": "test-context-de-question-en.json"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Questions in one language (ISO 639-1) on contexts, with answers, in one; ``source`` is for signatures."""

    question_language: str
    context_language: str
    examples: Sequence[QAExample]
    source: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Parallel:
    """A parallel dataset: the layout it was read in, and its pairs of languages."""

    layout: str
    pairs: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    layout: str
    name: str
    question: str
    context: str


def read_parallel(
    paths: Iterable[Path],
    layout: str = "auto",
    languages: Sequence[str] = (),
    sample: int | None = None,
    *,
    allow_missing: bool = False,
) -> Parallel:
    """Read files, or folders of files, of SQuAD JSON (also .gz) that are named as XQuAD or MLQA name theirs.

    In XQuAD's layout every language asks on every language's contexts: the question is that of one file, context and
    answers are those of the other under the same id. MLQA's layout has a file for each pair, with questions of its own.

    Args:
        paths: a folder's files of no such name do not count.
        layout: one of ``LAYOUTS``, or "auto", as the names have it.
        languages: those to keep, in the order of the pairs; none: all, in the alphabet's.
        sample: how many questions of each pair to keep. They are drawn by a hash of the id, so pairs share them, and
            come in its order, so a smaller sample begins a larger one.
        allow_missing: in XQuAD's layout take the questions that all languages have.

    Raises:
        DatasetError: if there are no such files, or they are not of one dataset; if one is no SQuAD JSON, or has a
            blank question; if ids are missing in a language, unless ``allow_missing``.
        InputError: if a language has no file.
    """
    files = _choose(_find(paths, layout), languages)
    read = _read_xquad if files[0].layout == "xquad" else _read_mlqa
    pairs = [pair if sample is None else _sampled(pair, sample) for pair in read(files, allow_missing)]
    return Parallel(files[0].layout, pairs)


def _find(paths: Iterable[Path], layout: str) -> list[_File]:
    """The files of one dataset, each pair of languages once."""
    layouts = list(LAYOUTS) if layout == "auto" else [layout]
    files: list[_File] = []
    for path in paths:
        here = sorted(path.glob("*")) if path.is_dir() else [path]
        found = [file for one in here for name in layouts if (file := _named(one, name))]
        if not found:
            expected = " or ".join(_EXPECTED[name] for name in layouts)
            raise DatasetError(f"{path}: no parallel data; expected a file named like {expected}, or a folder of them")
        files += found
    seen: dict[tuple[str, str], Path] = {}
    for file in files:
        languages = file.question, file.context
        if (file.layout, file.name) != (files[0].layout, files[0].name):
            raise DatasetError(
                f"{files[0].path}, {file.path}: two datasets; expected names that differ in their languages only, "
                "give the files of one"
            )
        if languages in seen:
            raise DatasetError(f"{seen[languages]}, {file.path}: the same languages twice; leave one out")
        seen[languages] = file.path
    return files


def _named(path: Path, layout: str) -> _File | None:
    match = LAYOUTS[layout].fullmatch(path.name)
    if match is None:
        return None
    parts = match.groupdict()
    return _File(path, layout, parts["name"], parts.get("question", parts["context"]), parts["context"])


def _choose(files: Sequence[_File], languages: Sequence[str]) -> list[_File]:
    """The files of the languages, in their order by question, then context."""
    found = sorted({language for file in files for language in (file.question, file.context)})
    order = {language: number for number, language in enumerate(languages or found)}
    if unknown := [language for language in order if language not in found]:
        raise InputError(f"languages: no file is in {', '.join(unknown)}; expected some of {', '.join(found)}")
    chosen = [file for file in files if file.question in order and file.context in order]
    if not chosen:
        raise InputError(f"languages: no file pairs any two of {', '.join(order)}; choose others")
    return sorted(chosen, key=lambda file: (order[file.question], order[file.context]))


def _read_mlqa(files: Sequence[_File], _: bool) -> Iterator[Pair]:
    for file in files:
        yield Pair(file.question, file.context, list(_read(file.path).values()), file_signature(file.path))


def _read_xquad(files: Sequence[_File], allow_missing: bool) -> Iterator[Pair]:
    read = {file.path: _read(file.path) for file in files}
    common = _common_ids(read, allow_missing)
    signatures = {file.path: file_signature(file.path) for file in files}
    for asking, told in product(files, files):
        questions, contexts = read[asking.path], read[told.path]
        source: dict[str, str | int] = dict(signatures[told.path])
        if asking is not told:
            digests = "".join(signatures[file.path]["dataset_sha256"] for file in (told, asking))
            source["dataset"] = f"{told.name}-context-{told.context}-question-{asking.context}"
            source["dataset_sha256"] = sha256(digests.encode()).hexdigest()[:12]
        if len(common) < len(contexts):
            source["not_in_all_languages"] = len(contexts) - len(common)
        examples = [
            replace(example, question=questions[key].question) for key, example in contexts.items() if key in common
        ]
        yield Pair(asking.context, told.context, examples, source)


def _read(path: Path) -> dict[str, QAExample]:
    examples = {example.id: example for example in read_squad(path)}
    for example in examples.values():
        if not example.question.strip():
            raise DatasetError(f"{path}: question {example.id!r} is blank; expected a text to ask, mend it")
    return examples


def _common_ids(read: Mapping[Path, Mapping[str, QAExample]], allow_missing: bool) -> set[str]:
    """The ids that all files have; DatasetError where they are not those of each, unless ``allow_missing``."""
    common = set.intersection(*(set(examples) for examples in read.values()))
    everything = {key: path for path, examples in read.items() for key in examples}
    for path, examples in read.items():
        missing = [key for key in everything if key not in examples]
        if missing and not (allow_missing and common):
            raise DatasetError(
                f"{path}: {len(missing)} of {len(everything)} question ids are missing, the first is {missing[0]!r} of "
                f"{everything[missing[0]]}; expected the same in all files, complete it or leave it out"
                + (f", or allow missing ones to take the {len(common)} that all have" if common else "")
            )
    return common


def _sampled(pair: Pair, size: int) -> Pair:
    if len(pair.examples) <= size:
        return pair
    drawn = sorted(pair.examples, key=lambda example: sha256(example.id.encode("utf-8", "surrogatepass")).digest())
    return replace(pair, examples=drawn[:size], source={**pair.source, "sample": size})
