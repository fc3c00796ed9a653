import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan.datasets.convert import convert, guess_format
from polyspan.datasets.formats import FORMATS
from polyspan.datasets.formats.squad import write_squad
from polyspan.datasets.squad import read_squad
from polyspan.errors import DatasetError
from polyspan.types import GoldAnswer, QAExample

ENDINGS = {"csv": "csv", "jsonl": "jsonl", "huggingface": "jsonl", "mrqa": "jsonl"}
TEXTS = st.text(alphabet="ab,\"'\\\r\n\t\0 \u2028\u00a0猫🐱ก็é", max_size=12)


@st.composite
def examples(draw: st.DrawFn) -> list[QAExample]:
    """Questions with answers that stand at their offsets; one at least is answerable."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        context = draw(TEXTS) + draw(st.sampled_from("a猫🐱"))
        answers = []
        for _ in range(draw(st.integers(0 if number else 1, 3))):
            start = draw(st.integers(0, len(context) - 1))
            answers.append(GoldAnswer(context[start : draw(st.integers(start + 1, len(context)))], start))
        found.append(
            QAExample(
                f"{number}{draw(TEXTS)}",
                draw(TEXTS),
                context,
                tuple(answers),
                is_impossible=not answers,
                title=draw(st.sampled_from(["", "A", "B"])),
            )
        )
    return found


def by_id(questions: list[QAExample]) -> list[QAExample]:
    return sorted(questions, key=lambda example: example.id)


@given(examples(), st.sampled_from(["", ".gz"]))
@pytest.mark.parametrize("name", FORMATS)
def test_convert_there_and_back_loses_only_what_the_format_cannot_hold(
    tmp_path_factory: pytest.TempPathFactory, name: str, questions: list[QAExample], packed: str
) -> None:
    folder = tmp_path_factory.mktemp("convert")
    source, there, back = (
        folder / "source.json",
        folder / f"x.{ENDINGS.get(name, 'json')}{packed}",
        folder / "back.json",
    )
    write_squad(source, questions)
    expected = questions
    if name in ("squad1", "mrqa"):
        expected = [example for example in expected if example.answers]
    if name == "mrqa":
        expected = [dataclasses.replace(example, title="") for example in expected]

    forth = convert(source, there, name)
    assert (forth.source_format, forth.target_format, forth.questions) == ("squad2", name, len(expected))
    returned = convert(there, back, "squad2")
    assert returned.source_format == name
    assert by_id(read_squad(back)) == by_id(expected)


@pytest.mark.parametrize("name", ["squad2", "jsonl", "csv", "huggingface", "label-studio"])
def test_convert_has_nothing_to_say_where_nothing_is_lost(tmp_path: Path, name: str) -> None:
    source, there = tmp_path / "source.json", tmp_path / f"x.{ENDINGS.get(name, 'json')}"
    write_squad(source, [QAExample("q", "Wo?", "Im Hafen.", (), is_impossible=True, title="Harbours")])
    assert convert(source, there, name).notes == {}
    assert convert(there, tmp_path / "back.json", "squad2").notes == {}


def test_convert_counts_what_the_target_cannot_hold(tmp_path: Path) -> None:
    source, target = tmp_path / "source.json", tmp_path / "target.json"
    impossible = [QAExample(f"q{number}", "Wo?", "Im Hafen.", (), is_impossible=True) for number in range(3)]
    write_squad(source, [*impossible, QAExample("q", "Wo?", "Im Hafen.", (GoldAnswer("Hafen", 3),))])
    conversion = convert(source, target, "squad1")
    assert conversion.questions == 1
    assert conversion.notes == {"unanswerable questions left out: SQuAD 1.1 JSON cannot hold them": 3}
    write_squad(source, impossible)
    with pytest.raises(DatasetError, match="MRQA JSONL holds answerable questions only, and there are none"):
        convert(source, target, "mrqa")
    assert guess_format(target) == "squad1"


def test_convert_counts_fields_that_it_does_not_carry(tmp_path: Path) -> None:
    record = {"id": "q", "question": "Wo?", "answers": [], "is_impossible": True, "plausible_answers": []}
    source = tmp_path / "source.json"
    paragraphs = [{"context": "a", "qas": [record], "url": "x"}]
    source.write_text(json.dumps({"version": "1", "by": "ada", "data": [{"paragraphs": paragraphs}]}))
    assert convert(source, tmp_path / "x.csv", "csv").notes == {
        "fields 'by' left out": 1,
        "fields 'plausible_answers' left out": 1,
        "fields 'url' left out": 1,
    }


def with_further_fields(unanswerable: bool) -> dict[str, Any]:
    """SQuAD 2.0 with more than its fields everywhere; a context and a title come twice, and some places are empty."""
    answers = [{"text": "Hafen", "answer_start": 3, "by": "ada"}]
    qas: list[dict[str, Any]] = [
        {"id": "q1", "question": "Wo?", "answers": answers, "is_impossible": False, "meta": {"y": [None, 1.5]}}
    ]
    if unanswerable:
        plausible = {"is_impossible": True, "plausible_answers": answers}
        qas.append({"id": "q2", "question": "Wann?", "answers": [], **plausible})
    paragraphs = [{"context": "Im Hafen.", "qas": one, "page": page} for page, one in enumerate([qas, []])]
    articles = [{"title": "", "paragraphs": one, "url": "x"} for one in (paragraphs, [])]
    return {"version": "own", "licence": "CC0", "data": articles}


@pytest.mark.parametrize("name", ["squad1", "squad2", "haystack"])
def test_convert_keeps_all_fields_between_squad_formats(tmp_path: Path, name: str) -> None:
    source, there, back = (tmp_path / file for file in ("source.json", "there.json", "back.json"))
    source.write_text(json.dumps(with_further_fields(unanswerable=True)))
    unanswerable = name != "squad1"
    forth = convert(source, there, name)
    assert forth.questions == 1 + unanswerable
    assert sum(forth.notes.values()) == 1 - unanswerable
    assert convert(there, back, "squad2").notes == {}

    numbers = ("document_id", "answer_id", "question_id", "answer_category")
    found = json.loads(back.read_text(), object_hook=lambda one: {key: one[key] for key in one if key not in numbers})
    assert found == with_further_fields(unanswerable)


def test_convert_refuses_ids_that_repeat(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    line = {"id": "q", "context": "a", "question": "Wo?", "answers": [], "answer_starts": []}
    source.write_text(f"{json.dumps(line)}\n\n{json.dumps(line)}\n")
    with pytest.raises(DatasetError, match=r"x\.jsonl: line 3: id 'q' stands already at line 1; expected unique ids"):
        convert(source, tmp_path / "y.json", "squad2")
    assert not (tmp_path / "y.json").exists()


@pytest.mark.parametrize(("name", "content"), [("x.json", '{"data": []}'), ("x.json", "[]"), ("x.jsonl", "\n")])
def test_convert_refuses_files_without_questions(tmp_path: Path, name: str, content: str) -> None:
    source = tmp_path / name
    source.write_text(content)
    form = {"[]": "label-studio", "\n": "jsonl"}.get(content)
    with pytest.raises(DatasetError, match=rf"{name}: it holds no questions"):
        convert(source, tmp_path / "y.json", "squad2", form)


ROW = {"id": "q", "context": "a", "question": "b"}


@pytest.mark.parametrize(
    ("name", "content", "guess"),
    [
        ("x.json", {"data": [{"paragraphs": [{"qas": [{"id": "q"}]}]}]}, "squad1"),
        ("x", {"data": [{"paragraphs": [{"qas": [{"is_impossible": False}]}]}]}, "squad2"),
        ("x.json", {"data": [{"paragraphs": [{"document_id": 7, "qas": [{"is_impossible": False}]}]}]}, "haystack"),
        ("x.json", {"data": [{"paragraphs": [{"context": 'say "is_impossible" or "document_id"'}]}]}, "squad1"),
        ("x.json", [{"data": {}, "annotations": []}], "label-studio"),
        ("x.jsonl", {"header": {}}, "mrqa"),
        ("x.jsonl", {"context": "a", "qas": []}, "mrqa"),
        ("x.jsonl", {**ROW, "answers": {"text": []}}, "huggingface"),
        ("x.jsonl", {**ROW, "answers": [], "answer_starts": []}, "jsonl"),
    ],
)
def test_convert_guesses_from_the_content(tmp_path: Path, name: str, content: Any, guess: str) -> None:
    text = json.dumps(content)
    shapes = [text, f"\n{text}\n{text}\n"] if "jsonl" in name else [text, json.dumps(content, indent=1)]
    for shape in shapes:
        plain, packed = tmp_path / name, tmp_path / f"{name}.gz"
        plain.write_text(shape)
        packed.write_bytes(gzip.compress(shape.encode()))
        assert guess_format(plain) == guess
        assert guess_format(packed) == guess


def test_convert_guesses_csv_by_name(tmp_path: Path) -> None:
    for name in ("x.csv", "x.csv.gz"):
        assert guess_format(tmp_path / name) == "csv"


@pytest.mark.parametrize("content", ["", "[]", "{}", "7", "a,b\n", '[{"data": {}}]', '{"data": {}}', '{"answers": []}'])
def test_convert_does_not_guess_where_unsure(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"x\.txt: its format cannot be told; say it with --from, one of squad1, "):
        guess_format(path)


@pytest.mark.shared
@pytest.mark.parametrize("name", FORMATS)
def test_convert_real_files_there_and_back(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "data/dev/heq-val-part30.json.gz"
    there, back = tmp_path / f"x.{ENDINGS.get(name, 'json')}.gz", tmp_path / "back.json"
    convert(source, there, name)
    convert(there, back, "squad2", name)
    expected = {
        (example.id, example.question, example.context, example.answers)
        for example in read_squad(source)
        if example.answers or not FORMATS[name].answerable_only
    }
    assert {(found.id, found.question, found.context, found.answers) for found in read_squad(back)} == expected
