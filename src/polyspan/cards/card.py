"""The card of a model, made from its reports and from what was put into it."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyspan.cards.text import escaped, table, yaml_block
from polyspan.errors import InputError
from polyspan.types import Report

# The hub refuses a card whose metadata names a dataset or a model otherwise.
_HUB_ID = re.compile(r"(?:[\w-]+/)?[\w.-]+", re.ASCII)
_METRIC_NAMES = {"exact": "Exact match", "f1": "F1"}


@dataclass(frozen=True, slots=True)
class CardKind:
    """What a kind of model is: the hub's names for task and library, and sentences of Markdown.

    ``use`` is code with a place for ``name``; ``scale`` says what the scores are.
    """

    task: str
    task_name: str
    library: str
    introduction: str
    use: str
    scale: str


READER = CardKind(
    task="question-answering",
    task_name="Question answering",
    library="polyspan",
    introduction=(
        "An extractive question answering model: a question and a text in, the quote that answers it out, with\n"
        'character offsets and a probability, or "no answer".'
    ),
    use="""\
```python
from polyspan import Reader

reader = Reader.from_pretrained({name})
text = "The bridge was designed by Ada Korte and opened in May 1931."
reading = reader.read("When was the bridge opened?", [text])
for answer in reading.answers:
    print(answer.text, answer.start, answer.end, answer.score)
print("no answer:", reading.no_answer.chosen, reading.no_answer.score)
```""",
    scale=(
        "Scores are 0 to 100, the intervals 95 % ones; a `_thresh` is the no-answer threshold with the best score of\n"
        "its kind. The signature says what was measured and how: scores of other signatures do not compare."
    ),
)
ENCODER = CardKind(
    task="sentence-similarity",
    task_name="Retrieval",
    library="sentence-transformers",
    introduction=(
        "An encoder for retrieval: a question or a passage in, a vector out. A passage that answers a question\n"
        "lies close to it."
    ),
    use="""\
```python
from polyspan.backends import open_encoder

encoder = open_encoder({name})
question = encoder.encode_questions(["When was the bridge opened?"])
passages = encoder.encode_passages(["The bridge was designed by Ada Korte and opened in May 1931."])
print(question @ passages.T)
```

The sentence-transformers library opens it too.""",
    scale=(
        "Scores are 0 to 100, the intervals 95 % ones. All passages of the collection were ranked for each question;\n"
        "`gold` passages hold the annotated answer itself, `answer` passages its words. The signature says what was\n"
        "measured and how: scores of other signatures do not compare."
    ),
)


@dataclass(frozen=True, slots=True)
class CardDataset:
    """Data that a model was trained on.

    ``name`` is its id on the hub, if it has one; ``language`` an ISO 639 code; ``licence`` as its source states it;
    ``source`` where it can be had. ``questions`` is how many were drawn from, ``weight`` how often an epoch took each
    of them, on average; None: unknown.
    """

    name: str
    language: str = ""
    licence: str = ""
    source: str = ""
    questions: int | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class CardTraining:
    """How a model was trained: settings by name, on which machine, in how many minutes, over how many tokens."""

    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    machine: str = ""
    minutes: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class CardResult:
    """A report and what it was measured on: a name to show, and the dataset's id on the hub, if it has one."""

    dataset: str
    report: Report
    dataset_type: str = ""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is made from.

    ``name`` opens the model: ``org/name`` or a folder. ``licence`` is one of the hub's licence ids ("mit",
    "cc-by-sa-4.0"), ``languages`` are ISO 639 codes. ``base_model`` is what training started from; ``teachers`` what
    the model was distilled from. ``limits`` are sentences of Markdown.
    """

    name: str
    licence: str
    languages: tuple[str, ...] = ()
    base_model: str = ""
    teachers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    datasets: tuple[CardDataset, ...] = ()
    training: CardTraining = field(default_factory=CardTraining)
    results: tuple[CardResult, ...] = ()
    limits: tuple[str, ...] = ()
    kind: CardKind = READER


def model_card(facts: CardFacts) -> str:
    """The text of a README.md: YAML front matter for the hub, then use, making, scores and limits as Markdown.

    Sections that nothing is known for are left out. Datasets and base model that are no hub ids stand in the text
    alone, since the hub refuses them in the front matter.

    Raises:
        InputError: if a score is no finite number.
    """
    parts = [
        f"---\n{yaml_block(_front_matter(facts))}\n---",
        f"# {escaped(facts.name)}",
        facts.kind.introduction,
        "## Use",
        facts.kind.use.format(name=json.dumps(facts.name, ensure_ascii=False)),
        *_making(facts),
        *_scores(facts),
        *_limits(facts.limits),
    ]
    # Names of files may hold halves of surrogate pairs, which no file can store.
    return ("\n\n".join(parts) + "\n").encode("utf-8", "replace").decode("utf-8")


def with_section(card: str, title: str, text: str) -> str:
    """A card with one more section of Markdown, at its end or in the place of an earlier one of that title."""
    earlier = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    rest = earlier.sub("", card).rstrip()
    return f"{rest}\n\n## {title}\n\n{text.strip()}\n"


def _front_matter(facts: CardFacts) -> dict[str, Any]:
    known = {
        "license": facts.licence,
        "library_name": facts.kind.library,
        "pipeline_tag": facts.kind.task,
        "base_model": facts.base_model if _HUB_ID.fullmatch(facts.base_model) else "",
        "language": facts.languages,
        # A name without its owner may be that of a file.
        "datasets": [one.name for one in facts.datasets if "/" in one.name and _HUB_ID.fullmatch(one.name)],
        "tags": facts.tags,
        "model-index": [
            {"name": facts.name, "results": [_index_entry(result, facts.kind) for result in facts.results]}
        ],
    }
    if not facts.results:
        del known["model-index"]
    return {key: value for key, value in known.items() if value}


def _index_entry(result: CardResult, kind: CardKind) -> dict[str, Any]:
    for key, value in result.report.scores.items():
        if not math.isfinite(value):
            raise InputError(f"{result.dataset}: {key} is {value}, expected a finite number; measure again")
    name = result.dataset_type or result.dataset
    return {
        "task": {"type": kind.task, "name": kind.task_name},
        "dataset": {
            "type": name if _HUB_ID.fullmatch(name) else re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII),
            "name": result.dataset,
        },
        "metrics": [
            {"type": key, "name": _METRIC_NAMES.get(key, key), "value": value}
            for key, value in result.report.scores.items()
        ],
    }


def _making(facts: CardFacts) -> Iterator[str]:
    training = facts.training
    known = {
        "base model": facts.base_model,
        "distilled from": ", ".join(facts.teachers),
        "machine": training.machine,
        "minutes": "" if training.minutes is None else f"{training.minutes:,.1f}",
        "tokens": "" if training.tokens is None else f"{training.tokens:,}",
    }
    items = [f"- {key}: {escaped(value)}" for key, value in known.items() if value]
    if not (items or training.hyperparameters or facts.datasets):
        return
    yield "## How it was made"
    if items:
        yield "\n".join(items)
    if training.hyperparameters:
        yield "### Hyperparameters"
        yield table(["setting", "value"], [(key, str(value)) for key, value in training.hyperparameters.items()])
    if facts.datasets:
        yield "### Training data"
        heads = ["data", "language", "questions", "times an epoch", "licence", "source"]
        yield table(heads, [_data_row(row) for row in facts.datasets])


def _data_row(dataset: CardDataset) -> tuple[str, ...]:
    questions = "" if dataset.questions is None else f"{dataset.questions:,}"
    weight = "" if dataset.weight is None else f"{dataset.weight:g}"
    return dataset.name, dataset.language, questions, weight, dataset.licence, dataset.source


def _scores(facts: CardFacts) -> Iterator[str]:
    if facts.results:
        yield "## Scores"
        yield facts.kind.scale
    for result in facts.results:
        yield f"### {escaped(result.dataset)}"
        yield table(["key", "value", "95 % interval"], _score_rows(result.report))
        yield "Signature:"
        # As an indented block it needs no escapes and can be copied.
        signature = "|".join(f"{key}:{value}" for key, value in result.report.signature.items())
        yield f"    {' '.join(signature.split())}"


def _score_rows(report: Report) -> Iterator[tuple[str, ...]]:
    for key, value in report.scores.items():
        interval = "{:.2f} to {:.2f}".format(*report.intervals[key]) if key in report.intervals else ""
        yield key, str(value) if isinstance(value, int) else f"{value:.2f}", interval


def _limits(sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield "## Limits"
        yield "\n".join(f"- {' '.join(sentence.split())}" for sentence in sentences)
