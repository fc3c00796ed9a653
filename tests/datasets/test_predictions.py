import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from polyspan.datasets.predictions import read_na_probs, read_predictions
from polyspan.errors import DatasetError


def write(folder: Path, content: str) -> Path:
    path = folder / "x.json"
    path.write_text(content, encoding="utf-8")
    return path


def test_predictions_reads_texts_in_the_order_of_the_file(tmp_path: Path) -> None:
    content = '{"b": "Kätzchen", "a": ""}'
    packed = tmp_path / "x.json.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    for path in (write(tmp_path, content), packed):
        assert list(read_predictions(path).items()) == [("b", "Kätzchen"), ("a", "")]


def test_predictions_reads_probabilities_as_floats(tmp_path: Path) -> None:
    probabilities = read_na_probs(write(tmp_path, '{"b": 1, "a": 0.25, "c": -3e-2}'))
    assert list(probabilities.items()) == [("b", 1.0), ("a", 0.25), ("c", -0.03)]
    assert all(type(value) is float for value in probabilities.values())


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_predictions, '{"a": null}', r"x\.json: prediction 'a': expected a text .*, got None"),
        (read_predictions, '{"a": ["b"]}', r"prediction 'a': expected a text"),
        (read_predictions, '[{"id": "a"}]', r"expected an object of question ids and texts, got list"),
        (read_predictions, '{"a": "x", "a": "y"}', r"x\.json: key 'a' occurs twice"),
        (read_na_probs, '"a"', r"expected an object of question ids and numbers, got str"),
        (read_na_probs, '{"a": 0.5, "a": 0.5}', r"x\.json: key 'a' occurs twice"),
        (read_na_probs, '{"a": "0.5"}', r"no-answer probability 'a': expected a finite number, got '0\.5'"),
        (read_na_probs, '{"a": true}', r"'a': expected a finite number, got True"),
        (read_na_probs, '{"a": NaN}', r"'a': expected a finite number, got nan"),
        (read_na_probs, '{"a": -Infinity}', r"'a': expected a finite number, got -inf"),
        (read_na_probs, '{"a": 1e999}', r"'a': expected a finite number, got inf"),
        (read_na_probs, '{"a": 1' + "0" * 400 + "}", r"'a': expected a finite number, got 1000"),
    ],
)
def test_predictions_refuses_other_content(
    tmp_path: Path, read: Callable[[Path], Mapping[str, object]], content: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(write(tmp_path, content))
