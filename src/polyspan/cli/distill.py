"""``polyspan distill``."""

from typing import Any

import click

from polyspan.cli.runs import run, run_content, run_options
from polyspan.errors import InputError


@click.command()
@click.argument("source", metavar="RECIPE|STUDENT")
@click.option("--teacher", "teachers", multiple=True, help="A reader to learn from: folder or hub id.")
@run_options
def distill(source: str, teachers: tuple[str, ...], **given: Any) -> None:
    """Train a small reader on the answers of larger ones, by a RECIPE (YAML) or from a STUDENT with --teacher.

    Teachers may have other tokenizers than the student. What they say is kept under OUT/training/teachers.
    """
    content = run_content(source, given)
    if teachers:
        settings = content.setdefault("distillation", {})
        settings["teachers"] = [*settings.get("teachers", []), *({"model": teacher} for teacher in teachers)]
    if not content.get("distillation"):
        raise InputError("distilling needs a teacher; give --teacher MODEL or a recipe with distillation.teachers")
    run(content, given)
