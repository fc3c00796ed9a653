"""What the commands print, in one place."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from polyspan.errors import InputError
from polyspan.metrics import signature_text
from polyspan.types import Report

Item = TypeVar("Item")


def indented_json(content: Any) -> str:
    """One JSON value in lines that people can read; halves of surrogate pairs stay escaped."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def print_json(content: Any) -> None:
    """One JSON value on stdout, as ``indented_json`` writes it."""
    click.echo(indented_json(content))


def print_reports(reports: Sequence[Report], as_json: bool) -> None:
    """Of each report the scores with their intervals, then the signature; as JSON a list where there are several."""
    if as_json:
        contents = [asdict(report) for report in reports]
        print_json(contents[0] if len(contents) == 1 else contents)
        return
    for number, report in enumerate(reports):
        if number:
            click.echo()
        digits = 4 if report.signature["metric"] == "selective" else 2  # 0 to 1, others 0 to 100
        width = max(18, *map(len, report.scores))
        for name, value in report.scores.items():
            low_high = report.intervals.get(name)
            interval = f"   ({low_high[0]:.{digits}f} to {low_high[1]:.{digits}f})" if low_high else ""
            shown = f"{value:>10.{digits}f}" if isinstance(value, float) else f"{value:>10}"
            click.echo(f"{name:{width}} {shown}{interval}")
        click.echo(signature_text(report))


def notice(message: str) -> None:
    """One line on stderr."""
    click.echo(f"polyspan: {message}", err=True)


def progress(items: Iterable[Item], total: int, what: str, done: int = 0, unit: str = "q") -> Iterable[Item]:
    """The same items with a progress bar on stderr, if that is a terminal; it begins with those ``done`` before."""
    from tqdm import tqdm

    bar: Iterable[Item] = tqdm(items, total=total, initial=done, desc=what, unit=unit, disable=not sys.stderr.isatty())
    return bar


def check_picture(option: str, path: Path) -> None:
    """Refuse, before anything is read, a picture that could not be drawn or written."""
    from polyspan.evaluation.figures import draw_png

    if path.suffix.lower() != ".png" or path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{option} {path}: expected a name that ends in .png, in a folder that there is")
    draw_png(1, 1, lambda _: None)  # says so where the packages for it are not there


class Placed(Protocol):
    """Characters of a document, on a page of it if it has any."""

    @property
    def document(self) -> str:
        """Its id."""

    @property
    def start(self) -> int:
        """The first character."""

    @property
    def end(self) -> int:
        """The last one, exclusive."""

    @property
    def page(self) -> int | None:
        """Counted from 1."""


def quote_lines(around: str, around_start: int, found: Placed, probability: float) -> str:
    """A quote marked in the text around it, on one line, and under it its probability and its place.

    It is bold on a terminal, in brackets elsewhere or where NO_COLOR is set.
    """
    begin, end = found.start - around_start, found.end - around_start
    quote = around[begin:end]
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        quote = click.style(quote, bold=True, reverse=True)
    else:
        quote = f"[{quote}]"
    line = " ".join(f"{around[:begin]}{quote}{around[end:]}".split())
    return f"{line}\n    {probability:4.0%}  {place_of(found)}"


def place_of(found: Placed) -> str:
    """Document, page and characters."""
    page = f", page {found.page}" if found.page else ""
    return f"{found.document}{page}, characters {found.start} to {found.end}"
