"""``polyspan distill``."""

from pathlib import Path
from typing import Any

import click

from polyspan.cli.runs import extend, run, run_content, run_options
from polyspan.errors import InputError


@click.command()
@click.argument("source", metavar="RECIPE|STUDENT")
@click.option("--teacher", "teachers", multiple=True, help="A reader to learn from: folder or hub id.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where what teachers say is kept, for several runs; OUT/training/teachers otherwise.",
)
@run_options
def distill(source: str, teachers: tuple[str, ...], **given: Any) -> None:
    """Train a small reader on the answers of larger ones, by a RECIPE (YAML) or from a STUDENT with --teacher.

    Teachers may have other tokenizers than the student.
    """
    content = run_content(source, given)
    settings = content["distillation"] = content.get("distillation") or {}
    if not isinstance(settings, dict):
        raise InputError(f"recipe.distillation: expected an object, got {settings!r:.60}")
    extend(settings, "teachers", ({"model": teacher} for teacher in teachers))
    if not settings.get("teachers"):
        raise InputError("distilling needs a teacher; give --teacher MODEL or a recipe with distillation.teachers")
    run(content, given)
