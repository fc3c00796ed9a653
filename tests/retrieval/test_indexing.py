import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fake_encoder import FakeEncoder
from polyspan import Document, InputError
from polyspan.errors import PassageIndexError
from polyspan.retrieval import IndexReport, IndexSettings, PassageStore, index_documents, index_paths
from polyspan.retrieval.indexing import Prepared
from polyspan.retrieval.rows import to_passage


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    return PassageStore.create(tmp_path / "index", IndexSettings("", "fake0", 64, 200, 40))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Text {number} has words. " * 20)
    return folder


def counts(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


def names(store: PassageStore) -> list[str]:
    return [Path(one.id).name for one in store.documents()]


def test_index_reads_only_what_changed(store: PassageStore, docs: Path) -> None:
    encoder = FakeEncoder()
    assert counts(index_paths(store, encoder, [docs])) == (3, 0, 0, 0)
    assert names(store) == ["0.txt", "1.txt", "2.txt"]
    encoder.encoded.clear()
    assert counts(index_paths(store, encoder, [docs])) == (0, 0, 3, 0)
    assert encoder.encoded == []
    (docs / "1.txt").write_text("Now it is short.")
    (docs / "2.txt").unlink()
    (docs / "3.txt").write_text("Text 3 is new.")
    assert counts(index_paths(store, encoder, [docs])) == (1, 1, 1, 1)
    assert sorted(encoder.encoded) == ["Now it is short.", "Text 3 is new."]
    assert names(store) == ["0.txt", "1.txt", "3.txt"]
    assert [row["text"] for row in store.document_rows((docs / "1.txt").as_posix())] == ["Now it is short."]


def test_index_notes_a_new_time_without_reading_again(store: PassageStore, docs: Path) -> None:
    encoder = FakeEncoder()
    index_paths(store, encoder, [docs])
    os.utime(docs / "0.txt", ns=(5, 7))
    encoder.encoded.clear()
    assert counts(index_paths(store, encoder, [docs])) == (0, 0, 3, 0)
    assert encoder.encoded == []
    assert store.documents()[0].modified == 7


def test_index_names_bad_files_and_keeps_what_was_known_of_them(store: PassageStore, docs: Path) -> None:
    index_paths(store, FakeEncoder(), [docs])
    (docs / "0.txt").write_text("")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    report = index_paths(store, FakeEncoder(), [docs, docs / "absent.txt"])
    assert counts(report) == (0, 0, 2, 0)
    assert sorted(str(error).split(":")[0].rpartition("/")[2] for error in report.errors) == [
        "0.txt",
        "absent.txt",
        "broken.pdf",
    ]
    assert names(store) == ["0.txt", "1.txt", "2.txt"]


def test_index_forgets_a_named_file_that_is_gone_but_not_a_whole_folder(store: PassageStore, docs: Path) -> None:
    index_paths(store, FakeEncoder(), [docs])
    (docs / "0.txt").unlink()
    assert counts(index_paths(store, FakeEncoder(), [docs / "0.txt", docs / "1.txt"])) == (0, 0, 1, 1)
    shutil.rmtree(docs)  # perhaps only a disk that is not mounted
    report = index_paths(store, FakeEncoder(), [docs])
    assert (counts(report), len(report.errors)) == ((0, 0, 0, 0), 1)
    assert names(store) == ["1.txt", "2.txt"]


def test_index_leaves_other_folders_alone(store: PassageStore, docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "docs-2"
    other.mkdir()
    (other / "x.txt").write_text("Elsewhere.")
    index_paths(store, FakeEncoder(), [docs, other])
    (other / "x.txt").unlink()
    (other / "y.txt").write_text("Here.")
    assert counts(index_paths(store, FakeEncoder(), [docs])) == (0, 0, 3, 0)
    assert names(store) == ["x.txt", "0.txt", "1.txt", "2.txt"]
    assert counts(index_paths(store, FakeEncoder(), [other])) == (1, 0, 0, 1)


def test_index_commits_on_the_way(store: PassageStore, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyspan.retrieval.indexing.COMMIT_PASSAGES", 4)
    encoder = FakeEncoder()
    whole = encoder.encode_passages

    def stopping(texts: list[str]) -> object:
        if any("Text 2" in text for text in texts):
            raise KeyboardInterrupt
        return whole(texts)

    encoder.encode_passages = stopping  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        index_paths(store, encoder, [docs])
    assert names(store) == ["0.txt", "1.txt"]
    assert counts(index_paths(store, FakeEncoder(), [docs])) == (1, 0, 2, 0)


def test_index_takes_documents_of_any_origin(store: PassageStore) -> None:
    document = Document("Anna lives in Rome.", "letter", meta={"year": 1931})
    assert counts(index_documents(store, FakeEncoder(), [document])) == (1, 0, 0, 0)
    assert counts(index_documents(store, FakeEncoder(), [document])) == (0, 0, 1, 0)
    changed = Document("Anna lives in Rome.", "letter", meta={"year": 1932})
    assert counts(index_documents(store, FakeEncoder(), [changed])) == (0, 1, 0, 0)
    (row,) = store.document_rows("letter")
    assert to_passage(row).document.meta == {"year": "1932"}
    assert counts(index_documents(store, FakeEncoder(), [Document(" \n", "letter")])) == (0, 1, 0, 0)
    assert store.documents() == []
    with pytest.raises(InputError, match="without an id"):
        index_documents(store, FakeEncoder(), [Document("Anna")])


def test_index_refuses_another_encoder(store: PassageStore, docs: Path) -> None:
    with pytest.raises(PassageIndexError, match="made with another encoder"):
        index_paths(store, FakeEncoder("fake1"), [docs])
    with pytest.raises(PassageIndexError, match="made with another encoder"):
        index_documents(store, FakeEncoder("fake1"), [])


def test_index_shows_files_as_they_are_done(store: PassageStore, docs: Path) -> None:
    seen: list[str] = []

    def watch(files: Iterable[Prepared], total: int) -> Iterator[Prepared]:
        assert total == 3
        for file in files:
            seen.append(Path(file.stored.id).name)
            yield file

    index_paths(store, FakeEncoder(), [docs], watch)
    assert seen == ["0.txt", "1.txt", "2.txt"]
