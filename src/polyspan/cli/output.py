"""What the commands print, in one place."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TypeVar

import click

from polyspan.metrics import signature_text
from polyspan.types import Report

Item = TypeVar("Item")


def print_json(content: Any) -> None:
    """One JSON value on stdout."""
    click.echo(json.dumps(content, ensure_ascii=False, indent=2))


def print_report(report: Report, as_json: bool) -> None:
    """Scores with their intervals, then the signature."""
    if as_json:
        print_json(asdict(report))
        return
    for name, value in report.scores.items():
        low_high = report.intervals.get(name)
        interval = f"   ({low_high[0]:.2f} to {low_high[1]:.2f})" if low_high else ""
        click.echo(f"{name:18} {value:>10.2f}{interval}" if isinstance(value, float) else f"{name:18} {value:>10}")
    click.echo(signature_text(report))


def notice(message: str) -> None:
    """One line on stderr."""
    click.echo(f"polyspan: {message}", err=True)


def progress(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    """The same items with a progress bar on stderr, if that is a terminal."""
    from tqdm import tqdm

    bar: Iterable[Item] = tqdm(items, total=total, desc=what, unit="q", disable=not sys.stderr.isatty())
    return bar


def emphasised(text: str) -> str:
    """Bold on a terminal, in brackets elsewhere or where NO_COLOR is set."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        return click.style(text, bold=True, reverse=True)
    return f"[{text}]"
