"""What every benchmark needs: interleaved runs, and a record of where they ran."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyspan.bench.timing import interleaved, machine, medians

__all__ = ["interleaved", "machine", "medians", "write_result"]


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """The result with the command that made it."""
    content = {**result, "command": " ".join(["python", *sys.argv])}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps({key: content[key] for key in ("medians", "ratios") if key in content}, indent=2))
