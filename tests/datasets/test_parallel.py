import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from polyspan.datasets import file_signature
from polyspan.datasets.parallel import Parallel, read_parallel
from polyspan.errors import DatasetError, InputError

TEXTS = {"de": "Anna wohnt in Rom", "en": "Anna lives in Rome", "zh": "安娜住在罗马"}


def write(path: Path, context: str, questions: Mapping[str, str]) -> Path:
    """A SQuAD 1.1 file; each question's answer is the first word."""
    answer = {"text": context.split(maxsplit=1)[0], "answer_start": 0}
    qas = [{"id": key, "question": text, "answers": [answer]} for key, text in questions.items()]
    content = json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]})
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def xquad(folder: Path, ids: Sequence[str] = ("a", "b"), languages: Sequence[str] = ("de", "en", "zh")) -> Path:
    for language in languages:
        write(folder / f"xquad.{language}.json", TEXTS[language], {key: f"{key} in {language}?" for key in ids})
    return folder


def languages_of(data: Parallel) -> list[tuple[str, str]]:
    return [(pair.question_language, pair.context_language) for pair in data.pairs]


def test_parallel_xquad_asks_each_language_on_the_contexts_of_all(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no data")
    data = read_parallel([xquad(tmp_path)])
    assert data.layout == "xquad"
    languages = ["de", "en", "zh"]
    assert languages_of(data) == [(question, context) for question in languages for context in languages]
    mixed = data.pairs[1]
    assert [example.question for example in mixed.examples] == ["a in de?", "b in de?"]
    assert {example.context for example in mixed.examples} == {TEXTS["en"]}
    assert [answer.text for answer in mixed.examples[0].answers] == ["Anna"]
    assert mixed.source["dataset"] == "xquad-context-en-question-de"
    assert data.pairs[0].source == file_signature(tmp_path / "xquad.de.json")
    assert len({str(pair.source["dataset_sha256"]) for pair in data.pairs}) == 9


def test_parallel_mlqa_takes_each_pair_from_its_file(tmp_path: Path) -> None:
    own = write(tmp_path / "test-context-de-question-de.json", TEXTS["de"], {"a": "wer?", "b": "wo?"})
    other = write(tmp_path / "test-context-de-question-en.json.gz", TEXTS["de"], {"b": "where?"})
    data = read_parallel([tmp_path])
    assert data.layout == "mlqa"
    assert languages_of(data) == [("de", "de"), ("en", "de")]
    assert [[example.question for example in pair.examples] for pair in data.pairs] == [["wer?", "wo?"], ["where?"]]
    assert [pair.source for pair in data.pairs] == [file_signature(own), file_signature(other)]
    assert data == read_parallel([other, own], "mlqa")


def test_parallel_languages_are_chosen_and_ordered(tmp_path: Path) -> None:
    xquad(tmp_path)
    (tmp_path / "xquad.de.json").write_text("not read")
    data = read_parallel([tmp_path], languages=["zh", "en"])
    assert languages_of(data) == [("zh", "zh"), ("zh", "en"), ("en", "zh"), ("en", "en")]
    with pytest.raises(InputError, match="no file is in fr; expected some of de, en, zh"):
        read_parallel([tmp_path], languages=["en", "fr"])


def test_parallel_languages_without_a_pair_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "dev-context-de-question-en.json", TEXTS["de"], {"a": "?"})
    with pytest.raises(InputError, match="no file pairs any two of de"):
        read_parallel([tmp_path], languages=["de"])


def test_parallel_missing_ids_are_named_or_left_out(tmp_path: Path) -> None:
    xquad(tmp_path, ("a", "b", "c"))
    write(tmp_path / "xquad.en.json", TEXTS["en"], {"c": "c in en?", "a": "a in en?", "d": "d in en?"})
    with pytest.raises(
        DatasetError, match=r"xquad\.de\.json: 1 of 4 .* first is 'd' of .*xquad\.en\.json.* the 2 that"
    ):
        read_parallel([tmp_path])
    data = read_parallel([tmp_path], allow_missing=True)
    asked = dict(zip(languages_of(data), data.pairs, strict=True))
    assert [example.question for example in asked["en", "de"].examples] == ["a in en?", "c in en?"]
    assert [example.question for example in asked["de", "en"].examples] == ["c in de?", "a in de?"]
    assert {pair.source["not_in_all_languages"] for pair in data.pairs} == {1}


def test_parallel_without_common_ids_is_refused(tmp_path: Path) -> None:
    xquad(tmp_path, ("a",), ["de"])
    xquad(tmp_path, ("b",), ["en"])
    with pytest.raises(DatasetError, match=r"1 of 2 question ids are missing.*leave it out$"):
        read_parallel([tmp_path], allow_missing=True)


def test_parallel_samples_are_the_same_in_all_pairs_and_begin_larger_ones(tmp_path: Path) -> None:
    xquad(tmp_path, [f"q{number}" for number in range(30)])
    small, large = (read_parallel([tmp_path], sample=size) for size in (5, 20))
    ids = [[example.id for example in pair.examples] for pair in (*small.pairs, *large.pairs)]
    assert all(one == ids[0] for one in ids[: len(small.pairs)])
    assert ids[-1][:5] == ids[0]
    assert len(set(ids[-1])) == 20
    assert ids[-1] != sorted(ids[-1])
    assert {pair.source["sample"] for pair in small.pairs} == {5}
    assert read_parallel([tmp_path], sample=30) == read_parallel([tmp_path])


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        ([], {}, "no parallel data; expected a file named like xquad.en.json or test-context-de-question-en.json, or"),
        (["xquad.en.json"], {"layout": "mlqa"}, "expected a file named like test-context-de-question-en.json, or a"),
        (["xquad.english.json"], {}, "no parallel data"),
        (["xquad.en.json", "other.de.json"], {}, "two datasets; expected names that differ in their languages only"),
        (["dev-context-de-question-en.json", "test-context-de-question-de.json"], {}, "two datasets"),
        (["xquad.en.json", "test-context-de-question-de.json"], {}, "two datasets"),
        (["xquad.en.json", "xquad.en.json.gz"], {}, "the same languages twice; leave one out"),
    ],
)
def test_parallel_refuses_files_of_no_one_dataset(
    tmp_path: Path, names: Sequence[str], arguments: dict[str, Any], message: str
) -> None:
    for name in names:
        write(tmp_path / name, TEXTS["en"], {"a": "who?"})
    with pytest.raises(DatasetError, match=message):
        read_parallel([tmp_path], **arguments)


def test_parallel_refuses_what_is_no_question(tmp_path: Path) -> None:
    file = write(tmp_path / "xquad.en.json", TEXTS["en"], {"a": " "})
    with pytest.raises(DatasetError, match=r"xquad\.en\.json: question 'a' is blank"):
        read_parallel([file])
    with pytest.raises(DatasetError, match="No such file"):
        read_parallel([tmp_path / "xquad.fr.json"])
