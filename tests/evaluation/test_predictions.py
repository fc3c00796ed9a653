import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_scorer import FakeScorer
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.errors import DatasetError, InputError
from polyspan.evaluation.evaluate import predict, reading_options
from polyspan.evaluation.predictions import (
    Origin,
    Prediction,
    append,
    as_predictions,
    is_kept,
    predictions_file,
    read_kept,
    resume,
)
from polyspan.types import GoldAnswer, QAExample

EXAMPLES = [
    QAExample("a", "find oslo", "Anna lives in Oslo", (GoldAnswer("Oslo", 14),)),
    QAExample("b", "find rome", "Anna lives in Oslo", (), is_impossible=True),
    QAExample("c", "find rome", "  ", (), is_impossible=True),
]
ORIGIN = Origin("fake", "0a1b", "2c3d", "dev.json", "4e5f", 0.5, {"top_k": 1, "return_no_answer": True})
ROWS = [
    Prediction("a", "Oslo 猫\n\ud83d", 14, 18, 0.75, 0.125, abstained=False, null_margin=-16.0, features={"gap": 0.1}),
    Prediction("b\u2028", "", -1, -1, 0.0, 1.0, abstained=True, null_margin=1e4),
    Prediction("c", "Anna", 0, 4, 1 / 3, 2 / 3, abstained=True, null_margin=0.1),
]
LEFT = [QAExample(row.id, "?", "context") for row in ROWS]


@pytest.fixture
def reader() -> Reader:
    return Reader(FakeScorer("anna lives in oslo rome"), NativeSettings(no_answer=True))


def keep(path: Path, rows: list[Prediction] = ROWS) -> bytes:
    resume(path, ORIGIN, LEFT)
    assert list(append(path, rows)) == rows
    return path.read_bytes()


def test_predictions_hold_the_best_span_where_the_reader_abstains_too(reader: Reader) -> None:
    options = reading_options(reader, EXAMPLES, "on")
    rows = list(as_predictions(EXAMPLES, predict(reader, EXAMPLES, options)))
    assert [row.id for row in rows] == ["a", "b", "c"]
    assert [(row.text, row.start, row.end, row.abstained) for row in rows[:2]] == [
        ("Oslo", 14, 18, False),
        ("Anna", 0, 4, True),
    ]
    assert [row.shown for row in rows] == ["Oslo", "", ""]
    assert [row.probability for row in rows] == [rows[0].score, rows[1].no_answer_score, 1.0]
    assert rows[0].null_margin == -16
    assert rows[2] == Prediction("c", "", -1, -1, 0.0, 1.0, abstained=True, null_margin=1e4)
    with pytest.raises(ValueError, match="shorter"):
        list(as_predictions(EXAMPLES, []))


def test_predictions_come_back_as_they_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "dev.predictions.jsonl"
    content = keep(path)
    assert len(content.splitlines()) == 4
    kept = read_kept(path)
    assert kept.origin == ORIGIN
    assert list(kept.predictions.items()) == [(row.id, row) for row in ROWS]
    packed = tmp_path / "x.jsonl.gz"
    packed.write_bytes(gzip.compress(content))
    assert read_kept(packed) == kept
    without = replace(ORIGIN, threshold=None)
    resume(tmp_path / "y.jsonl", without, LEFT)
    assert read_kept(tmp_path / "y.jsonl").origin == without


def test_predictions_are_on_disk_before_they_are_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    resume(path, ORIGIN, LEFT)
    for number, _ in enumerate(append(path, ROWS), start=1):
        assert len(read_kept(path).predictions) == number


@given(st.integers(0, 10_000))
def test_predictions_cut_off_anywhere_end_as_if_they_were_not(cut: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        whole = keep(path)
        path.write_bytes(whole[: cut % (len(whole) + 1)])
        kept = resume(path, ORIGIN, LEFT)
        assert kept == ROWS[: len(kept)]
        list(append(path, ROWS[len(kept) :]))
        assert path.read_bytes() == whole


def test_predictions_that_are_complete_are_not_read_again(reader: Reader, tmp_path: Path) -> None:
    path, options = tmp_path / "x.jsonl", reading_options(reader, EXAMPLES, "on")
    for found, batches in ((0, 1), (len(EXAMPLES), 1)):
        kept = resume(path, ORIGIN, EXAMPLES)
        assert len(kept) == found
        left = EXAMPLES[found:]
        list(append(path, as_predictions(left, predict(reader, left, options))))
        assert isinstance(reader.scorer, FakeScorer)
        assert len(reader.scorer.batches) == batches


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(ORIGIN, weights="ffff"), r"of another run \(weights '0a1b', now 'ffff'\); give another --out"),
        (replace(ORIGIN, dataset_sha256="ffff"), r"dataset_sha256 '4e5f', now 'ffff'"),
        (replace(ORIGIN, threshold=None), r"threshold 0.5, now None"),
        (
            replace(ORIGIN, options={"top_k": 2, "return_no_answer": True}, settings="x"),
            r"\(settings '2c3d', now 'x', top_k 1, now 2\)",
        ),
        (replace(ORIGIN, options={**ORIGIN.options, "new": 0}), r"\(new None, now 0\)"),
    ],
)
def test_predictions_of_another_run_are_refused_and_stay(tmp_path: Path, other: Origin, message: str) -> None:
    path = tmp_path / "x.jsonl"
    content = keep(path)[:-10]
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        resume(path, other, LEFT)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"notes", b"notes\n", b"{}\n", b'{"format": "other"}\n', b"[1]\n", b"\0" * 40])
def test_predictions_never_replace_another_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.jsonl: line 1: "):
        resume(path, ORIGIN, LEFT)
    assert path.read_bytes() == content


def test_predictions_in_another_order_are_refused(tmp_path: Path) -> None:
    keep(tmp_path / "x.jsonl")
    with pytest.raises(DatasetError, match="its questions are not the first of the dataset"):
        resume(tmp_path / "x.jsonl", ORIGIN, LEFT[::-1])


def test_predictions_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"x\.jsonl: cannot be written .*; make room and run again to go on"):
        resume(tmp_path / "file" / "x.jsonl", ORIGIN, LEFT)
    with pytest.raises(InputError, match=r"none.*cannot be written"):
        list(append(tmp_path / "none" / "x.jsonl", ROWS))


def test_predictions_pass_on_what_fails_while_reading(tmp_path: Path) -> None:
    def rows() -> Iterator[Prediction]:
        yield ROWS[0]
        raise KeyError

    path = tmp_path / "x.jsonl"
    resume(path, ORIGIN, LEFT)
    with pytest.raises(KeyError):
        list(append(path, rows()))
    assert resume(path, ORIGIN, LEFT) == ROWS[:1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": math.nan}, r"x\.jsonl: line 3: score: expected a finite number from 0 to 1, got nan"),
        ({"score": 1.5}, r"line 3: score: expected a finite number from 0 to 1, got 1\.5"),
        ({"no_answer_score": None}, r"no_answer_score: expected a finite number from 0 to 1, got None"),
        ({"null_margin": math.inf}, r"null_margin: expected a finite number, got inf"),
        ({"null_margin": 10**400}, r"null_margin: expected a finite number, got 1000"),
        ({"features": {"gap": math.nan}}, r"line 3: features\.gap: expected a finite number, got nan"),
        ({"features": [1]}, r"features: expected an object"),
        ({"abstained": 1}, r"abstained: expected true or false, got a whole number"),
        ({"text": None}, r"text: expected a string, got null"),
        ({"id": "a"}, r"x\.jsonl: line 3: question 'a' stands already in line 2; remove one of them"),
    ],
)
def test_predictions_name_bad_rows(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = tmp_path / "x.jsonl"
    lines = keep(path).split(b"\n")
    lines[2] = json.dumps({**json.loads(lines[2]), **changes}).encode()
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DatasetError, match=message):
        read_kept(path)


def test_predictions_name_lines_that_are_no_json(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    lines = keep(path).split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:20], *lines[2:]]))
    with pytest.raises(DatasetError, match=r"x\.jsonl: line 2: not JSON .*; expected one JSON object a line"):
        read_kept(path)
    with pytest.raises(DatasetError, match="expected a file to read"):
        read_kept(tmp_path / "none.jsonl")


def test_predictions_have_a_file_for_each_dataset(tmp_path: Path) -> None:
    names = ("dev-v2.0.json", "data/dev-v2.0.json.gz", "dev")
    files = [predictions_file(Path("out"), name).as_posix() for name in names]
    assert files == ["out/dev-v2.0.predictions.jsonl"] * 2 + ["out/dev.predictions.jsonl"]
    assert [is_kept(path) for path in (tmp_path, Path("x.jsonl"), Path("x.jsonl.gz"))] == [True] * 3
    assert [is_kept(path) for path in (tmp_path / "none", Path("x.json"), Path("x.json.gz"))] == [False] * 3
