"""The list of upstream cases names tests that there are."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_migration_cases_name_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (REPOSITORY / "docs" / "migration-cases.md").read_text(encoding="utf-8")))
    sources = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert len(named) > 30
    assert named <= set(re.findall(r"def (test_\w+)", sources))
