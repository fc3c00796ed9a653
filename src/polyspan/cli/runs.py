"""What ``polyspan train`` and ``polyspan distill`` share: a recipe from a file, a model and options."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyspan.cli.output import notice, print_json
from polyspan.errors import InputError

if TYPE_CHECKING:
    from polyspan.training import RunSettings, TrainingReport
    from polyspan.training.retriever import RetrieverReport

RETRIEVAL = {"gold_recall_at_1": "recall at 1", "gold_recall_at_10": "at 10", "gold_mrr_at_10": "reciprocal rank"}
RECIPES = (".yaml", ".yml")
Command = Callable[..., None]


def run_options(command: Command) -> Command:
    """The options of a run."""
    for option in reversed(
        (
            click.option("--out", required=True, type=click.Path(path_type=Path), help="The new model's folder."),
            click.option("--data", multiple=True, help="A SQuAD JSON file to learn from, FILE or FILE:WEIGHT."),
            click.option("--dev", multiple=True, help="A SQuAD JSON file to measure on after each epoch."),
            click.option("--define", multiple=True, help="NAME=VALUE for a ${NAME} in the recipe."),
            click.option(
                "--set", "settings", multiple=True, help="FIELD=VALUE, such as optimisation.learning_rate=1e-4."
            ),
            click.option("--minutes", type=float, help="Stop for now after so long; the same command goes on."),
            click.option(
                "--keep-epochs",
                is_flag=True,
                help="Keep each epoch's reader, in OUT/training/epochs, for polyspan average.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
        )
    ):
        command = option(command)
    return command


def run_content(source: str, given: dict[str, Any]) -> dict[str, Any]:
    """A recipe's plain values: those of a YAML file, or of a model alone, with the options' over them."""
    from polyspan.training import read_recipe

    content: dict[str, Any] = {"model": source}
    if source.endswith(RECIPES):
        content = read_recipe(Path(source), dict(name_and_value(one, "--define") for one in given["define"]))
    for group in ("data", "dev"):
        extend(content, group, map(_data_file, given[group]))
    for one in given["settings"]:
        field, value = name_and_value(one, "--set")
        *path, last = field.split(".")
        place = content
        for name in path:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError(f"--set {one}: {name} is no group of fields")
        place[last] = _value(value, one)
    return content


def extend(content: dict[str, Any], field: str, more: Iterable[dict[str, Any]]) -> None:
    """Put the options' entries behind those that a recipe has in a list."""
    if added := list(more):
        listed = content.get(field, [])
        if not isinstance(listed, list):
            raise InputError(f"recipe.{field}: expected a list, got {listed!r:.60}")
        content[field] = [*listed, *added]


def run(content: dict[str, Any], given: dict[str, Any]) -> None:
    """Train, and say what came of it."""
    from polyspan.training import parse_recipe, train

    report = train(parse_recipe(content), given["out"], _settings(given))
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes would say the same
        return
    if given["as_json"]:
        print_json(asdict(report))
        return
    click.echo(f"{given['out']}: {_state(report)}, {report.tokens:,} tokens in {report.seconds / 60:.1f} minutes")
    for entry in report.dev:
        best = ", kept" if entry["epoch"] == report.best_epoch else ""
        click.echo(f"epoch {entry['epoch']}: mean F1 {entry['mean_f1']:.2f}{best}")


def run_retriever(content: dict[str, Any], given: dict[str, Any]) -> None:
    """Train an encoder, and say what came of it."""
    from polyspan.training.retriever import train_retriever
    from polyspan.training.retriever_recipe import parse_retriever_recipe

    if given["keep_epochs"]:
        raise InputError("--keep-epochs is for readers; a retriever is kept as it is at the end")
    report = train_retriever(parse_retriever_recipe(content), given["out"], _settings(given))
    if given["as_json"]:
        print_json(asdict(report))
        return
    click.echo(f"{given['out']}: {_state(report)}, {report.steps:,} steps in {report.seconds / 60:.1f} minutes")
    for path, after in report.after.items():
        before = report.before[path]
        shown = (f"{name} {before[key]:.1f} → {after[key]:.1f}" for key, name in RETRIEVAL.items())
        click.echo(f"{path}: {', '.join(shown)}")
    if report.finished and not report.onnx:
        notice(f"{given['out']}: has no ONNX file, as torch.onnx cannot export all that it does; it opens with torch")


def _settings(given: dict[str, Any]) -> "RunSettings":
    from polyspan.training import RunSettings

    return RunSettings(
        stop_after_seconds=None if given["minutes"] is None else 60 * given["minutes"],
        show_progress=sys.stderr.isatty(),
        cache=given.get("cache"),
        keep_epochs=given["keep_epochs"],
    )


def _state(report: "TrainingReport | RetrieverReport") -> str:
    return "finished" if report.finished else "stopped for now; the same command goes on"


def name_and_value(text: str, option: str) -> tuple[str, str]:
    """What an option gives as NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"{option} {text}: expected NAME=VALUE")
    return name, value


def _value(text: str, option: str) -> Any:
    import yaml

    number = _number(text)  # YAML takes 1e-4 for a text
    if number is not None:
        return number
    try:
        return yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"--set {option}: not a value ({' '.join(str(error).split())}); quote texts") from error


def _data_file(text: str) -> dict[str, Any]:
    path, _, weight = text.rpartition(":")
    number = _number(weight) if path else None
    return {"path": text} if number is None else {"path": path, "weight": number}


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
