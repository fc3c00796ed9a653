import gzip
from pathlib import Path

import pytest

from polyspan.datasets.jsonfile import file_signature, read_json
from polyspan.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", b'{"a": 1', r"x\.json: not JSON \(Expecting ',' delimiter: line 1 column 8"),
        ("x.json", b"", r"x\.json: not JSON"),
        ("x.json", b'["\xff"]', r"x\.json: byte 2 is not UTF-8"),
        ("x.json", gzip.compress(b"{}", mtime=0), r"x\.json: byte 1 is not UTF-8"),
        ("x.json", b"[" * 100_000, r"x\.json: not JSON"),
        ("x.json", b"9" * 5000, r"x\.json: not JSON"),
        ("x.json.gz", b"{}", r"x\.json\.gz: not whole gzip \(Not a gzipped file"),
        ("x.json.gz", gzip.compress(b"{}" * 99, mtime=0)[:-9], r"x\.json\.gz: not whole gzip"),
        ("x.json.gz", gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 20, r"x\.json\.gz: not whole gzip"),
    ],
)
def test_jsonfile_refuses_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_jsonfile_refuses_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.json: No such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DatasetError, match="expected a file to read"):
        read_json(tmp_path)


def test_jsonfile_finds_repeated_keys_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"b": {"a": 1, "a": 2}}', encoding="utf-8")
    assert read_json(path) == {"b": {"a": 2}}
    with pytest.raises(DatasetError, match="key 'a' occurs twice"):
        read_json(path, unique_keys=True)


def test_jsonfile_signature_is_that_of_the_unpacked_content(tmp_path: Path) -> None:
    plain, packed = tmp_path / "x.json", tmp_path / "x.json.gz"
    plain.write_bytes(b"abc")
    packed.write_bytes(gzip.compress(b"abc", mtime=0))
    # SHA-256 of "abc" as printed in FIPS 180-2.
    assert file_signature(plain) == {"dataset": "x.json", "dataset_sha256": "ba7816bf8f01"}
    assert file_signature(packed) == file_signature(plain)
