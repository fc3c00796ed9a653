import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyspan.datasets.writing import json_text, write_text
from polyspan.errors import InputError


@pytest.mark.parametrize("value", [["Kätzchen 🐱", "\u2028", "a\\b"], {"half": "a\ud83d"}])
def test_writing_json_text_reads_back(value: object) -> None:
    text = json_text(value)
    assert json.loads(text.encode("utf-8")) == value
    assert "\n" not in text


def test_writing_keeps_scripts_readable() -> None:
    assert json_text({"a": "猫"}) == '{"a": "猫"}'


def test_writing_packs_by_name_and_the_same_each_time(tmp_path: Path) -> None:
    plain, packed, again = tmp_path / "x.json", tmp_path / "x.json.gz", tmp_path / "y.json.gz"
    for path in (plain, packed, again):
        write_text(path, ["Kätz", "chen\r\n"])
    assert plain.read_bytes() == "Kätzchen\r\n".encode()
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.read_bytes() == again.read_bytes()
    assert packed.read_bytes()[4:8] == bytes(4)  # gzip's time


def test_writing_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("before")

    def pieces() -> Iterator[str]:
        yield "after"
        raise KeyError

    with pytest.raises(KeyError):
        write_text(path, pieces())
    with pytest.raises(InputError, match=r"x\.txt: cannot be written as UTF-8: .* \('\\ud83d'\)"):
        write_text(path, ["a\ud83d"])
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("x.txt", "before")]


def test_writing_refuses_impossible_places(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "x.json", tmp_path / "folder"):
        with pytest.raises(InputError, match="cannot be written"):
            write_text(path, ["x"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
