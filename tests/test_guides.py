"""The code of the documents and the example programs runs, and prints what it says."""

import json
import re
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import tiny
from documented import REPOSITORY, blocks_of, run_code
from facts import squad_content
from farm_folders import make_farm_folder
from polyspan.interop.farm import FARMReader, TransformersReader
from polyspan.interop.transformers.arguments import CallOptions
from polyspan.reader import ReadOptions

EVIDENCE = REPOSITORY / "docs" / "evidence.md"
HAYSTACK = REPOSITORY / "docs" / "haystack.md"
MIGRATION = REPOSITORY / "docs" / "migration.md"
PROGRAMS = sorted((REPOSITORY / "examples").glob("*.py"))


def run_blocks(document: Path, capsys: pytest.CaptureFixture[str], *languages: str) -> int:
    """Run a document's blocks of these languages one after another; their number."""
    codes = [code for language, code in blocks_of(document) if language in languages]
    names: dict[str, object] = {"__name__": "document"}
    for code in codes:
        run_code(code, capsys, names)
    return len(codes)


def test_guides_evidence_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_blocks(EVIDENCE, capsys, "python") == 3


def test_guides_haystack_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("haystack")
    monkeypatch.chdir(tmp_path)
    assert run_blocks(HAYSTACK, capsys, "python") == 4


def test_guides_haystack_yaml_loads() -> None:
    haystack = pytest.importorskip("haystack")
    import_module("polyspan.interop.haystack")
    (text,) = [code for language, code in blocks_of(HAYSTACK) if language == "yaml"]
    pipeline = haystack.Pipeline.loads(text)
    assert pipeline.get_component("reader").top_k == 5


@pytest.mark.parametrize("code", [code for language, code in blocks_of(HAYSTACK) if language == "python server"])
def test_guides_stores_that_need_servers_compile_and_import(code: str) -> None:
    compile(code, str(HAYSTACK), "exec")
    named = re.findall(r"^from (haystack_integrations\.\S+) import (\w+)$", code, re.MULTILINE)
    assert len(named) == 2
    if find_spec("haystack_integrations") is None:
        pytest.skip("the store's package is not installed; the code compiles")
    for module, name in named:
        assert hasattr(pytest.importorskip(module), name)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_guides_programs_run(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("haystack")
    run_code(program.read_text(encoding="utf-8"), capsys, {"__name__": "__main__"})


def test_guides_programs_are_there() -> None:
    assert [path.name for path in PROGRAMS] == ["haystack_in_memory.py", "haystack_index.py"]


def test_guides_migration_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for needed in ("accelerate", "onnx", "onnxscript"):
        pytest.importorskip(needed)
    pytest.importorskip("torch").set_num_threads(1)  # more only wait for each other on models of this size
    monkeypatch.chdir(tmp_path)
    for name in ("my-student", "my-teacher"):
        tiny.make_reader_folder(tmp_path / name)
    make_farm_folder(tmp_path / "my-student", tmp_path / "my-farm-model", 2.0, 1.0)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.json").write_text(json.dumps(squad_content()))
    capsys.readouterr()
    with_haystack = ["python haystack"] if find_spec("haystack") else []
    assert run_blocks(MIGRATION, capsys, "python", *with_haystack) == 5 + len(with_haystack)


def test_guides_migration_code_of_before_compiles() -> None:
    codes = [code for language, code in blocks_of(MIGRATION) if language == "python before"]
    assert len(codes) == 5
    for code in codes:
        compile(code, str(MIGRATION), "exec")


def test_guides_migration_names_arguments_and_their_defaults() -> None:
    rows = re.findall(r"^\| (`.*) \|$", MIGRATION.read_text(encoding="utf-8"), re.MULTILINE)
    columns: list[type[Any] | None] = [ReadOptions, CallOptions, FARMReader, TransformersReader, None]
    if find_spec("haystack"):
        columns[-1] = import_module("polyspan.interop.haystack").PolyspanReader
    assert len(rows) == 17
    for row in rows[1:]:
        cells = row.split(" | ")
        assert len(cells) == len(columns)
        for kind, cell in zip(columns, cells, strict=True):
            named = re.match(r"`(\w+)` ([\w.]+)", cell)
            if named is not None and kind is not None:
                defaults = {one.name: str(one.default) for one in fields(kind)}
                assert defaults[named[1]] == named[2], cell
