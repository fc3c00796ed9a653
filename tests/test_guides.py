"""The code of the documents and the example programs runs, and prints what it says."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from documented import REPOSITORY, blocks_of, run_code

HAYSTACK = REPOSITORY / "docs" / "haystack.md"
PROGRAMS = sorted((REPOSITORY / "examples").glob("*.py"))


def run_blocks(document: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Run the Python blocks of a document one after another; their number."""
    codes = [code for language, code in blocks_of(document) if language == "python"]
    names: dict[str, object] = {"__name__": "document"}
    for code in codes:
        run_code(code, capsys, names)
    return len(codes)


def test_docs_haystack_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("haystack")
    monkeypatch.chdir(tmp_path)
    assert run_blocks(HAYSTACK, capsys) == 4


def test_docs_haystack_yaml_loads() -> None:
    haystack = pytest.importorskip("haystack")
    import_module("polyspan.interop.haystack")
    (text,) = [code for language, code in blocks_of(HAYSTACK) if language == "yaml"]
    pipeline = haystack.Pipeline.loads(text)
    assert pipeline.get_component("reader").top_k == 5


@pytest.mark.parametrize("code", [code for language, code in blocks_of(HAYSTACK) if language == "python server"])
def test_docs_stores_that_need_servers_compile_and_import(code: str) -> None:
    compile(code, str(HAYSTACK), "exec")
    named = re.findall(r"^from (haystack_integrations\.\S+) import (\w+)$", code, re.MULTILINE)
    assert len(named) == 2
    if find_spec("haystack_integrations") is None:
        pytest.skip("the store's package is not installed; the code compiles")
    for module, name in named:
        assert hasattr(pytest.importorskip(module), name)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_example_programs_run(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("haystack")
    run_code(program.read_text(encoding="utf-8"), capsys, {"__name__": "__main__"})


def test_example_programs_are_there() -> None:
    assert [path.name for path in PROGRAMS] == ["haystack_in_memory.py", "haystack_index.py"]
